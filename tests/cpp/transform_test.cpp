// Winograd's transforms of every axis, by the definition of the filtering that they are for; the Fourier transforms of
// every size, by the circular sums of products that they are for; and the products in between.
#include <algorithm>

#include "kernel_test.hpp"
#include "winograd/variant.hpp"

using namespace fastconv;

namespace {

template <class T>
constexpr double rounding = sizeof(T) == 4 ? 1e-4 : 1e-12;

// y[j] = sum over k of g[k] d[j + k], lanes apart: inputs d to points, times those of the taps, to outputs y. Without
// the point at infinity the last tap is none.
template <class T>
void test_winograd_axis(const KernelSet<T>& set, int axis, bool tail, bool infinity) {
  const WinogradTransforms<T>& transforms = set.winograd[axis][tail];
  if (!transforms.input[infinity ? 0 : 1]) return;
  const filtering::AxisTable& table = filtering::table(WinogradAxis(axis));
  const int outputs = tail ? table.tail : table.outputs, points = outputs + table.taps - 1;
  const int used = infinity ? points : points - 1, L = set.lanes, count = 3, groups = 2;
  const std::ptrdiff_t line = L, group = (count + 1) * L;
  std::vector<std::vector<T>> d, v, s, y(std::size_t(outputs), std::vector<T>(std::size_t(groups * group))),
      expected = y;
  for (int i = 0; i < points; ++i) d.push_back(whole_numbers<T>(groups * group, unsigned(i) + 1));
  v.assign(std::size_t(points), std::vector<T>(std::size_t(groups * group)));
  std::vector<T> g = whole_numbers<T>(table.taps, 77);
  if (!infinity) g[std::size_t(table.taps) - 1] = 0;
  std::fill(d[0].begin(), d[0].end(), T(0));  // as null has it

  WinogradLines<T> in{};
  in.groups = groups;
  in.count = count;
  in.from_group = in.to_group = group;
  in.from_step = in.to_step = line;
  for (int i = 0; i < used; ++i) in.from[i] = i == 0 ? nullptr : d[std::size_t(i)].data();
  for (int i = 0; i < used; ++i) in.to[i] = v[std::size_t(i)].data();
  transforms.input[infinity ? 0 : 1](in);

  s = v;
  for (int i = 0; i < points; ++i) {
    double weight = 0;
    const int point = i + 1 == points ? table.points() - 1 : i;
    for (int k = 0; k < table.taps; ++k) weight += table.weight[point][k] * double(g[std::size_t(k)]);
    for (T& value : s[std::size_t(i)]) value = T(double(value) * weight);
  }
  for (const bool finish : {false, true}) {
    const std::vector<T> bias = whole_numbers<T>(L, 5);
    Epilogue<T> e = bounds<T>(-20, 20);
    e.bias = bias.data();
    WinogradLines<T> out = in;
    for (int i = 0; i < points; ++i) out.from[i] = s[std::size_t(i)].data();
    for (int j = 0; j < outputs; ++j) out.to[j] = y[std::size_t(j)].data();
    out.epilogue = finish ? &e : nullptr;
    transforms.output[finish](out);
    for (int j = 0; j < outputs; ++j) {
      for (int a = 0; a < groups; ++a)
        for (std::ptrdiff_t i = 0; i < count * L; ++i) {
          T sum = 0;
          for (int k = 0; k < table.taps; ++k)
            sum += g[std::size_t(k)] * d[std::size_t(j + k)][std::size_t(a * group + i)];
          if (finish) sum = clipped(T(sum + bias[std::size_t(i % L)]), e);
          expected[std::size_t(j)][std::size_t(a * group + i)] = sum;
        }
      CHECK_IN(type_name<T>() + " winograd axis " + std::to_string(axis) + (tail ? ", tail" : "") + ", output " +
                   std::to_string(j) + (infinity ? "" : ", without infinity"),
               same(y[std::size_t(j)], expected[std::size_t(j)], rounding<T> * 10));
    }
  }
}

template <class T>
void test_winograd_weights(const KernelSet<T>& set, int axis, int other) {
  const filtering::AxisTable &rows = filtering::table(WinogradAxis(axis)),
                             &columns = filtering::table(WinogradAxis(other));
  const std::ptrdiff_t L = set.lanes, lanes = 2 * L, channels = 2, taps = rows.taps * columns.taps;
  const std::vector<T> from = whole_numbers<T>(channels * taps * lanes);
  const int points = rows.points() * columns.points();
  std::vector<std::vector<T>> to(std::size_t(points), std::vector<T>(std::size_t(channels * lanes), T(99))),
      expected = to;
  WinogradWeights<T> w{};
  w.rows = {rows.weight, rows.points(), rows.taps, columns.taps * lanes};
  w.columns = {columns.weight, columns.points(), columns.taps, lanes};
  w.channels = channels;
  w.lanes = lanes;
  w.from = from.data();
  w.from_step = taps * lanes;
  for (int i = 0; i < points; ++i) w.to[i] = i == 1 ? nullptr : to[std::size_t(i)].data();
  set.winograd_weights(w);
  for (int i = 0; i < points; ++i) {
    for (std::ptrdiff_t at = 0; i != 1 && at < channels * lanes; ++at) {
      double sum = 0;
      for (int r = 0; r < rows.taps; ++r)
        for (int s = 0; s < columns.taps; ++s)
          sum += rows.weight[i / columns.points()][r] * columns.weight[i % columns.points()][s] *
                 double(from[std::size_t((at / lanes * taps + r * columns.taps + s) * lanes + at % lanes)]);
      expected[std::size_t(i)][std::size_t(at)] = T(sum);
    }
    CHECK_IN(type_name<T>() + " winograd_weights " + std::to_string(axis) + ", point " + std::to_string(i),
             same(to[std::size_t(i)], expected[std::size_t(i)], rounding<T>));
  }
}

// Two tiles of rows x columns of a plane, and kernels; through the transforms, in one way or another.
template <class T>
struct Fourier {
  const KernelSet<T>& set;
  int h, w;
  std::ptrdiff_t rows, columns, vector, H, W;
  std::vector<T> buffer, out[2];
  Epilogue<T> epilogue = no_bounds<T>();

  Fourier(const KernelSet<T>& kernels, int size_h, int size_w)
      : set(kernels),
        h(size_h),
        w(size_w),
        rows(16 << h),
        columns(16 << w),
        vector(2 * set.lanes),
        H(rows + 3),
        W(columns + 5) {
    buffer.resize(std::size_t(rows * (2 * columns + set.lanes)));
  }
  static constexpr std::ptrdiff_t R = 5, S = 3;
  std::ptrdiff_t P() const { return rows - R + 1; }
  std::ptrdiff_t Q() const { return columns - S + 1; }
  std::ptrdiff_t points() const { return 2 * rows * columns / vector; }
  std::string name() const { return type_name<T>() + " fft " + std::to_string(rows) + " x " + std::to_string(columns); }

  FftTiles<T> tiles() {
    FftTiles<T> t{};
    t.rows = rows;
    t.columns = columns;
    t.buffer = buffer.data();
    t.pitch = 2 * columns + set.lanes;
    t.epilogue = &epilogue;
    return t;
  }
  // The first tile begins outside of the plane, the second goes on beyond its end.
  FftTiles<T> of_image(const std::vector<T>& image) {
    FftTiles<T> t = tiles();
    t.H = H;
    t.W = W;
    for (int i = 0; i < 2; ++i) {
      t.image[i] = image.data();
      t.row[i] = i == 0 ? -2 : 6;
      t.column[i] = i == 0 ? -1 : 9;
      t.out_rows[i] = P() - i;
      t.out_columns[i] = Q() - 2 * i;
      out[i].assign(std::size_t(P() * Q()), T(99));
      t.out[i] = out[i].data();
    }
    t.out_ld = Q();
    return t;
  }
  void spectrum_of(const std::vector<T>& kernel, T* to, std::ptrdiff_t step) {
    std::vector<T> plane(std::size_t(R * S));
    for (std::size_t i = 0; i < plane.size(); ++i) plane[i] = kernel[i] / T(rows * columns);
    FftTiles<T> t = tiles();
    t.image[0] = plane.data();
    t.H = R;
    t.W = S;
    t.spectrum = to;
    t.step = step;
    set.fft[h].in_columns(t);
    set.fft[w].in_rows(t);
  }
  void add(std::vector<T>& to, int tile, const FftTiles<T>& t, const std::vector<T>& image,
           const std::vector<T>& kernel) {
    for (std::ptrdiff_t p = 0; p < t.out_rows[tile]; ++p)
      for (std::ptrdiff_t q = 0; q < t.out_columns[tile]; ++q)
        for (std::ptrdiff_t r = 0; r < R; ++r)
          for (std::ptrdiff_t s = 0; s < S; ++s) {
            const std::ptrdiff_t y = t.row[tile] + p + r, x = t.column[tile] + q + s;
            if (y >= 0 && y < H && x >= 0 && x < W)
              to[std::size_t(p * Q() + q)] += kernel[std::size_t(r * S + s)] * image[std::size_t(y * W + x)];
          }
  }
  std::vector<T> blank(int tile, const FftTiles<T>& t) const {
    std::vector<T> values(std::size_t(P() * Q()), T(99));
    for (std::ptrdiff_t p = 0; p < t.out_rows[tile]; ++p)
      std::fill_n(values.begin() + p * Q(), t.out_columns[tile], T(0));
    return values;
  }

  void test_through_rows() {
    const std::vector<T> image = whole_numbers<T>(H * W), kernel = whole_numbers<T>(R * S, 2);
    std::vector<T> spectrum(std::size_t(points() * vector));
    spectrum_of(kernel, spectrum.data(), vector);
    FftTiles<T> t = of_image(image);
    t.spectrum = spectrum.data();
    t.step = vector;
    set.fft[h].in_columns(t);
    set.fft[w].through_rows(t);
    set.fft[h].out_columns(t);
    for (int i = 0; i < 2; ++i) {
      std::vector<T> expected = blank(i, t);
      add(expected, i, t, image, kernel);
      CHECK_IN(name() + ", through rows, tile " + std::to_string(i), same(out[i], expected, rounding<T>));
    }
  }

  // Channels and filters, of `pairs` pairs of tiles that are all the same.
  void test_product(std::ptrdiff_t pairs) {
    const std::ptrdiff_t channels = 2, filters = 3, most = set.fft_filters;
    const std::ptrdiff_t z_step = channels * pairs * vector, y_step = filters * pairs * vector;
    std::vector<T> z(std::size_t(points() * z_step)), y(std::size_t(points() * y_step));
    std::vector<T> weights(std::size_t(points() * filters * channels * vector));
    std::vector<std::vector<T>> images, kernels;
    for (std::ptrdiff_t c = 0; c < channels; ++c) images.push_back(whole_numbers<T>(H * W, unsigned(c) + 1));
    for (std::ptrdiff_t i = 0; i < filters * channels; ++i) kernels.push_back(whole_numbers<T>(R * S, unsigned(i) + 5));
    for (std::ptrdiff_t k = 0; k < filters; ++k)
      for (std::ptrdiff_t c = 0; c < channels; ++c) {
        const std::ptrdiff_t first = k / most * most, together = std::min(most, filters - first);
        spectrum_of(kernels[std::size_t(k * channels + c)],
                    weights.data() + (first * channels + c * together + k - first) * vector,
                    filters * channels * vector);
      }
    for (std::ptrdiff_t c = 0; c < channels; ++c)
      for (std::ptrdiff_t pair = 0; pair < pairs; ++pair) {
        FftTiles<T> t = of_image(images[std::size_t(c)]);
        t.spectrum = z.data() + (c * pairs + pair) * vector;
        t.step = z_step;
        set.fft[h].in_columns(t);
        set.fft[w].in_rows(t);
      }
    set.fft_product({z.data(), z_step, weights.data(), y.data(), y_step, points(), channels, filters, pairs});
    for (std::ptrdiff_t k = 0; k < filters; ++k) {
      FftTiles<T> t = of_image(images[0]);
      t.spectrum = y.data() + (k * pairs + pairs - 1) * vector;
      t.step = y_step;
      set.fft[w].out_rows(t);
      set.fft[h].out_columns(t);
      for (int i = 0; i < 2; ++i) {
        std::vector<T> expected = blank(i, t);
        for (std::ptrdiff_t c = 0; c < channels; ++c)
          add(expected, i, t, images[std::size_t(c)], kernels[std::size_t(k * channels + c)]);
        CHECK_IN(name() + ", product of " + std::to_string(pairs) + " pairs, filter " + std::to_string(k),
                 same(out[i], expected, rounding<T>));
      }
    }
  }
};

template <class T>
void test_transforms() {
  const KernelSet<T>& set = kernel_set<T>(active_kernels());
  for (int axis = 0; axis < winograd_axes; ++axis) {
    for (const bool infinity : {true, false}) {
      test_winograd_axis(set, axis, false, infinity);
      if (filtering::table(WinogradAxis(axis)).tail > 0) test_winograd_axis(set, axis, true, infinity);
    }
    test_winograd_weights(set, axis, axis);
    test_winograd_weights(set, axis, 0);
  }
  for (int h = 0; h < fft_sizes; ++h)
    for (int w = 0; w < fft_sizes; ++w) Fourier<T>(set, h, w).test_through_rows();
  for (std::ptrdiff_t pairs = 1; pairs <= fft_tiles; ++pairs) Fourier<T>(set, int(pairs % 2), 0).test_product(pairs);
}

}  // namespace

int main() {
  return for_each_isa([] {
    test_transforms<float>();
    test_transforms<double>();
  });
}
