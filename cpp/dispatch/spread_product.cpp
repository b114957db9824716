#include "fastconv/spread_product.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "base/parallel_for.hpp"
#include "dispatch/finish.hpp"
#include "dispatch/spread_chunks.hpp"
#include "dispatch/workspace.hpp"
#include "fastconv/threads.hpp"
#include "gemm/tap_range.hpp"
#include "kernels/kernels.hpp"

namespace fastconv {

namespace {

template <class T>
struct Work {
  const SpreadShape& s;
  const KernelSet<T>& set;
  const Blocking<T>& by;
  Epilogue<T> epilogue;
  const T *input, *weight;
  T *packed, *output;
  const std::ptrdiff_t* offset;

  T* packed_chunk(Extent g, const Chunk& chunk) const {
    return packed + (g * s.N * volume(s.extents) + chunk.first) * (s.C / s.groups);
  }
};

// A chunk of a group's channels, in the order of the register tiles' packed operand.
template <class T>
void pack_chunk(const Work<T>& w, Extent g, const Chunk& chunk) {
  const SpreadShape& s = w.s;
  const Extent pixels = volume(s.extents), Cg = s.C / s.groups;
  const bool nhwc = s.layout == Layout::nhwc;
  const Extent channel = nhwc ? 1 : pixels, pixel = nhwc ? s.C : 1;
  const Split panels(chunk.rows(), panel_rows(w.set, Cg));
  T* to = w.packed_chunk(g, chunk);
  for (Extent panel = 0; panel < panels.parts; to += Cg * panels.size(panel++))
    for (Extent i = 0; i < panels.size(panel); ++i) {
      const Extent row = panels.begin(panel) + i, line = row / chunk.pixels;
      const Extent n = chunk.image + line / chunk.lines,
                   at = (chunk.line + line % chunk.lines) * s.extents[2] + chunk.pixel + row % chunk.pixels;
      const T* const from = w.input + n * s.C * pixels + g * Cg * channel + at * pixel;
      for (Extent c = 0; c < Cg; ++c) to[c * panels.size(panel) + i] = from[c * channel];
    }
}

// A block of a group's weights from column `first` on into strips.
template <class T>
void pack_weights(const Work<T>& w, Extent g, Extent first, Extent count, T* strips) {
  const Extent Cg = w.s.C / w.s.groups, ld = w.s.K / w.s.groups * w.by.taps;
  w.set.strip_pack({w.weight + g * Cg * ld + first, ld, Cg, count, strips, w.by.strip, w.by.strip_step});
}

template <class T>
void multiply(const Work<T>& w, Extent g, const Chunk& chunk, Extent count, const T* strips, T* columns) {
  const Blocking<T>& by = w.by;
  Product<T> product{
      w.set, w.packed_chunk(g, chunk), chunk.rows(), w.s.C / w.s.groups, strips, w.offset, 1, 0, count, columns, by.ld,
      by.ld, no_epilogue<T>()};
  product.strip = by.strip;
  product.strip_step = by.strip_step;
  product.part = by.part;
  multiply_pixel_lanes(product);
}

// The values of a row of inputs for one row of taps, S of them, onto a row of outputs. S = 0: as many as the kernel
// has. Windows of neighbours overlap, and to load what was partly just stored takes longer than all else: so
// inputs come in passes of those whose windows do not.
template <int S, class T>
void add_row(const SpreadShape& s, const Chunk& chunk, const T* from, Extent from_ld, T* to, Extent to_step) {
  const Extent stride = s.stride[2], dilation = s.dilation[2], Q = s.outputs[2], taps = S ? S : s.kernel[2];
  const Extent passes = std::min(chunk.pixels, ceil_div((taps - 1) * dilation + 1, stride));
  for (Extent pass = 0; pass < passes; ++pass)
    for (Extent x = pass; x < chunk.pixels; x += passes) {
      const Extent q = (chunk.pixel + x) * stride - s.pads[2];
      const T* const values = from + x * from_ld;
      if (q >= 0 && q + (taps - 1) * dilation < Q) {
        T* const at = to + q * to_step;
        if constexpr (S != 0)
          for (Extent i = 0; i < S; ++i) at[i] += values[i];
        else
          for (Extent i = 0; i < taps; ++i) at[i * dilation * to_step] += values[i];
      } else {
        const TapRange inside(q, dilation, taps, Q);
        for (Extent i = inside.begin; i < inside.end; ++i) to[(q + i * dilation) * to_step] += values[i];
      }
    }
}

template <class T>
auto row_adder(const SpreadShape& s) {
  if (s.layout == Layout::nhwc || s.dilation[2] != 1) return add_row<0, T>;
  switch (s.kernel[2]) {
    case 2:
      return add_row<2, T>;
    case 3:
      return add_row<3, T>;
    case 4:
      return add_row<4, T>;
    case 8:
      return add_row<8, T>;
    case 16:
      return add_row<16, T>;
    default:
      return add_row<0, T>;
  }
}

// All taps of one filter onto its outputs of one image.
template <class T>
void add_up(const Work<T>& w, const Chunk& chunk, const T* columns, T* plane, Extent step) {
  const SpreadShape& s = w.s;
  const auto add = row_adder<T>(s);
  for (Extent line = 0; line < chunk.lines; ++line, columns += chunk.pixels * w.by.ld)
    for (Extent t = 0; t < s.kernel[0]; ++t) {
      const Extent d = (chunk.line + line) / s.extents[1], h = (chunk.line + line) % s.extents[1];
      const Extent o = d * s.stride[0] + t * s.dilation[0] - s.pads[0];
      if (o < 0 || o >= s.outputs[0]) continue;
      for (Extent r = 0; r < s.kernel[1]; ++r) {
        const Extent p = h * s.stride[1] + r * s.dilation[1] - s.pads[1];
        if (p < 0 || p >= s.outputs[1]) continue;
        add(s, chunk, columns + (t * s.kernel[1] + r) * s.kernel[2], w.by.ld,
            plane + (o * s.outputs[1] + p) * s.outputs[2] * step, step);
      }
    }
}

template <class T>
void finish(const Work<T>& w, T* values, Extent count, Extent step) {
  if (step == 1) return w.set.activate(values, count, w.epilogue);
  for (Extent i = 0; i < count; ++i) w.set.activate(values + i * step, 1, w.epilogue);
}

template <class T>
void run_task(const Work<T>& w, Extent g, Extent k, Extent filters, std::byte* memory) {
  T* const strips = reinterpret_cast<T*>(memory);
  T* const columns = reinterpret_cast<T*>(memory + w.by.strips_bytes());
  const SpreadShape& s = w.s;
  const Extent outputs = volume(s.outputs), Kg = s.K / s.groups, first = k * w.by.taps, total = filters * w.by.taps;
  const Extent step = s.layout == Layout::nhwc ? s.K : 1, image_step = s.K * outputs;
  T* const out = w.output + (g * Kg + k) * (s.layout == Layout::nhwc ? 1 : outputs);
  const Extent filter_step = s.layout == Layout::nhwc ? 1 : outputs;
  const auto each_plane = [&](auto&& f) {
    for (Extent n = 0; n < s.N; ++n)
      for (Extent i = 0; i < filters; ++i) f(out + n * image_step + i * filter_step, i);
  };
  each_plane([&](T* plane, Extent i) {
    const T start = w.epilogue.bias ? w.epilogue.bias[g * Kg + k + i] : T(0);
    for (Extent j = 0; j < outputs; ++j) plane[j * step] = start;
  });
  const bool is_one_block = total <= w.by.width;
  if (is_one_block) pack_weights(w, g, first, total, strips);
  for (const Chunk& chunk : w.by.chunks) {
    for (Extent at = 0; at < total; at += w.by.width) {
      const Extent count = std::min(w.by.width, total - at);
      if (!is_one_block) pack_weights(w, g, first + at, count, strips);
      multiply(w, g, chunk, count, strips, columns + at);
    }
    for (Extent n = 0; n < chunk.images; ++n)
      for (Extent i = 0; i < filters; ++i)
        add_up(w, chunk, columns + n * chunk.lines * chunk.pixels * w.by.ld + i * w.by.taps,
               out + (chunk.image + n) * image_step + i * filter_step, step);
  }
  const Epilogue<T>& e = w.epilogue;
  const T infinity = std::numeric_limits<T>::infinity();
  if (e.kind != ActivationKind::clip || e.low != -infinity || e.high != infinity)
    each_plane([&](T* plane, Extent) { finish(w, plane, outputs, step); });
}

template <class T>
bool run(const SpreadShape& s, const Epilogue<T>& epilogue, const T* input, const T* weight, T* output) {
  const KernelSet<T>& set = kernel_set<T>(active_kernels());
  const int threads = num_threads();
  const Blocking<T> by(s, set, threads);
  const Extent Cg = s.C / s.groups, Kg = s.K / s.groups, chunks = Extent(by.chunks.size());
  const std::size_t packed = bytes_of<T>(s.N * volume(s.extents) * s.C), offsets = offsets_bytes(Cg);
  const std::size_t task = by.task_bytes();
  const Workspace workspace(packed + offsets + task * std::size_t(threads));
  auto* const offset = reinterpret_cast<std::ptrdiff_t*>(workspace.data() + packed);
  for (Extent i = 0; i < Cg; ++i) offset[i] = i * by.strip;
  const Work<T> w{s, set, by, epilogue, input, weight, reinterpret_cast<T*>(workspace.data()), output, offset};

  const Extent blocks = ceil_div(Kg, by.filters);
  return parallel_for(
             s.groups * chunks, threads,
             [&](Extent index, int) { pack_chunk(w, index / chunks, by.chunks[std::size_t(index % chunks)]); }) &&
         parallel_for(s.groups * blocks, threads, [&](Extent index, int thread) {
           const Extent k = index % blocks * by.filters;
           run_task(w, index / blocks, k, std::min(by.filters, Kg - k),
                    workspace.data() + packed + offsets + task * std::size_t(thread));
         });
}

}  // namespace

bool spread_product(const Layer& layer, const Activation& activation, const void* input, const void* weight,
                    const void* bias, void* output) {
  const std::string reason = invalid(layer);
  if (!reason.empty()) throw std::invalid_argument(reason);
  if (layer.kind != Kind::transposed) throw std::invalid_argument("kind: expected a transposed layer");
  if (layer.N == 0) return true;
  const SpreadShape s(simplified(layer));
  return with_type(s.dtype, [&](auto t) {
    using T = decltype(t);
    const Epilogue<T> epilogue = epilogue_of<T>(activation, bias, output, nullptr);
    return run<T>(s, epilogue, static_cast<const T*>(input), static_cast<const T*>(weight), static_cast<T*>(output));
  });
}

}  // namespace fastconv
