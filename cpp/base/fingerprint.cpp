// Products of 64 by 64 bits whose halves are folded, in four lanes.
// Source: Wang Yi, wyhash (2019), https://github.com/wangyi-fudan/wyhash.
#include "base/fingerprint.hpp"

#include <array>
#include <cstring>

namespace fastconv {

namespace {

__extension__ using Wide = unsigned __int128;

// wyhash's numbers: odd, with 32 bits set each.
constexpr std::array<std::uint64_t, 4> keys = {0xa0761d6478bd642fu, 0xe7037ed1a0b428dbu, 0x8ebc6af09c88c6e3u,
                                               0x589965cc75374cc3u};

std::uint64_t folded(std::uint64_t a, std::uint64_t b) {
  const Wide product = Wide(a) * b;
  return std::uint64_t(product) ^ std::uint64_t(product >> 64);
}

using Lanes = std::array<std::uint64_t, 4>;
constexpr std::size_t step = 64;

void take(Lanes& lanes, const std::byte* from) {
  std::array<std::uint64_t, 8> words;
  std::memcpy(words.data(), from, step);
  for (std::size_t i = 0; i < lanes.size(); ++i) lanes[i] = folded(words[2 * i] ^ keys[i], words[2 * i + 1] ^ lanes[i]);
}

}  // namespace

std::uint64_t fingerprint(const void* data, std::size_t bytes) {
  const auto* from = static_cast<const std::byte*>(data);
  Lanes lanes = keys;
  std::size_t left = bytes;
  for (; left >= step; left -= step, from += step) take(lanes, from);
  std::array<std::byte, step> last{};
  if (left) std::memcpy(last.data(), from, left);
  take(lanes, last.data());
  const std::uint64_t halves = folded(lanes[0] ^ keys[1], lanes[1]) ^ folded(lanes[2] ^ keys[3], lanes[3] + 1);
  return folded(halves ^ keys[0], keys[2] ^ bytes);
}

}  // namespace fastconv
