// In words: why a layer is refused, and why one variant was taken rather than another.
#include <algorithm>
#include <cstdio>

#include "gemm/product.hpp"
#include "winograd/cut.hpp"

namespace fastconv::filtering {
namespace {

std::string pair(Extent a, Extent b) { return std::to_string(a) + "x" + std::to_string(b); }

std::string with_digits(const char* format, double value) {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

// "0, +-5/8, +-3/2"
std::string points_of(const AxisTable& axis) {
  std::string text;
  for (int i = 0; i + 1 < axis.points(); ++i) {
    const cook_toom::Ratio p = axis.point[i];
    const bool paired =
        i + 2 < axis.points() && p.over != 0 && axis.point[i + 1].over == -p.over && axis.point[i + 1].under == p.under;
    text += (i ? ", " : "") + std::string(paired ? "+-" : "") + std::to_string(p.over);
    if (p.under != 1) text.append("/").append(std::to_string(p.under));
    i += paired;
  }
  return text;
}

// "3 x 4 + 1 x 2 for 14": of one of the interleaved layers.
std::string tiles_of(const Tiling& t) {
  std::string text = std::to_string(t.whole) + " x " + std::to_string(t.outputs);
  if (t.tails) text.append(" + ").append(std::to_string(t.tails)).append(" x ").append(std::to_string(t.tail_outputs));
  return text + " for " + std::to_string(ceil_div(t.result, t.dilation));
}

}  // namespace

std::string why_not(const ConvProblem& p) {
  if (p.stride_h != p.stride_w || p.stride_h > 2) return "needs stride 1 or 2, got " + pair(p.stride_h, p.stride_w);
  if (p.stride_h > 1 && !p.has_unit_dilation())
    return "needs dilation 1 at stride 2, got " + pair(p.dilation_h, p.dilation_w);
  if (p.dilation_h > p.P() || p.dilation_w > p.Q())
    return "needs dilations of at most the output, " + pair(p.P(), p.Q()) + ", got " + pair(p.dilation_h, p.dilation_w);
  std::string kernels;
  double least = 0;
  bool taken = false;
  for (const Variant& v : variants()) {
    taken = taken || takes(v, p);
    if (fits(v, p)) least = least > 0 ? std::min(least, v.error(p)) : v.error(p);
    if (v.stride == p.stride_h && kernels.find(pair(v.R, v.S)) == std::string::npos)
      kernels += (kernels.empty() ? "" : ", ") + pair(v.R, v.S);
  }
  if (p.variant >= 0) return "needs one of its variants that take the layer, got number " + std::to_string(p.variant);
  if (least > 0)
    return "needs an error limit of " + with_digits("%.1f", least) + " epsilon, got " +
           with_digits("%.1f", p.error_limit);
  if (taken) return "needs blocks of at most " + std::to_string(block_bytes) + " bytes: too many channels";
  return "needs a kernel of " + kernels + " at stride " + std::to_string(p.stride_h) + ", got " + pair(p.R, p.S);
}

std::string details(const ConvProblem& p) {
  const Variant& chosen = *find_variant(p);
  const Tilings t(chosen, p);
  const AxisTable &down = table(chosen.rows), &across = table(chosen.columns);
  const double time = microseconds(chosen, p);
  std::string text = std::string(chosen.name) + ": points " + points_of(down.points() > 1 ? down : across) +
                     " and infinity; tiles of " + tiles_of(t.rows) + " rows, " + tiles_of(t.columns) +
                     " columns; error " + with_digits("%.1f", chosen.error(p)) + " epsilon";
  for (const Variant& v : variants()) {
    if (&v == &chosen || !takes(v, p)) continue;
    text += "; not " + std::string(v.name) + ": ";
    if (!fits(v, p))
      text += "too many channels for a block's workspace";
    else if (v.error(p) > p.error_limit)
      text +=
          "error " + with_digits("%.1f", v.error(p)) + " epsilon, the limit is " + with_digits("%.1f", p.error_limit);
    else
      text += with_digits("%.2f", microseconds(v, p) / time) + " times the estimated time, weights packed";
  }
  return text;
}

}  // namespace fastconv::filtering
