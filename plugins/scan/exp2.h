// 2^(a b) on vectors of float, one way an instruction set. The coefficients are minimax fits made for this file.
#ifndef VMEXPORT_SCAN_EXP2_H
#define VMEXPORT_SCAN_EXP2_H

#include "simd.h"

namespace {

constexpr float kLog2e = 1.44269504088896340736f;

// What is known of an exponent, NaN aside.
enum class Range {
  kAny,
  kNotPositive,  // x <= 0
  kModerate,     // kLeastModerate <= x <= 0
};
constexpr float kLeastModerate = -122.0f;

// exp2_of_product<range>(a, b) is 2^(a b): 0 below 2^kVanishes, infinity from 2^128 on, NaN for NaN.

#if defined(__AVX512F__)

constexpr bool kModerateIsCheaper = true;
constexpr float kVanishes = -124.0f;

// kScale 2^(j/32) for j in [0, 32), with j subtracted where the sum of the exponents adds it. kScale (q^2 + 1/kScale -
// kCentre^2), q = r + kCentre, is a quadratic fit of 2^r for |r| <= 1/64, exactly 1 at 0: one multiplication fewer than
// Horner's rule, and the addition goes to units that the multiplications leave free.
constexpr float kCentre = 1.4426888227462769f;
constexpr float kOffset = 2.0813076496124268f;
constexpr uint32_t kScaledSteps[] = {
    0x3e75ff23, 0x3e77621d, 0x3e7871a4, 0x3e7741a8, 0x3e762170, 0x3e751154, 0x3e7411af, 0x3e7322de,
    0x3e72453e, 0x3e71792f, 0x3e70bf15, 0x3e701754, 0x3e6f8253, 0x3e6f007b, 0x3e6e9237, 0x3e6e37f5,
    0x3e6df225, 0x3e6dc13b, 0x3e6da5aa, 0x3e6d9feb, 0x3e6db078, 0x3e6dd7ce, 0x3e6e166d, 0x3e6e6cd7,
    0x3e6edb91, 0x3e6f6325, 0x3e70041c, 0x3e70bf06, 0x3e719474, 0x3e7284fb, 0x3e739133, 0x3e74b9b6,
};

template <Range kRange = Range::kAny>
VMEXPORT_INLINE vfloat exp2_of_product(vfloat a, vfloat b) {
  vfloat x = a * b;
  // Both roundings below have to see one and the same number: were the product fused into the first, ties could go
  // different ways.
  asm("" : "+v"(x));
  const __mmask16 lasts = _mm512_cmp_ps_mask(x, splat(kVanishes), _CMP_NLE_UQ);  // NaN too
  if constexpr (kRange == Range::kAny) x = at_most(128.0f, x);
  // The last 5 bits of x + 1.5 * 2^18 choose the entry, those before them are the exponent.
  const __m512i steps = _mm512_castps_si512(x + 0x1.8p18f);
  const __m512i low = _mm512_loadu_si512(kScaledSteps);
  const __m512i high = _mm512_loadu_si512(kScaledSteps + 16);
  const __m512i entry = _mm512_permutex2var_epi32(low, steps, high);
  const vfloat power = _mm512_castsi512_ps(_mm512_add_epi32(_mm512_slli_epi32(steps, 18), entry));
  const vfloat q = _mm512_reduce_ps(x, 5 << 4 | _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC) + kCentre;
  if constexpr (kRange == Range::kModerate) return power * (q * q + kOffset);
  return _mm512_maskz_mul_ps(lasts, power, q * q + kOffset);
}

#elif defined(__aarch64__)

constexpr bool kModerateIsCheaper = false;  // saturating arithmetic keeps the lower limit for nothing
constexpr float kVanishes = -127.0f;

// A polynomial of degree 5 as a sum of pairs. fmla overwrites its addend, so each constant addend costs a copy: pairs
// need three, Horner's rule five. The factors stand in the lanes of two registers, which leaves the states theirs.
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

template <Range kRange = Range::kAny>
VMEXPORT_INLINE vfloat exp2_of_product(vfloat a, vfloat b) {
  // No lower bound: the exponent is added to the bits of 2^r as an integer that saturates at 0, which is also what the
  // NaN of -infinity - -infinity (sign bit clear) becomes; any other NaN has the exponent 0 added.
  const vfloat x = kRange == Range::kAny ? at_most(128.0f, a * b) : a * b;
  const vfloat whole = vrndnq_f32(x);
  vfloat power = exp2_fraction(x - whole);
  asm("usqadd %0.4s, %1.4s" : "+w"(power) : "w"(vcvtq_n_s32_f32(whole, 23)));
  return power;
}

#else

constexpr bool kModerateIsCheaper = true;
constexpr float kVanishes = -127.0f;

#if defined(__AVX2__)
// 2^(j/8) for j in [0, 8), with j subtracted where the sum of the exponents adds it.
constexpr int kStepBits = 3;
constexpr uint32_t kSteps[] = {
    0x3f800000, 0x3f7b95c2, 0x3f7837f0, 0x3f75fed7, 0x3f7504f3, 0x3f75672a, 0x3f7744fd, 0x3f7ac0c7,
};
VMEXPORT_INLINE vint exp2_step(vint steps) {
  const __m256i table = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kSteps));
  return reinterpret_cast<vint>(_mm256_permutevar8x32_epi32(table, reinterpret_cast<__m256i>(steps)));
}
// (2^r - 1) / r for |r| <= 1/16.
VMEXPORT_INLINE vfloat exp2_polynomial(vfloat r) {
  return (r * 0.05550963341263857f + 0.24025786098539093f) * r + 0.6931471624968096f;
}
#else
constexpr int kStepBits = 0;
VMEXPORT_INLINE vint exp2_step(vint) { return vint{} + 0x3f800000; }
// (2^r - 1) / r for |r| <= 1/2.
VMEXPORT_INLINE vfloat exp2_polynomial(vfloat r) {
  vfloat p = r * 0.001328594709239492f + 0.009674320676158980f;
  p = p * r + 0.055506692328968696f;
  p = p * r + 0.2402218034883326f;
  return p * r + 0.6931470203580072f;
}
#endif

template <Range kRange = Range::kAny>
VMEXPORT_INLINE vfloat exp2_of_product(vfloat a, vfloat b) {
  // Adding 1.5 * 2^(23 - kStepBits) rounds to a multiple of 2^-kStepBits and leaves that multiple in the low bits:
  // its last kStepBits bits choose the table's entry, the others are the exponent.
  constexpr float kRound = 1.5f * (1 << (23 - kStepBits));
  vfloat x = a * b;
  if constexpr (kRange != Range::kModerate) x = at_least(kVanishes, x);
  if constexpr (kRange == Range::kAny) x = at_most(128.0f, x);
  const vfloat shifted = x + kRound;
  const vfloat r = x - (shifted - kRound);
  const vint steps = bits_of(shifted);
  const vfloat power = float_of((steps << (23 - kStepBits)) + exp2_step(steps));
  return power * (exp2_polynomial(r) * r + 1.0f);
}

#endif

}  // namespace

#endif  // VMEXPORT_SCAN_EXP2_H
