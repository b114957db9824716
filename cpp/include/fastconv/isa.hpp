// Which instruction set the kernels run with: the best one the CPU has, or the one that was asked for.
#pragma once

#include <string>
#include <vector>

namespace fastconv {

std::vector<const char*> compiled_isas();   // in this build, slowest first
std::vector<const char*> available_isas();  // of these, the ones this CPU and operating system run

const char* active_isa();
// Returns what is wrong, or nothing. Plans made earlier keep the ISA they were made with.
std::string set_isa(const std::string& name);

}  // namespace fastconv
