#include "isa/dot_vnni-vec.hpp"
// The words come first: the kernels are written over them.
#include "isa/dot_vnni-depthwise.hpp"
#include "kernels/dot-inl.hpp"
