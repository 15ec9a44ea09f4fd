// Conversions and elementary functions in float32 on the device.
#ifndef VMEXPORT_SCAN_DEVICE_MATH_CUH
#define VMEXPORT_SCAN_DEVICE_MATH_CUH

#include "device.cuh"

namespace vmexport {

constexpr float kLog2E = 1.44269504088896340736f;

__device__ __forceinline__ float as_float(float x) { return x; }
__device__ __forceinline__ float as_float(__half x) { return __half2float(x); }
__device__ __forceinline__ float as_float(__nv_bfloat16 x) { return __bfloat162float(x); }

template <class T>
__device__ __forceinline__ T rounded(float x);
template <>
__device__ __forceinline__ float rounded<float>(float x) {
  return x;
}
template <>
__device__ __forceinline__ __half rounded<__half>(float x) {
  return __float2half_rn(x);
}
template <>
__device__ __forceinline__ __nv_bfloat16 rounded<__nv_bfloat16>(float x) {
  return __float2bfloat16_rn(x);
}

// 2^x by the special function unit: relative error 2^-22, results below 2^-126 are 0.
__device__ __forceinline__ float exp2_fast(float x) {
#if defined(__CUDACC__)
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  const float y = std::exp2(x);
  return y < 0x1p-126f ? 0.0f : y;
#endif
}

// 1 / x by the special function unit: within one unit in the last place, subnormal results are 0.
__device__ __forceinline__ float reciprocal_fast(float x) {
#if defined(__CUDACC__)
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  const float y = 1.0f / x;
  return std::fabs(y) < 0x1p-126f ? 0.0f : y;
#endif
}

// log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|)), and log1p(e) = 2 atanh(e / (2 + e)). The logarithm of the special
// function unit would lose all of a small exp(x). The coefficients are the CPU kernel's.
__device__ __forceinline__ float softplus(float x) {
  const float e = exp2_fast(fabsf(x) * -kLog2E);
  const float s = e * reciprocal_fast(e + 2.0f);
  const float z = s * s;
  float p = fmaf(0.26207182160029807f, z, 0.2836428855847165f);
  p = fmaf(p, z, 0.4000136662406841f);
  p = fmaf(p, z, 0.6666666532274066f);
  p = fmaf(p, z, 2.0f);
  return fmaf(p, s, fmaxf(x, 0.0f));
}

__device__ __forceinline__ float silu(float x) { return x * reciprocal_fast(1.0f + exp2_fast(x * -kLog2E)); }

}  // namespace vmexport

#endif  // VMEXPORT_SCAN_DEVICE_MATH_CUH
