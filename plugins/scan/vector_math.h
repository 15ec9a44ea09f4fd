// Elementary functions on vectors of float: 2^x, softplus, SiLU. Relative errors were measured against
// float64 over their whole range (tests/ops). The coefficients are minimax fits made for this file.
#ifndef VMEXPORT_SCAN_VECTOR_MATH_H
#define VMEXPORT_SCAN_VECTOR_MATH_H

#include "simd.h"

namespace {

constexpr float kLog2e = 1.44269504088896340736f;

// 2^(j/kSteps) for j in [0, kSteps), with j subtracted where the exponent sum of exp2_of_product adds it.
#if defined(__AVX512F__)
constexpr int kStepBits = 5;
constexpr uint32_t kExp2Table[] = {
    0x3f800000, 0x3f7ecd87, 0x3f7daac3, 0x3f7c980f, 0x3f7b95c2, 0x3f7aa43a, 0x3f79c3d3, 0x3f78f4f0,
    0x3f7837f0, 0x3f778d3a, 0x3f76f532, 0x3f767043, 0x3f75fed7, 0x3f75a15b, 0x3f75583f, 0x3f7523f6,
    0x3f7504f3, 0x3f74fbaf, 0x3f7508a4, 0x3f752c4d, 0x3f75672a, 0x3f75b9be, 0x3f76248c, 0x3f76a81e,
    0x3f7744fd, 0x3f77fbb8, 0x3f78ccdf, 0x3f79b907, 0x3f7ac0c7, 0x3f7be4ba, 0x3f7d257d, 0x3f7e83b3,
};
#elif defined(__AVX2__)
constexpr int kStepBits = 3;
constexpr uint32_t kExp2Table[] = {
    0x3f800000, 0x3f7b95c2, 0x3f7837f0, 0x3f75fed7, 0x3f7504f3, 0x3f75672a, 0x3f7744fd, 0x3f7ac0c7,
};
#else
constexpr int kStepBits = 0;
#endif

// The table's entry for the low kStepBits bits of each lane.
VMEXPORT_INLINE vint exp2_step([[maybe_unused]] vint steps) {
#if defined(__AVX512F__)
  const __m512i low = _mm512_loadu_si512(kExp2Table);
  const __m512i high = _mm512_loadu_si512(kExp2Table + 16);
  return reinterpret_cast<vint>(_mm512_permutex2var_epi32(low, reinterpret_cast<__m512i>(steps), high));
#elif defined(__AVX2__)
  const __m256i table = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kExp2Table));
  return reinterpret_cast<vint>(_mm256_permutevar8x32_epi32(table, reinterpret_cast<__m256i>(steps)));
#else
  return vint{} + 0x3f800000;
#endif
}

// (2^r - 1) / r for |r| <= 2^-(kStepBits + 1).
VMEXPORT_INLINE vfloat exp2_polynomial(vfloat r) {
#if defined(__AVX512F__)
  return r * 0.24022649738177676f + 0.693157329775339f;
#elif defined(__AVX2__)
  return (r * 0.05550963341263857f + 0.24025786098539093f) * r + 0.6931471624968096f;
#else
  vfloat p = r * 0.001328594709239492f + 0.009674320676158980f;
  p = p * r + 0.055506692328968696f;
  p = p * r + 0.2402218034883326f;
  return p * r + 0.6931470203580072f;
#endif
}

#if defined(__aarch64__)
// The same polynomial as a sum of pairs. fmla overwrites its addend, so each constant addend costs a copy: pairs need
// three, Horner's rule five. The factors stand in the lanes of two registers, which leaves the states theirs.
VMEXPORT_INLINE vfloat exp2_fraction(vfloat r) {
  float32x4_t odd = {0.6931470203580072f, 0.055506692328968696f, 0.001328594709239492f, 0.0f};
  float32x4_t even = {0.2402218034883326f, 0.009674320676158980f, 0.0f, 0.0f};
  asm("" : "+w"(odd), "+w"(even));  // else the compiler spreads each over a register of its own, and spills
  const float32x4_t square = r * r;
  const float32x4_t high = vfmaq_laneq_f32(vdupq_laneq_f32(even, 1), r, odd, 2);
  const float32x4_t middle = vfmaq_laneq_f32(vdupq_laneq_f32(even, 0), r, odd, 1);
  const float32x4_t low = vfmaq_laneq_f32(vdupq_n_f32(1.0f), r, odd, 0);
  return vfmaq_f32(low, square, vfmaq_f32(middle, square, high));
}
#endif

// What is known of an exponent, NaN aside.
enum class Range {
  kAny,
  kNotPositive,  // x <= 0
  kModerate,     // kLeastModerate <= x <= 0
};
constexpr float kLeastModerate = -125.0f;
#if defined(__aarch64__)
constexpr bool kModerateIsCheaper = false;  // saturating arithmetic keeps the lower limit for nothing
#else
constexpr bool kModerateIsCheaper = true;
#endif

// x minus the nearest multiple of 2^-kStepBits, which `multiple` holds. The instruction that does it in one step rounds
// x by itself, so x has to be one number: were a * b fused into the other rounding, ties could go different ways.
VMEXPORT_INLINE vfloat rest(vfloat x, [[maybe_unused]] vfloat multiple) {
#if defined(__AVX512F__)
  return _mm512_reduce_ps(x, kStepBits << 4 | _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
  return x - multiple;
#endif
}

VMEXPORT_INLINE vfloat rounded_product(vfloat a, vfloat b) {
  vfloat x = a * b;
#if defined(__AVX512F__)
  asm("" : "+v"(x));
#endif
  return x;
}

// 2^(a b): 0 below 2^-127, infinity from 2^128 on, NaN for NaN.
template <Range kRange = Range::kAny>
VMEXPORT_INLINE vfloat exp2_of_product(vfloat a, vfloat b) {
#if defined(__aarch64__)
  // No lower bound: the exponent is added to the bits of 2^r as an integer that saturates at 0, which is also what the
  // NaN of -infinity - -infinity (sign bit clear) becomes; any other NaN has the exponent 0 added.
  const vfloat x = kRange == Range::kAny ? at_most(128.0f, a * b) : a * b;
  const vfloat whole = vrndnq_f32(x);
  vfloat power = exp2_fraction(x - whole);
  asm("usqadd %0.4s, %1.4s" : "+w"(power) : "w"(vcvtq_n_s32_f32(whole, 23)));
  return power;
#else
  // Adding 1.5 * 2^(23 - kStepBits) rounds to a multiple of 2^-kStepBits and leaves that multiple in the low bits:
  // its last kStepBits bits choose the table's entry, the others are the exponent.
  constexpr float kRound = 1.5f * (1 << (23 - kStepBits));
  vfloat x = rounded_product(a, b);
  if constexpr (kRange != Range::kModerate) x = at_least(-127.0f, x);
  if constexpr (kRange == Range::kAny) x = at_most(128.0f, x);
  const vfloat shifted = x + kRound;
  const vfloat r = rest(x, shifted - kRound);
  const vint steps = bits_of(shifted);
  const vfloat power = float_of((steps << (23 - kStepBits)) + exp2_step(steps));
  return power * (exp2_polynomial(r) * r + 1.0f);
#endif
}

// log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|)), and log1p(e) = 2 atanh(e / (2 + e)).
VMEXPORT_INLINE vfloat softplus(vfloat x) {
  const vfloat e = exp2_of_product<Range::kNotPositive>(absolute(x), splat(-kLog2e));
  const vfloat s = e / (e + 2.0f);
  const vfloat z = s * s;
  vfloat p = splat(0.26207182160029807f);
  p = p * z + 0.2836428855847165f;
  p = p * z + 0.4000136662406841f;
  p = p * z + 0.6666666532274066f;
  p = p * z + 2.0f;
  return p * s + at_least(0.0f, x);
}

VMEXPORT_INLINE vfloat silu(vfloat x) { return x / (exp2_of_product(x, splat(-kLog2e)) + 1.0f); }

}  // namespace

#endif  // VMEXPORT_SCAN_VECTOR_MATH_H
