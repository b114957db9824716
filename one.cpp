// one ISA THREADS ALG SECONDS spec... ; spec C,K,H,R,S,stride,padh,padw,G,dil[,n[,nhwc]] -> prints per spec: share median, best
#include <chrono>
#include <cstdio>
#include <cmath>
#include <cstring>
#include <vector>
#include <random>
#include <algorithm>
#include "fastconv/plan.hpp"
#include "fastconv/machine.hpp"
#include "fastconv/isa.hpp"
#include "fastconv/threads.hpp"
using namespace fastconv;
static double now(){return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();}
template<class T> void go(ConvProblem p,const char*alg,double sec,bool check,double scale){
  std::mt19937 g(1); std::normal_distribution<float> d;
  std::vector<T> x(p.input_size()),w(p.weight_size()),y(p.output_size()),bias(p.K),r(p.output_size());
  for(auto&v:x)v=d(g); for(auto&v:w)v=d(g); for(auto&v:bias)v=d(g);
  bool once=getenv("ONCE"); const Algorithm& A=*find_algorithm(alg); Plan pl(p,*find_algorithm(alg),w.data(),bias.data(),{}); pl.run(x.data(),y.data());
  if(check){ double rms=0,e=0; Plan ref(p,*find_algorithm("reference"),w.data(),bias.data(),{}); ref.run(x.data(),r.data()); for(auto v:r) rms+=double(v)*v; rms=std::sqrt(rms/r.size());
    for(size_t i=0;i<y.size();i++){double z=std::abs(double(y[i])-r[i]); if(!(z<=e)) e=z;} printf("%.1e ",e/rms);} 
  std::vector<double> t; double end=now()+sec; while(now()<end||t.size()<5){double s=now(); if(once) run_once(p,A,Activation{},x.data(),w.data(),bias.data(),y.data()); else pl.run(x.data(),y.data()); t.push_back(now()-s);} std::sort(t.begin(),t.end());
  double f=2.0*p.multiply_adds()*1e-9; printf("%.2f %.2f ",100*f/t[t.size()/2]/scale,100*f/t[0]/scale);
}
int main(int argc,char**argv){
  if(set_isa(argv[1]).size()) return 1; int th=atoi(argv[2]); set_num_threads(th); double sec=atof(argv[4]); bool check=getenv("CHECK");
  for(int i=5;i<argc;i++){ long v[14]={0}; int n=0; for(char*s=strtok(argv[i],",");s&&n<14;s=strtok(nullptr,",")) v[n++]=atol(s);
    ConvProblem p; p.C=v[0];p.K=v[1];p.H=p.W=v[2];p.R=v[3];p.S=v[4];p.stride_h=p.stride_w=v[5];p.pad_top=p.pad_bottom=v[6];p.pad_left=p.pad_right=v[7];p.groups=v[8];p.dilation_h=p.dilation_w=v[9]; if(n>10) p.N=v[10];
#ifdef HAVE_LAYOUT
    if(n>11&&v[11]) p.layout=Layout::nhwc;
#endif
    double scale=118.0*th; if(getenv("F64")){p.dtype=DType::float64; go<double>(p,argv[3],sec,check,scale/2);} else go<float>(p,argv[3],sec,check,scale);
  } printf("\n");
}
