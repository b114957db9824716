// The element types the kernels are instantiated for. A new dtype is a row here, plus loads and stores in each isa/
// file.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fastconv {

enum class DType : std::uint8_t { float32, float64 };

template <class T>
inline constexpr DType dtype_of = DType::float32;
template <>
inline constexpr DType dtype_of<double> = DType::float64;

constexpr std::size_t size_of(DType dtype) { return dtype == DType::float32 ? 4 : 8; }
constexpr const char* name_of(DType dtype) { return dtype == DType::float32 ? "float32" : "float64"; }

// Calls f with a value of the element type.
template <class F>
auto with_type(DType dtype, F&& f) {
  return dtype == DType::float32 ? f(float{}) : f(double{});
}

}  // namespace fastconv
