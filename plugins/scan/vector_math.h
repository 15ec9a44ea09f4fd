// Elementary functions on vectors of float: 2^x, softplus, SiLU. Relative errors were measured against
// float64 over their whole range (tests/ops). The coefficients are minimax fits made for this file.
#ifndef VMEXPORT_SCAN_VECTOR_MATH_H
#define VMEXPORT_SCAN_VECTOR_MATH_H

#include "simd.h"

namespace {

constexpr float kLog2e = 1.44269504088896340736f;
constexpr float kSoftplusThreshold = 20.0f;  // beyond it softplus(x) is x, as in PyTorch

// 2^a*b for any product; 0 below 2^-127, infinity above the largest float, NaN for NaN. The product is taken
// inside so that a tier may fuse it with the range reduction.
VMEXPORT_INLINE vfloat exp2_of_product(vfloat a, vfloat b) {
#if defined(__AVX512F__)
  // scalef multiplies by 2^floor(x) with the right limits, so only the fraction needs a polynomial.
  const vfloat x = a * b;
  const vfloat r = _mm512_reduce_ps(x, 0x09);  // x - floor(x)
  vfloat p = splat(0.0018833947101705864f);
  p = p * r + 0.008974589263325701f;
  p = p * r + 0.05583923738310869f;
  p = p * r + 0.24014922045177445f;
  p = p * r + 0.6931534910778349f;
  p = p * r + 0.9999999328816336f;
  return _mm512_scalef_ps(p, x);
#else
  // Adding 1.5 * 2^23 rounds to the nearest integer and leaves it, biased by 127, in the low bits.
  constexpr float kRound = 12582912.0f + 127.0f;
  const vfloat x = at_most(128.0f, at_least(-127.0f, a * b));
  const vfloat shifted = x + kRound;
  const vfloat r = x - (shifted - kRound);
  vfloat p = splat(0.0013285947092394909f);
  p = p * r + 0.00967432067615898f;
  p = p * r + 0.055506692328968696f;
  p = p * r + 0.2402218034883326f;
  p = p * r + 0.6931470203580072f;
  p = p * r + 1.0f;
  return p * float_of(bits_of(shifted) << 23);
#endif
}

VMEXPORT_INLINE vfloat exp2(vfloat x) { return exp2_of_product(x, splat(1.0f)); }

// log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|)), and log1p(e) = 2 atanh(e / (2 + e)).
VMEXPORT_INLINE vfloat softplus(vfloat x) {
  const vfloat e = exp2_of_product(absolute(x), splat(-kLog2e));
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
