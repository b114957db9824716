// Winograd's minimal filtering F(m, r) along one axis, made from its interpolation points by the Cook-Toom construction
// (Toom 1963, Cook 1966; Lavin and Gray, arXiv:1509.09308), in exact rationals, while compiling:
//
//   y[j] = sum over k < r of g[k] d[j + k]  for j < m,    y = A^T [(G g) * (B^T d)]
//
// with m + r - 1 points: the finite ones p[i], and infinity, which comes last. Row i of B^T holds the coefficients of
// the product of (x - p) over all other finite points, row i of G is (1, p, p^2, ...) over that product's value at
// p[i], and A^T[j][i] is p[i]^j.
//
// Everything here is consteval: nothing of it can be left in an object file, whatever flags that is compiled with.
#pragma once

namespace fastconv::cook_toom {

inline constexpr int most_points = 12;

struct Ratio {
  long long over = 0, under = 1;
};
consteval long long common_divisor(long long a, long long b) {
  a = a < 0 ? -a : a;
  b = b < 0 ? -b : b;
  while (b) {
    const long long rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}
consteval Ratio reduced(long long over, long long under) {
  const long long common = under < 0 ? -common_divisor(over, under) : common_divisor(over, under);
  return {over / common, under / common};
}
consteval Ratio operator+(Ratio a, Ratio b) {
  const long long common = common_divisor(a.under, b.under);
  return reduced(a.over * (b.under / common) + b.over * (a.under / common), a.under / common * b.under);
}
consteval Ratio operator-(Ratio a, Ratio b) { return a + Ratio{-b.over, b.under}; }
consteval Ratio operator*(Ratio a, Ratio b) {
  const Ratio c = reduced(a.over, b.under), d = reduced(b.over, a.under);
  return {c.over * d.over, c.under * d.under};
}
consteval Ratio operator/(Ratio a, Ratio b) { return a * reduced(b.under, b.over); }
consteval bool operator==(Ratio a, Ratio b) { return a.over == b.over && a.under == b.under; }
consteval double value(Ratio a) { return double(a.over) / double(a.under); }

// What the kernels multiply with has to be the same number in every element type.
consteval bool is_exact_in_float(Ratio a) {
  long long odd = a.over < 0 ? -a.over : a.over;
  while (odd && odd % 2 == 0) odd /= 2;
  return odd < (1LL << 24) && (a.under & (a.under - 1)) == 0;
}

// One axis of a variant: `taps` of the kernel, tiles of `outputs`, or of `tail` outputs (0: none) where a whole tile
// would reach over the end. A tail takes the first finite points only, and infinity; the weights' values at a point are
// those of whole tiles, so that both share them (what differs is a factor, and goes into the input's transform).
struct Axis {
  int outputs, taps, tail;
  Ratio points[most_points];

  consteval int finite(int tile) const { return tile + taps - 2; }
  consteval Ratio norm(int i, int tile) const {
    Ratio product{1};
    for (int j = 0; j < finite(tile); ++j)
      if (j != i) product = product * (points[i] - points[j]);
    return product;
  }
};
consteval int inputs(const Axis& axis, int tile) { return tile + axis.taps - 1; }

// Coefficients of a polynomial, lowest power first.
struct Row {
  Ratio of[most_points];

  consteval void times(Ratio point) {  // by (x - point)
    for (int k = most_points - 1; k > 0; --k) of[k] = of[k - 1] - point * of[k];
    of[0] = Ratio{0} - point * of[0];
  }
};

// The product of (x - p) over the finite points of such a tile but the i-th and the j-th.
consteval Row product(const Axis& axis, int tile, int i, int j) {
  Row row{{Ratio{1}}};
  for (int k = 0; k < axis.finite(tile); ++k)
    if (k != i && k != j) row.times(axis.points[k]);
  return row;
}
// What the rows of a tail's point i are multiplied with, so that G may be that of whole tiles.
consteval Ratio scale(const Axis& axis, int tile, int i) { return axis.norm(i, axis.outputs) / axis.norm(i, tile); }

consteval Row input_row(const Axis& axis, int tile, int i) {
  const bool infinity = i == axis.finite(tile);
  Row row = product(axis, tile, infinity ? -1 : i, -1);
  if (!infinity)
    for (Ratio& c : row.of) c = c * scale(axis, tile, i);
  return row;
}
consteval Ratio weight_at(const Axis& axis, int i, int k) {  // G, of whole tiles
  if (i == axis.finite(axis.outputs)) return Ratio{k == axis.taps - 1};
  Ratio power{1};
  for (; k > 0; --k) power = power * axis.points[i];
  return power / axis.norm(i, axis.outputs);
}
consteval Ratio output_at(const Axis& axis, int tile, int j, int i) {  // A^T
  if (i == axis.finite(tile)) return Ratio{j == tile - 1};
  Ratio power{1};
  for (; j > 0; --j) power = power * axis.points[i];
  return power;
}

// Points i and i + 1 of these tiles are p and -p: their rows share all but one addition.
consteval bool is_pair(const Axis& axis, int tile, int i) {
  return i + 1 < axis.finite(tile) && axis.points[i].over != 0 && axis.points[i] + axis.points[i + 1] == Ratio{0} &&
         scale(axis, tile, i) == scale(axis, tile, i + 1);
}

// A tile's three matrices, made once: compilers count the steps of an evaluation (clang stops after a million).
struct Matrices {
  Row input[most_points];  // B^T: a row for each point
  Ratio weight[most_points][most_points], output[most_points][most_points];  // G [point][tap], A^T [output][point]

  consteval Matrices(const Axis& axis, int tile) {
    const int finite = axis.finite(tile);
    for (int i = 0; i <= finite; ++i) {
      input[i] = input_row(axis, tile, i);
      for (int k = 0; k < axis.taps; ++k)
        weight[i][k] = weight_at(axis, i == finite ? axis.finite(axis.outputs) : i, k);
      for (int j = 0; j < tile; ++j) output[j][i] = output_at(axis, tile, j, i);
    }
  }
};

// Whether tiles of `tile` outputs compute the definition: sum over i of A[j][i] G[i][k] B[i][l] is 1 where l = j + k.
consteval bool is_right(const Axis& axis, int tile, const Matrices& m) {
  const int points = inputs(axis, tile);
  for (int j = 0; j < tile; ++j)
    for (int k = 0; k < axis.taps; ++k) {
      Row sum{};
      for (int i = 0; i < points; ++i) {
        const Ratio factor = m.output[j][i] * m.weight[i][k];
        for (int l = 0; l < points; ++l)
          if (factor.over != 0 && m.input[i].of[l].over != 0) sum.of[l] = sum.of[l] + factor * m.input[i].of[l];
      }
      for (int l = 0; l < points; ++l)
        if (!(sum.of[l] == Ratio{l == j + k})) return false;
    }
  return true;
}
// Whether such tiles are right and their constants the same numbers in every element type.
consteval bool is_sound(const Axis& axis, int tile) {
  if (tile == 0) return true;
  const Matrices m(axis, tile);
  for (int i = 0; i < inputs(axis, tile); ++i)
    for (int j = 0; j < most_points; ++j)
      if (!is_exact_in_float(m.input[i].of[j]) || (j < tile && !is_exact_in_float(m.output[j][i]))) return false;
  return is_right(axis, tile, m);
}

}  // namespace fastconv::cook_toom
