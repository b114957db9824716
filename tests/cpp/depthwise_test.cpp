// The depthwise and grouped kernels, and the gradient's sums, against plain loops.
#include "kernel_test.hpp"

using namespace fastconv;

namespace {

std::string text(std::initializer_list<std::ptrdiff_t> numbers) {
  std::string all;
  for (const std::ptrdiff_t number : numbers) all += " " + std::to_string(number);
  return all;
}

constexpr std::ptrdiff_t behind = 500;  // values behind the last plane, where nothing may be written

struct Shape {
  std::ptrdiff_t H, W, R, S, stride, dilation, pad;
  std::ptrdiff_t out(std::ptrdiff_t size, std::ptrdiff_t taps) const {
    const std::ptrdiff_t room = size + 2 * pad - dilation * (taps - 1) - 1;
    return room < 0 ? 0 : room / stride + 1;
  }
  std::ptrdiff_t P() const { return out(H, R); }
  std::ptrdiff_t Q() const { return out(W, S); }
  std::string name() const { return text({H, W, R, S, stride, dilation, pad}); }
};

// The definition, at one output of one plane.
template <class T, class Weight>
T sum_at(const Shape& s, const T* image, std::ptrdiff_t p, std::ptrdiff_t q, Weight weight) {
  T sum = 0;
  for (std::ptrdiff_t r = 0; r < s.R; ++r)
    for (std::ptrdiff_t c = 0; c < s.S; ++c) {
      const std::ptrdiff_t y = p * s.stride + r * s.dilation - s.pad, x = q * s.stride + c * s.dilation - s.pad;
      if (y >= 0 && y < s.H && x >= 0 && x < s.W) sum += weight(r, c) * image[y * s.W + x];
    }
  return sum;
}

template <class T>
DepthwiseRows<T> rows_of(const Shape& s, const std::vector<T>& image, const std::vector<T>& weights,
                         std::vector<T>& out, const Epilogue<T>& epilogue) {
  DepthwiseRows<T> d{};
  d.image = image.data();
  d.H = s.H;
  d.W = s.W;
  d.weights = weights.data();
  d.R = s.R;
  d.S = s.S;
  d.stride = s.stride;
  d.dilation_h = d.dilation_w = s.dilation;
  d.pad_top = d.pad_left = s.pad;
  d.last_row = s.P();
  d.Q = s.Q();
  d.out = out.data();
  d.plane = s.P() * s.Q();
  d.epilogue = &epilogue;
  return d;
}

// Three filters of two channels, the first of which has its second filter here; then a part of the rows.
template <class T>
void test_rows(const Shape& s, void (*kernel)(const DepthwiseRows<T>&), const char* name) {
  if (s.P() <= 0 || s.Q() <= 0) return;
  const std::ptrdiff_t plane = s.P() * s.Q(), filters = 3;
  const std::vector<T> image = whole_numbers<T>(2 * s.H * s.W), weights = whole_numbers<T>(filters * s.R * s.S, 2);
  const std::vector<T> bias = whole_numbers<T>(filters, 3);
  for (const std::ptrdiff_t first : {std::ptrdiff_t{0}, s.P() / 2}) {
    std::vector<T> out(std::size_t(filters * plane + behind), T(99)), expected = out;
    Epilogue<T> e = first ? no_bounds<T>() : bounds<T>(-15, 20);
    e.bias = bias.data();
    DepthwiseRows<T> d = rows_of(s, image, weights, out, e);
    d.filters = filters;
    d.per_channel = 2;
    d.position = 1;
    d.first_row = first;
    kernel(d);
    for (std::ptrdiff_t f = 0; f < filters; ++f)
      for (std::ptrdiff_t p = first; p < s.P(); ++p)
        for (std::ptrdiff_t q = 0; q < s.Q(); ++q) {
          const T* w = weights.data() + f * s.R * s.S;
          const auto weight = [&](std::ptrdiff_t r, std::ptrdiff_t c) { return w[c * s.R + r]; };
          const T sum = sum_at(s, image.data() + (f > 0) * s.H * s.W, p, q, weight) + bias[std::size_t(f)];
          expected[std::size_t(f * plane + p * s.Q() + q)] = clipped(sum, e);
        }
    CHECK_IN(type_name<T>() + " " + name + s.name() + " from row " + std::to_string(first), same(out, expected));
  }
}

// Maps of one tile, of several, narrower and wider than vectors, lower than a tile, and of every remainder of rows.
constexpr std::ptrdiff_t maps[][2] = {{1, 40}, {3, 21}, {7, 7}, {9, 33}, {14, 14}, {23, 8}, {27, 50}};

template <class T>
void test_grouped(const Shape& s, const KernelSet<T>& set) {
  const std::ptrdiff_t channels = 3, filters = 5, plane = s.P() * s.Q(), together = set.grouped_filters[s.stride - 1];
  if (s.P() <= 0 || s.Q() <= 0) return;
  const std::vector<T> image = whole_numbers<T>(channels * s.H * s.W);
  const std::vector<T> w = whole_numbers<T>(filters * channels * s.R * s.S, 2), bias = whole_numbers<T>(filters, 3);
  const auto at = [&](std::ptrdiff_t f, std::ptrdiff_t c, std::ptrdiff_t r, std::ptrdiff_t x) {
    return w[std::size_t(((f * channels + c) * s.R + r) * s.S + x)];
  };
  std::vector<T> packed;
  for (std::ptrdiff_t f = 0, n; f < filters; f += n) {
    n = f + together <= filters ? together : 1;
    for (std::ptrdiff_t c = 0; c < channels; ++c)
      for (std::ptrdiff_t x = 0; x < s.S; ++x)
        for (std::ptrdiff_t i = f; i < f + n; ++i)
          for (std::ptrdiff_t r = 0; r < s.R; ++r) packed.push_back(at(i, c, r, x));
  }
  std::vector<T> out(std::size_t(filters * plane + behind), T(99)), expected = out;
  Epilogue<T> e = bounds<T>(-20, 25);
  e.bias = bias.data();
  DepthwiseRows<T> d = rows_of(s, image, packed, out, e);
  d.filters = filters;
  d.channels = channels;
  set.grouped_rows(d);
  for (std::ptrdiff_t f = 0; f < filters; ++f)
    for (std::ptrdiff_t p = 0; p < s.P(); ++p)
      for (std::ptrdiff_t q = 0; q < s.Q(); ++q) {
        T sum = bias[std::size_t(f)];
        for (std::ptrdiff_t c = 0; c < channels; ++c)
          sum += sum_at(s, image.data() + c * s.H * s.W, p, q,
                        [&](std::ptrdiff_t r, std::ptrdiff_t x) { return at(f, c, r, x); });
        expected[std::size_t(f * plane + p * s.Q() + q)] = clipped(sum, e);
      }
  CHECK_IN(type_name<T>() + " grouped_rows" + s.name(), same(out, expected));
}

template <class T>
void test_strip(const KernelSet<T>& set, std::ptrdiff_t rows, std::ptrdiff_t columns, std::ptrdiff_t taps) {
  const std::ptrdiff_t step = columns + 9, runs = 3, offset[] = {0, 5, 2}, counts[] = {taps, taps, taps - 1};
  const std::vector<T> strip = whole_numbers<T>((rows + depthwise_strip_rows + taps + 8) * step + 64);
  const std::vector<T> weights = whole_numbers<T>(3 * taps, 2);
  std::vector<T> out(std::size_t(rows * columns)), expected = out;
  const Epilogue<T> e = bounds<T>(-40, 50);
  set.depthwise_strip({strip.data(), step, runs, offset, counts, weights.data(), rows, columns, out.data(), &e});
  for (std::ptrdiff_t p = 0; p < rows; ++p)
    for (std::ptrdiff_t q = 0; q < columns; ++q) {
      T sum = 0;
      const T* w = weights.data();
      for (std::ptrdiff_t i = 0; i < runs; ++i)
        for (std::ptrdiff_t r = 0; r < counts[i]; ++r) sum += *w++ * strip[std::size_t(offset[i] + (p + r) * step + q)];
      expected[std::size_t(p * columns + q)] = clipped(sum, e);
    }
  CHECK_IN(type_name<T>() + " depthwise_strip" + text({rows, columns, taps}), same(out, expected));
}

// Channels as lanes: rows of outputs at the image's upper border and within it.
template <class T>
void test_lanes(const KernelSet<T>& set, std::ptrdiff_t W, std::ptrdiff_t taps, std::ptrdiff_t stride,
                std::ptrdiff_t out_rows, std::ptrdiff_t first_tap) {
  const std::ptrdiff_t channels = 2 * set.lanes + 3, pad = taps / 2, pixels = (W + 2 * pad - taps) / stride + 1;
  const std::ptrdiff_t image_rows = taps - first_tap + out_rows - 1, ld = channels + 2;
  const std::vector<T> x = whole_numbers<T>(image_rows * W * ld), w = whole_numbers<T>(taps * taps * channels, 2);
  const std::vector<T> bias = whole_numbers<T>(channels, 3);
  std::vector<T> out(std::size_t(out_rows * pixels * ld), T(99)), expected = out;
  Epilogue<T> e = bounds<T>(-25, 30);
  e.bias = bias.data();
  DepthwiseLanes<T> d{};
  d.x = x.data();
  d.row_step = W * ld;
  d.pixel_step = ld;
  d.W = W;
  d.pad_left = pad;
  d.image_rows = image_rows;
  d.first_tap = first_tap;
  d.taps = d.columns = taps;
  d.stride = stride;
  d.weights = w.data();
  d.weight_row = taps * channels;
  d.weight_column = channels;
  d.pixels = pixels;
  d.channels = channels;
  d.out = out.data();
  d.out_step = ld;
  d.out_row = pixels * ld;
  d.out_rows = out_rows;
  d.epilogue = &e;
  set.depthwise_lanes(d);
  for (std::ptrdiff_t o = 0; o < out_rows; ++o)
    for (std::ptrdiff_t q = 0; q < pixels; ++q)
      for (std::ptrdiff_t c = 0; c < channels; ++c) {
        T sum = bias[std::size_t(c)];
        for (std::ptrdiff_t i = 0; i < image_rows; ++i)
          for (std::ptrdiff_t s = 0; s < taps; ++s) {
            const std::ptrdiff_t tap = first_tap + i - o, column = q * stride - pad + s;
            if (tap >= 0 && tap < taps && column >= 0 && column < W)
              sum += w[std::size_t((tap * taps + s) * channels + c)] * x[std::size_t((i * W + column) * ld + c)];
          }
        expected[std::size_t((o * pixels + q) * ld + c)] = clipped(sum, e);
      }
  CHECK_IN(type_name<T>() + " depthwise_lanes" + text({W, taps, stride, out_rows, first_tap}), same(out, expected));
}

template <class T>
void test_pixel(const KernelSet<T>& set, std::ptrdiff_t channels) {
  const std::ptrdiff_t R = 2, S = 3, ld = channels + 1;
  const std::vector<T> x = whole_numbers<T>(R * S * ld), w = whole_numbers<T>(R * S * channels, 2);
  std::vector<T> out(std::size_t(channels) + 1, T(99)), expected = out;
  const Epilogue<T> e = bounds<T>(-25, 30);
  set.depthwise_pixel({x.data(), S * ld, ld, w.data(), S * channels, channels, R, S, channels, out.data(), &e});
  for (std::ptrdiff_t c = 0; c < channels; ++c) {
    T sum = 0;
    for (std::ptrdiff_t tap = 0; tap < R * S; ++tap)
      sum += w[std::size_t(tap * channels + c)] * x[std::size_t(tap * ld + c)];
    expected[std::size_t(c)] = clipped(sum, e);
  }
  CHECK_IN(type_name<T>() + " depthwise_pixel" + text({channels}), same(out, expected));
}

template <class T>
void test_tap_sums(const KernelSet<T>& set, std::ptrdiff_t taps) {
  const std::ptrdiff_t rows = 3, columns = 2 * set.lanes + 5, x_row = columns + 30;
  const std::vector<T> x = whole_numbers<T>(rows * x_row + 20), y = whole_numbers<T>(rows * columns, 2);
  std::vector<std::ptrdiff_t> offset;
  for (std::ptrdiff_t i = 0; i < taps; ++i) offset.push_back(i * 7 % 19);
  std::vector<T> sums = whole_numbers<T>(taps, 3), expected = sums;
  set.tap_sums({x.data(), y.data(), x_row, columns, rows, columns, offset.data(), taps, sums.data()});
  for (std::ptrdiff_t i = 0; i < taps; ++i)
    for (std::ptrdiff_t p = 0; p < rows; ++p)
      for (std::ptrdiff_t q = 0; q < columns; ++q)
        expected[std::size_t(i)] +=
            y[std::size_t(p * columns + q)] * x[std::size_t(offset[std::size_t(i)] + p * x_row + q)];
  CHECK_IN(type_name<T>() + " tap_sums" + text({taps}), same(sums, expected));
}

template <class T>
void test_tap_grid(const KernelSet<T>& set, std::ptrdiff_t R, std::ptrdiff_t S, std::ptrdiff_t H, std::ptrdiff_t W,
                   std::ptrdiff_t pad) {
  const std::ptrdiff_t rows = H + 2 * pad - R + 1, columns = W + 2 * pad - S + 1;
  if (rows <= 0 || columns <= 0) return;
  const std::vector<T> image = whole_numbers<T>(H * W), y = whole_numbers<T>(rows * columns, 2);
  std::vector<T> sums = whole_numbers<T>(R * S, 3), expected = sums;
  set.tap_grid({image.data(), H, W, -pad, -pad, y.data(), columns, rows, columns, R, S, sums.data()});
  for (std::ptrdiff_t r = 0; r < R; ++r)
    for (std::ptrdiff_t s = 0; s < S; ++s)
      for (std::ptrdiff_t p = 0; p < rows; ++p)
        for (std::ptrdiff_t q = 0; q < columns; ++q) {
          const std::ptrdiff_t h = p + r - pad, w = q + s - pad;
          if (h >= 0 && h < H && w >= 0 && w < W)
            expected[std::size_t(r * S + s)] += y[std::size_t(p * columns + q)] * image[std::size_t(h * W + w)];
        }
  CHECK_IN(type_name<T>() + " tap_grid" + text({R, S, H, W, pad}), same(sums, expected));
}

template <class T>
void test_all() {
  const KernelSet<T>& set = kernel_set<T>(active_kernels());
  for (const auto& [H, W] : maps) {
    for (const std::ptrdiff_t R : {1, 2, 3, 4, 5, 7})
      for (const std::ptrdiff_t S : {R, std::ptrdiff_t{1}, R + 2})
        for (const std::ptrdiff_t pad : {std::ptrdiff_t{0}, R / 2, R}) {
          test_rows({H, W, R, S, 1, 1, pad}, set.depthwise_rows, "depthwise_rows");
          test_rows({H, W, R, S, 1, 3, pad}, set.depthwise_rows, "depthwise_rows");
          if (R % 2 == 1 && R > 1) test_rows({H, W, R, S, 2, 1, pad}, set.depthwise_rows, "depthwise_rows");
          if (R != 3) continue;
          for (const std::ptrdiff_t stride : {1, 2}) test_grouped({H, W, R, S, stride, 1, pad}, set);
          test_grouped({H, W, R, S, 1, 2, pad}, set);
        }
    for (const std::ptrdiff_t R : {3, 6, 9, 15})
      for (const std::ptrdiff_t dilation : {1, 2})
        test_rows({H, W, R, R + 1, 1, dilation, R / 2 * dilation}, set.depthwise_long, "depthwise_long");
    for (const std::ptrdiff_t S : {3, 5, 7})
      for (const std::ptrdiff_t R : {1, 3, 7})
        for (const std::ptrdiff_t pad : {std::ptrdiff_t{0}, S / 2}) test_tap_grid(set, R, S, H, W, pad);
  }
  for (const std::ptrdiff_t rows : {4, 5, 7, 8, 11})
    for (const std::ptrdiff_t columns : {3, 16, 37})
      for (const std::ptrdiff_t taps : {2, 5, 9}) test_strip(set, rows, columns, taps);
  for (const std::ptrdiff_t W : {3, 7, 12, 19})
    for (const std::ptrdiff_t taps : {3, 5, 7})
      for (const std::ptrdiff_t first_tap : {0, 1}) {
        test_lanes(set, W, taps, 1, 1, first_tap);
        test_lanes(set, W, taps, 2, 1, first_tap);
        test_lanes(set, W, taps, 1, set.depthwise_lane_rows, first_tap);
      }
  for (const std::ptrdiff_t channels : {1, 15, 16, 70, 200}) test_pixel(set, channels);
  for (const std::ptrdiff_t taps : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 25}) test_tap_sums(set, taps);
}

}  // namespace

int main() {
  return for_each_isa([] {
    test_all<float>();
    test_all<double>();
  });
}
