// The kernels for words of bytes against plain loops: tiles, few pixels, packing, finished sums, depthwise rows.
#include <algorithm>
#include <cstdint>

#include "kernel_test.hpp"

using namespace fastconv;

namespace {

std::vector<std::uint8_t> bytes(std::ptrdiff_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::vector<std::uint8_t> values(std::size_t(count), 0);
  for (std::uint8_t& value : values) value = std::uint8_t(generator());
  return values;
}

// A word of an ISA's: bytes of pixels or of signed weights, or numbers of 16 bits.
std::int32_t word(const DotKernels& set, const int* values) {
  std::uint32_t all = 0;
  const int bits = 32 / set.values;
  for (int i = 0; i < set.values; ++i) all |= (std::uint32_t(values[i]) & ((1u << bits) - 1)) << (bits * i);
  return std::int32_t(all);
}

// Steps of words: of pixels at any place in `streamed`, and of weights.
struct Words {
  static constexpr int steps = 5;
  std::vector<int> pixel, weight;  // values, a word's following one another
  std::vector<std::int32_t> pixels, weights;

  Words(const DotKernels& set, int places, int rows) {
    std::mt19937 generator(3);
    for (int i = 0; i < places * set.values; ++i) pixel.push_back(int(generator() % 256));
    for (int i = 0; i < steps * rows * set.values; ++i) weight.push_back(int(generator() % 256) - 128);
    for (int i = 0; i < places; ++i) pixels.push_back(word(set, &pixel[std::size_t(i * set.values)]));
    for (int i = 0; i < steps * rows; ++i) weights.push_back(word(set, &weight[std::size_t(i * set.values)]));
  }
  int product(const DotKernels& set, std::ptrdiff_t at, std::ptrdiff_t of) const {
    int sum = 0;
    for (int i = 0; i < set.values; ++i)
      sum += pixel[std::size_t(at * set.values + i)] * weight[std::size_t(of * set.values + i)];
    return sum;
  }
};

constexpr std::ptrdiff_t offset[Words::steps] = {0, 3, 11, 4, 7};

void test_tile(const DotKernels& set, DotTileKernel kernel, int rows, int pixels, int tail, const std::string& name) {
  const Words words(set, pixels + 12, rows);
  const std::ptrdiff_t ld = pixels + 3;
  std::vector<std::int32_t> initial = whole_numbers<std::int32_t>(rows, 2);
  std::vector<std::int32_t> out(std::size_t(rows * ld), 99), expected = out;
  kernel({Words::steps, words.weights.data(), words.pixels.data(), offset, initial.data(), out.data(), ld, tail, rows});
  const int stored = pixels - (tail ? set.lanes - tail : 0);
  for (int m = 0; m < rows; ++m)
    for (int j = 0; j < stored; ++j) {
      int sum = initial[std::size_t(m)];
      for (int s = 0; s < Words::steps; ++s) sum += words.product(set, offset[s] + j, s * rows + m);
      expected[std::size_t(m * ld + j)] = sum;
    }
  CHECK_IN(std::string(set.isa) + name + std::to_string(rows) + " x " + std::to_string(pixels), same(out, expected));
}

void test_pack(const DotKernels& set, std::ptrdiff_t columns, bool is_signed, int zero) {
  const std::vector<std::uint8_t> rows = bytes(columns * set.values, 4);
  DotPack p{};
  for (int i = 0; i < set.values; ++i) p.from[i] = rows.data() + i * columns;
  std::vector<std::int32_t> to(std::size_t(columns) + 1, 99), expected = to;
  p.columns = columns;
  p.to = to.data();
  p.is_signed = is_signed;
  p.zero = zero;
  set.pack(p);
  for (std::ptrdiff_t j = 0; j < columns; ++j) {
    int values[most_dot_values];
    for (int i = 0; i < set.values; ++i) {
      const int byte = p.from[i][j], number = is_signed ? std::int8_t(byte) : byte;
      values[i] = set.keeps_zeros ? (is_signed ? number + 128 : number) : number - zero;
    }
    expected[std::size_t(j)] = word(set, values);
  }
  CHECK_IN(std::string(set.isa) + " pack of " + std::to_string(columns), same(to, expected));
}

int scaled(int sum, const DotScale& s) {
  const double y = std::nearbyint(double(sum) * double(s.scale)) + s.zero;
  return int(std::clamp(y, double(s.low), double(s.high)));
}

void test_finish(const DotKernels& set, int count, const DotScale* scale, bool window) {
  std::vector<std::int32_t> from, around;
  for (int i = 0; i < count; ++i) {
    from.push_back(i * 37 - 800);
    around.push_back(i % 13 - 6);
  }
  std::vector<std::int32_t> sums(std::size_t(count) + 1, 99), expected = sums;
  std::vector<std::uint8_t> few(std::size_t(count) + 1, 99);
  void* const to = scale ? static_cast<void*>(few.data()) : sums.data();
  set.finish({from.data(), window ? around.data() : nullptr, 7, count, to, scale});
  for (int i = 0; i < count; ++i) {
    const int sum = from[std::size_t(i)] - (window ? 7 * around[std::size_t(i)] : 0);
    expected[std::size_t(i)] = scale ? std::uint8_t(scaled(sum, *scale)) : sum;
  }
  if (scale) std::copy(few.begin(), few.end(), sums.begin());
  CHECK_IN(std::string(set.isa) + " finish of " + std::to_string(count), same(sums, expected));
}

// R rows of taps, `words` words of four to a row.
void test_depthwise(const DotKernels& set, int stride, int R, int words, bool scales) {
  const auto kernel = set.depthwise[stride - 1][(R - 3) / 2][words - 1];
  if (!kernel) return;
  const std::ptrdiff_t H = 13, W = 41, pad = 2, S = 4 * words, Q = (W + 2 * pad - S) / stride + 1;
  const std::ptrdiff_t P = (H + 2 * pad - R) / stride + 1;
  const std::vector<std::uint8_t> image = bytes(H * W, 5);
  const Words weights(set, 1, R * words);  // more than there are: of the first step
  const DotScale scale{0.01f, 5, 0, 255};
  std::vector<std::int32_t> sums(std::size_t(P * Q), 99), expected = sums;
  std::vector<std::uint8_t> few(sums.size());
  DotDepthwise d{};
  d.image = image.data();
  d.H = H;
  d.W = W;
  d.zero = 3;
  d.pad_top = d.pad_left = pad;
  d.weights = weights.weights.data();
  d.initial = -50;
  d.rows = P;
  d.Q = Q;
  d.to = scales ? static_cast<void*>(few.data()) : sums.data();
  d.scale = scales ? &scale : nullptr;
  kernel(d);
  for (std::ptrdiff_t p = 0; p < P; ++p)
    for (std::ptrdiff_t q = 0; q < Q; ++q) {
      int sum = d.initial;
      for (std::ptrdiff_t r = 0; r < R; ++r)
        for (std::ptrdiff_t s = 0; s < S; ++s) {
          const std::ptrdiff_t y = p * stride + r - pad, x = q * stride + s - pad;
          const bool inside = y >= 0 && y < H && x >= 0 && x < W;
          sum += weights.weight[std::size_t(r * S + s)] * (inside ? image[std::size_t(y * W + x)] : d.zero);
        }
      expected[std::size_t(p * Q + q)] = scales ? scaled(sum, scale) : sum;
    }
  if (scales) std::copy(few.begin(), few.end(), sums.begin());
  CHECK_IN(std::string(set.isa) + " depthwise " + std::to_string(R) + ", words " + std::to_string(words),
           same(sums, expected));
}

void test_dot() {
  const DotKernels& set = active_dot_kernels();
  int tiles = 0;
  for (int m = 0; m <= max_dot_rows; ++m)
    for (int nv = 0; nv <= max_dot_vectors; ++nv)
      for (const int tail : {1, set.lanes})
        if (set.tile[m][nv]) {
          test_tile(set, set.tile[m][nv], m, nv * set.lanes, tail, " tile ");
          ++tiles;
        }
  CHECK(tiles > 2 * set.rows);
  for (int few = 0; few <= max_dot_few; ++few)
    for (const int rows : {1, set.lanes - 1, set.lanes})
      if (set.few[few]) test_tile(set, set.few[few], rows, few, 0, " few ");
  for (const std::ptrdiff_t columns : {1, 15, 16, 50})
    for (const bool is_signed : {false, true})
      for (const int zero : {0, 3}) test_pack(set, columns, is_signed, zero);
  // Rounded and then bounded; the other way round; halves, which go to even; signed results.
  const DotScale scales[] = {{0.125f, 7, 0, 255}, {1.5f, 100, 0, 255}, {0.03f, -20, -128, 127}, {-0.75f, 0, -128, 127}};
  for (const int count : {1, 17, 70})
    for (const bool window : {false, true}) {
      test_finish(set, count, nullptr, window);
      for (const DotScale& scale : scales) test_finish(set, count, &scale, window);
    }
  for (const int stride : {1, 2})
    for (const int R : {3, 5, 7})
      for (int words = 1; words <= dot_depthwise_words; ++words)
        for (const bool scaled : {false, true}) test_depthwise(set, stride, R, words, scaled);
}

}  // namespace

int main() { return for_each_isa(test_dot); }
