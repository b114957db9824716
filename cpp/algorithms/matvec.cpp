// One output pixel whose kernel covers the image (fully connected layers, global convolutions): a matrix of K x (C/g R
// S) weights times the flattened images. Every weight is used once per image, so the time is that of reading the
// weights: they are packed into one stream per panel, and a panel is read once for all images of a block.
//
// Outputs are lanes, images are what pixels are elsewhere. Panels are wide while the images are few: one image by four
// vectors is enough sums to hide the latency of an FMA, and read at 90 GB/s from L3, where two vectors reach 74 and
// rows of weights as they lie, summed along the row, 72 (2048 -> 1000, one core of a Zen 4).
#include "algorithms/common.hpp"

namespace fastconv {
namespace {

template <class T>
struct Blocking {
  Extent vectors, most_images;  // of a register tile
  Extent lanes;                 // filters of a panel
  Split panels, parts, images;

  Blocking(const ConvProblem& p, const KernelSet<T>& set)
      : vectors(vectors_of(p, set)),
        most_images(longest_run(set, vectors)),
        lanes(vectors * set.lanes),
        panels(padded_filters(set, p.K_per_group()), lanes),
        parts(p.taps(), set.run_part),
        images(p.N, images_of_block) {}

  // The sums of a panel that is not whole vectors, or of fewer filters than the output has room for.
  std::size_t sums_bytes() const { return bytes_of<T>(images.parts ? images.size(0) * lanes : 0); }

 private:
  static constexpr Extent images_of_block = 48;

  // Panels enough for many threads come first.
  static Extent vectors_of(const ConvProblem& p, const KernelSet<T>& set) {
    if (p.K_per_group() < 16 * set.lanes) return 2;
    return p.N <= longest_run(set, max_channel_vectors) ? Extent{max_channel_vectors} : Extent{set.run_vectors};
  }
};

std::string rejects(const ConvProblem& p) {
  if (p.P() * p.Q() == 1 && !p.has_padding() && p.R == p.H && p.S == p.W) return {};
  return "needs a kernel as large as the image and no padding, got a kernel of " + std::to_string(p.R) + "x" +
         std::to_string(p.S) + " on " + std::to_string(p.H) + "x" + std::to_string(p.W);
}

// Weights from L3.
double cost(const ConvProblem& p, const Kernels& kernels) {
  const Extent lanes = p.dtype == DType::float32 ? kernels.f32.lanes : kernels.f64.lanes;
  const double bytes = double(p.weight_size()) * double(size_of(p.dtype));
  return estimate(flops_of(p), 0.9 * channel_share(lanes, p.K_per_group(), p.taps()), bytes / 4, p, kernels);
}

std::size_t packed_bytes(const ConvProblem& p, const Kernels& kernels) {
  return with_type(p, [&](auto t) {
    using T = decltype(t);
    return std::size_t(p.groups * padded_filters(kernel_set<T>(kernels), p.K_per_group()) * p.taps()) * sizeof(T);
  });
}

std::size_t workspace(const ConvProblem& p, const Resources& r) {
  return with_type(p, [&](auto t) {
    using T = decltype(t);
    const Blocking<T> b(p, kernel_set<T>(*r.kernels));
    return offsets_bytes(b.parts.size(0)) + b.sums_bytes() * std::size_t(r.threads);
  });
}

template <class T>
void pack(const ConvProblem& p, const Kernels& kernels, const T* weight, std::byte* packed) {
  const KernelSet<T>& set = kernel_set<T>(kernels);
  const Blocking<T> b(p, set);
  const Extent taps = p.taps(), filters = p.K_per_group(), padded = padded_filters(set, filters);
  pack_groups(p, padded * taps, weight, reinterpret_cast<T*>(packed), [&](const T* from, T* to) {
    for (Extent k = 0; k < padded; k += b.lanes) {
      const Extent lanes = std::min(b.lanes, padded - k), live = std::min(filters - k, lanes);
      set.transpose_pack({from + k * taps, taps, live, taps, to + k * taps, lanes, lanes, nullptr});
    }
  });
}

template <class T>
bool run(const Execution<T>& e) {
  const ConvProblem& p = e.problem;
  const KernelSet<T>& set = kernel_set<T>(*e.resources.kernels);
  const Blocking<T> b(p, set);
  const Extent taps = p.taps(), filters = p.K_per_group(), padded = padded_filters(set, filters);
  auto* offset = reinterpret_cast<std::ptrdiff_t*>(e.workspace);
  for (Extent i = 0; i < b.parts.size(0); ++i) offset[i] = i;
  std::byte* const slices = e.workspace + offsets_bytes(b.parts.size(0));

  return parallel_for(p.groups * b.images.parts * b.panels.parts, e.resources.threads, [&](Extent task, int thread) {
    const Extent k = task % b.panels.parts * b.lanes, block = task / b.panels.parts % b.images.parts;
    const Extent g = task / b.panels.parts / b.images.parts, count = b.images.size(block);
    const Extent lanes = std::min(b.lanes, padded - k), live = std::min(lanes, filters - k);
    const T* image = e.input + (b.images.begin(block) * p.groups + g) * taps;
    T* const out = e.output + b.images.begin(block) * p.K + g * filters + k;
    T* const sums = live == lanes ? out : reinterpret_cast<T*>(slices + b.sums_bytes() * std::size_t(thread));

    const Epilogue<T> epilogue = from_filter(e.epilogue, g * filters + k);
    T bias[max_channel_vectors * widest_lanes] = {};
    if (epilogue.bias) std::copy_n(epilogue.bias, live, bias);
    Tile<T> tile{};
    tile.offset = offset;
    tile.ld = live == lanes ? p.K : lanes;
    tile.pixel_step = p.groups * taps;
    const Split runs(count, b.most_images);
    for (Extent part = 0; part < b.parts.parts; ++part) {
      const Extent first = b.parts.begin(part);
      tile.steps = b.parts.size(part);
      tile.packed = reinterpret_cast<const T*>(e.packed) + (g * padded + k) * taps + first * lanes;
      tile.initial = part == 0 ? bias : nullptr;
      tile.accumulate = part > 0;
      tile.epilogue = part + 1 == b.parts.parts ? &epilogue : nullptr;
      for (Extent run = 0; run < runs.parts; ++run) {
        tile.streamed = image + runs.begin(run) * tile.pixel_step + first;
        tile.out = sums + runs.begin(run) * tile.ld;
        set.channel_tile[runs.size(run)][lanes / set.lanes](tile);
      }
    }
    for (Extent n = 0; n < count; ++n) {
      T* const y = out + n * p.K;
      if (sums != out) std::copy_n(sums + n * lanes, live, y);
      if (epilogue.second_pass) set.activate(y, live, epilogue);
    }
  });
}

}  // namespace

extern const Algorithm matvec;
const Algorithm matvec = {
    .name = "matvec",
    .summary = "one output pixel: a matrix of weights times the flattened images, at the speed of reading the weights",
    .rejects = rejects,
    .variant = nullptr,
    .cost = cost,
    .packed_bytes = packed_bytes,
    .workspace = workspace,
    .takes_nhwc = never,
    .f32 = {pack<float>, run<float>},
    .f64 = {pack<double>, run<double>},
};

}  // namespace fastconv
