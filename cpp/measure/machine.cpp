#include "fastconv/machine.hpp"

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/aligned_buffer.hpp"
#include "base/parallel_for.hpp"
#include "dispatch/workspace.hpp"
#include "fastconv/threads.hpp"
#include "gemm/gemm.hpp"

namespace fastconv {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_of(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

// Best rate of `work(amount)`, which returns how much it did, over intervals of about 2 ms.
template <class Work>
double best_rate(double seconds, Work&& work) {
  const Clock::time_point start = Clock::now();
  std::ptrdiff_t amount = 1;
  double best = 0;
  do {
    const Clock::time_point begin = Clock::now();
    const double done = work(amount);
    const double took = seconds_of(Clock::now() - begin);
    if (took < 1e-3)
      amount *= 2;
    else
      best = std::max(best, done / took);
  } while (best == 0 || seconds_of(Clock::now() - start) < seconds);
  return best;
}

}  // namespace

double fma_peak(DType dtype, double seconds) {
  const int threads = num_threads();
  return with_type(dtype,
                   [&](auto t) {
                     const auto& set = kernel_set<decltype(t)>(active_kernels());
                     return best_rate(seconds, [&](std::ptrdiff_t amount) {
                       std::vector<double> flops(std::size_t(threads), 0.0);
                       parallel_for(threads, threads, [&](std::ptrdiff_t task, int) {
                         flops[std::size_t(task)] = set.fma_rounds(amount * 1000);
                       });
                       double total = 0;
                       for (double f : flops) total += f;
                       return total;
                     });
                   }) *
         1e-9;
}

double bandwidth(Traffic traffic, std::size_t bytes, double seconds) {
  const int threads = num_threads();
  const KernelSet<float>& set = kernel_set<float>(active_kernels());
  const std::ptrdiff_t n = std::ptrdiff_t(bytes / sizeof(float)) / 128 * 128;
  std::vector<AlignedBuffer> from(static_cast<std::size_t>(threads)), to(static_cast<std::size_t>(threads));
  for (std::size_t i = 0; i < from.size(); ++i) {
    from[i] = AlignedBuffer(std::size_t(n) * sizeof(float));
    set.write(reinterpret_cast<float*>(from[i].data()), n);
    if (traffic == Traffic::copy) {
      to[i] = AlignedBuffer(std::size_t(n) * sizeof(float));
      set.write(reinterpret_cast<float*>(to[i].data()), n);
    }
  }
  return best_rate(seconds,
                   [&](std::ptrdiff_t amount) {
                     parallel_for(threads, threads, [&](std::ptrdiff_t task, int) {
                       auto* a = reinterpret_cast<float*>(from[std::size_t(task)].data());
                       auto* b = reinterpret_cast<float*>(to[std::size_t(task)].data());
                       for (std::ptrdiff_t i = 0; i < amount; ++i) {
                         if (traffic == Traffic::read)
                           set.read(a, n);
                         else if (traffic == Traffic::write)
                           set.write(a, n);
                         else
                           set.copy(b, a, n);
                       }
                     });
                     const double moved = double(n) * sizeof(float) * double(amount) * threads;
                     return traffic == Traffic::copy ? 2 * moved : moved;
                   }) *
         1e-9;
}

bool matrix_product(DType dtype, long long M, long long N, long long K, const void* a, const void* b, void* c) {
  return with_type(dtype, [&](auto t) {
    using T = decltype(t);
    const Resources resources{&active_kernels(), num_threads()};
    const Workspace workspace(gemm_workspace<T>(M, N, K, resources));
    return gemm(Extent{M}, Extent{N}, Extent{K}, static_cast<const T*>(a), static_cast<const T*>(b), static_cast<T*>(c),
                resources, workspace.data());
  });
}

}  // namespace fastconv
