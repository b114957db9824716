// Deinterleaving by 2 and by 4 from an ISA's two-vector even/odd split.

namespace fastconv::FASTCONV_ISA {
namespace {

// phase[j] = from[j], from[j + m], from[j + 2m], ... of m * lanes contiguous values.
template <int m, class T>
inline void deinterleave(const T* from, Vec<T> (&phase)[m]) {
  constexpr int L = Vec<T>::lanes;
  static_assert(m == 2 || m == 4);
  if constexpr (m == 2) {
    split_even_odd(Vec<T>::load(from), Vec<T>::load(from + L), phase[0], phase[1]);
  } else {
    Vec<T> even[2], odd[2];
    split_even_odd(Vec<T>::load(from), Vec<T>::load(from + L), even[0], odd[0]);
    split_even_odd(Vec<T>::load(from + 2 * L), Vec<T>::load(from + 3 * L), even[1], odd[1]);
    split_even_odd(even[0], even[1], phase[0], phase[2]);
    split_even_odd(odd[0], odd[1], phase[1], phase[3]);
  }
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
