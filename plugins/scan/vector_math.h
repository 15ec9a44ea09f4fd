// Softplus, SiLU and their slopes on vectors of float. Relative errors were measured against float64 over their whole
// range (plugins/tests/vector_tests.cpp). The coefficients are minimax fits made for this file.
#ifndef VMEXPORT_SCAN_VECTOR_MATH_H
#define VMEXPORT_SCAN_VECTOR_MATH_H

#include "exp2.h"

namespace {

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

VMEXPORT_INLINE vfloat sigmoid(vfloat x) { return 1.0f / (exp2_of_product(x, splat(-kLog2e)) + 1.0f); }

VMEXPORT_INLINE vfloat silu(vfloat x) { return x / (exp2_of_product(x, splat(-kLog2e)) + 1.0f); }

// Derivative of SiLU.
VMEXPORT_INLINE vfloat silu_slope(vfloat x) {
  const vfloat gate = sigmoid(x);
  return gate * (1.0f + x * (1.0f - gate));
}

}  // namespace

#endif  // VMEXPORT_SCAN_VECTOR_MATH_H
