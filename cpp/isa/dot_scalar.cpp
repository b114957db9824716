#include "isa/dot_scalar-vec.hpp"
// The words come first: the kernels are written over them.
#include "kernels/dot-inl.hpp"
