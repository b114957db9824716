// Deinterleaving by 2 and by 4 from an ISA's two-vector even/odd split.

namespace fastconv::FASTCONV_ISA {
namespace {

// phase[j] = every m-th value from the j-th on, of m vectors that follow one another.
template <int m, class T>
inline void deinterleave(const Vec<T> (&in)[m], Vec<T> (&phase)[m]) {
  static_assert(m == 1 || m == 2 || m == 4);
  if constexpr (m == 1) {
    phase[0] = in[0];
  } else if constexpr (m == 2) {
    split_even_odd(in[0], in[1], phase[0], phase[1]);
  } else {
    Vec<T> even[2], odd[2];
    split_even_odd(in[0], in[1], even[0], odd[0]);
    split_even_odd(in[2], in[3], even[1], odd[1]);
    split_even_odd(even[0], even[1], phase[0], phase[2]);
    split_even_odd(odd[0], odd[1], phase[1], phase[3]);
  }
}

template <int m, class T>
inline void deinterleave(const T* from, Vec<T> (&phase)[m]) {
  Vec<T> in[m];
  for (int i = 0; i < m; ++i) in[i] = Vec<T>::load(from + i * Vec<T>::lanes);
  deinterleave<m>(in, phase);
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
