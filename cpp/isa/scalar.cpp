#include "isa/scalar-vec.hpp"
// The vector type comes first: the kernels are templates over it.
#include "kernels/all-inl.hpp"
