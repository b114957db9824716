// Every register tile against a plain loop: each shape, with and without a masked tail, with every way out.
#include "kernel_test.hpp"

using namespace fastconv;

namespace {

constexpr std::ptrdiff_t steps = 5;

// The ways a tile begins and ends.
struct Way {
  bool initial, accumulate, clips, second_pass;
};
constexpr Way ways[] = {
    {false, false, false, false}, {true, false, true, false}, {true, true, false, false}, {false, true, true, true}};

// A second pass after the bounds: twice what is below zero.
template <class T>
Epilogue<T> epilogue_of(const Way& way) {
  Epilogue<T> e = way.clips ? bounds<T>(-30, 40) : no_bounds<T>();
  if (way.second_pass) {
    e.second_pass = true;
    e.kind = ActivationKind::leaky_relu;
    e.slope = T(2);
  }
  return e;
}
template <class T>
T finished(T sum, const Epilogue<T>& e) {
  const T value = clipped(sum, e);
  return e.second_pass && value < 0 ? 2 * value : value;
}

template <class T>
void test_pixel_tile(const KernelSet<T>& set, int m, int nv, bool masked) {
  const std::ptrdiff_t L = set.lanes, width = nv * L, ld = width + 3;
  const std::ptrdiff_t offset[steps] = {0, 2 * width, 7, width + 1, 3};
  const std::vector<T> packed = whole_numbers<T>(steps * m), streamed = whole_numbers<T>(4 * width + 16, 2);
  const std::vector<T> initial = whole_numbers<T>(m, 3), before = whole_numbers<T>(m * ld, 4);
  for (const Way& way : ways)
    for (const std::ptrdiff_t tail : {std::ptrdiff_t{1}, L / 2, L}) {
      if (!masked && tail != L) continue;
      const Epilogue<T> epilogue = epilogue_of<T>(way);
      std::vector<T> out = before, expected = before;
      Tile<T> tile{};
      tile.steps = steps;
      tile.packed = packed.data();
      tile.streamed = streamed.data();
      tile.offset = offset;
      tile.out = out.data();
      tile.ld = ld;
      tile.tail = int(tail);
      tile.initial = way.initial ? initial.data() : nullptr;
      tile.accumulate = way.accumulate;
      tile.epilogue = way.clips ? &epilogue : nullptr;
      set.pixel_tile[masked][m][nv](tile);
      for (int i = 0; i < m; ++i)
        for (std::ptrdiff_t j = 0; j < (nv - 1) * L + tail; ++j) {
          T& to = expected[std::size_t(i * ld + j)];
          T sum = way.accumulate ? to : T(0);
          if (way.initial) sum += initial[std::size_t(i)];
          for (std::ptrdiff_t s = 0; s < steps; ++s)
            sum += packed[std::size_t(s * m + i)] * streamed[std::size_t(offset[s] + j)];
          to = way.clips ? finished(sum, epilogue) : sum;
        }
      CHECK_IN(type_name<T>() + " pixel tile " + std::to_string(m) + " x " + std::to_string(nv) + ", tail " +
                   std::to_string(tail),
               same(out, expected));
    }
}

template <class T>
void test_channel_tile(const KernelSet<T>& set, int px, int nv) {
  const std::ptrdiff_t width = nv * set.lanes, ld = width + 3, step = 6;
  const std::ptrdiff_t offset[steps] = {0, 1, 5, 17, 3};
  const std::vector<T> packed = whole_numbers<T>(steps * width), streamed = whole_numbers<T>(px * step + 18, 2);
  const std::vector<T> initial = whole_numbers<T>(width, 3), before = whole_numbers<T>(px * ld, 4);
  for (const Way& way : ways) {
    if (way.second_pass) continue;  // the caller's, behind the transposition
    const Epilogue<T> epilogue = epilogue_of<T>(way);
    std::vector<T> out = before, expected = before;
    Tile<T> tile{};
    tile.steps = steps;
    tile.packed = packed.data();
    tile.streamed = streamed.data();
    tile.offset = offset;
    tile.out = out.data();
    tile.ld = ld;
    tile.pixel_step = step;
    tile.initial = way.initial ? initial.data() : nullptr;
    tile.accumulate = way.accumulate;
    tile.epilogue = way.clips ? &epilogue : nullptr;
    set.channel_tile[px][nv](tile);
    for (int p = 0; p < px; ++p)
      for (std::ptrdiff_t j = 0; j < width; ++j) {
        T& to = expected[std::size_t(p * ld + j)];
        T sum = way.accumulate ? to : T(0);
        if (way.initial) sum += initial[std::size_t(j)];
        for (std::ptrdiff_t s = 0; s < steps; ++s)
          sum += packed[std::size_t(s * width + j)] * streamed[std::size_t(offset[s] + p * step)];
        to = way.clips ? finished(sum, epilogue) : sum;
      }
    CHECK_IN(type_name<T>() + " channel tile " + std::to_string(px) + " x " + std::to_string(nv), same(out, expected));
  }
}

template <class T>
void test_tiles() {
  const KernelSet<T>& set = kernel_set<T>(active_kernels());
  int pixel_tiles = 0, channel_tiles = 0;
  for (int m = 0; m <= max_pixel_rows; ++m)
    for (int nv = 0; nv <= max_pixel_vectors; ++nv)
      for (const bool masked : {false, true})
        if (set.pixel_tile[masked][m][nv]) {
          test_pixel_tile(set, m, nv, masked);
          ++pixel_tiles;
        }
  for (int px = 0; px <= max_channel_pixels; ++px)
    for (int nv = 0; nv <= max_channel_vectors; ++nv)
      if (set.channel_tile[px][nv]) {
        test_channel_tile(set, px, nv);
        ++channel_tiles;
      }
  CHECK(pixel_tiles >= 2 * set.pixel_rows * set.pixel_vectors);
  CHECK(channel_tiles >= set.channel_pixels * set.channel_vectors);
  CHECK(set.lanes <= widest_lanes && set.nominal_gflops > 0);
}

}  // namespace

int main() {
  return for_each_isa([] {
    test_tiles<float>();
    test_tiles<double>();
  });
}
