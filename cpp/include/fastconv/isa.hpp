// Which instruction set the kernels run with: the best one the CPU has, or the one that was asked for.
#pragma once

#include <string>
#include <vector>

namespace fastconv {

std::vector<const char*> compiled_isas();   // in this build, slowest first
std::vector<const char*> available_isas();  // of these, the ones this CPU and operating system run

// What calls and new plans of this thread run with: a scope's, else what was set, else the best.
const char* active_isa();

// For the whole process. Returns what is wrong, or nothing. Plans made earlier keep the ISA they were made with.
std::string set_isa(const std::string& name);

// While it lives, the active ISA of the thread that made it is the one at this place in compiled_isas(), one that runs
// here; or with -1 what holds for the process now, whatever others set meanwhile.
class IsaScope {
 public:
  explicit IsaScope(int place);
  ~IsaScope();
  IsaScope(const IsaScope&) = delete;
  IsaScope& operator=(const IsaScope&) = delete;

 private:
  const void* const outer_;
};

}  // namespace fastconv
