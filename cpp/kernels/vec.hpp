// The vector type of the ISA being compiled. A kernel opened alone in an editor gets the portable one.
#pragma once

#include <stddef.h>

#ifndef FASTCONV_ISA
#include "isa/scalar-vec.hpp"
#endif

#include "kernels/kernel_set.hpp"
