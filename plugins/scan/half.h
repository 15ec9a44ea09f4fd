// 16-bit float storage and its scalar conversions, for tiers without instructions for them.
#ifndef VMEXPORT_SCAN_HALF_H
#define VMEXPORT_SCAN_HALF_H

#include <stdint.h>
#include <string.h>

namespace {

struct float16 {
  uint16_t bits;
};
struct bfloat16 {
  uint16_t bits;
};

[[maybe_unused]] inline float float_from_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

[[maybe_unused]] inline uint32_t bits_from_float(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

// IEEE binary16 to binary32. Multiplying by 2^112 moves the exponent's bias and makes subnormals normal.
[[maybe_unused]] inline float to_float(float16 half) {
  const uint32_t sign = (half.bits & 0x8000u) << 16;
  const uint32_t magnitude = (half.bits & 0x7fffu) << 13;
  if (magnitude >= 0x0f800000u) return float_from_bits(sign | magnitude | 0x7f800000u);  // infinity, NaN
  return float_from_bits(sign | bits_from_float(float_from_bits(magnitude) * 0x1p112f));
}

// IEEE binary32 to binary16, to nearest, ties to even; overflow becomes infinity.
[[maybe_unused]] inline float16 to_float16(float x) {
  const uint32_t bits = bits_from_float(x);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return {static_cast<uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x1ffu))};
  if (magnitude >= 0x477ff000u) return {static_cast<uint16_t>(sign | 0x7c00u)};
  if (magnitude < 0x38800000u) {  // subnormal: adding 0.5 leaves the 2^-24 units in the low bits
    const uint32_t units = bits_from_float(float_from_bits(magnitude) + 0.5f) - 0x3f000000u;
    return {static_cast<uint16_t>(sign | units)};
  }
  const uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
  return {static_cast<uint16_t>(sign | ((rounded - 0x38000000u) >> 13))};
}

}  // namespace

#endif  // VMEXPORT_SCAN_HALF_H
