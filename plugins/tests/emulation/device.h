// The part of CUDA's device language that the kernels use, for the host compiler. Included by device code in place
// of CUDA's own headers; tests only.
#ifndef VMEXPORT_TESTS_EMULATION_DEVICE_H
#define VMEXPORT_TESTS_EMULATION_DEVICE_H

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "../../scan/half.h"
#include "block.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__
#define __launch_bounds__(...)
#define __shared__ static  // blocks run one after the other
#define __syncthreads() emulation::barrier(0, 0)
#define __syncwarp() emulation::warp_barrier(0xffffffffu)
#define threadIdx emulation::thread_index()
#define blockIdx emulation::block_index()
#define blockDim emulation::block_size()
#define gridDim emulation::grid_size()

struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

using __half = float16;
using __nv_bfloat16 = bfloat16;
inline float __half2float(__half x) { return to_float(x); }
inline __half __float2half_rn(float x) { return to_float16(x); }
inline float __bfloat162float(__nv_bfloat16 x) { return float_from_bits(uint32_t{x.bits} << 16); }
inline __nv_bfloat16 __float2bfloat16_rn(float x) {
  const uint32_t bits = bits_from_float(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {0x7fff};
  return {static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}

template <class T>
T __ldg(const T* address) {
  return *address;
}

namespace emulation {

template <class T>
T shuffle_value(uint32_t mask, T value, int source, const char* kind) {
  static_assert(sizeof(T) <= sizeof(uint64_t) && std::is_trivially_copyable<T>::value, "no register");
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = shuffle(mask, bits, source, kind);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// Lane `wanted` where it lies in this lane's segment of `width` lanes, else no lane.
inline int in_segment(int wanted, int width) {
  const int first = lane() / width * width;
  return wanted >= first && wanted < first + width ? wanted : -1;
}

}  // namespace emulation

template <class T>
T __shfl_xor_sync(uint32_t mask, T value, int bits, int width = 32) {
  return emulation::shuffle_value(mask, value, emulation::in_segment(emulation::lane() ^ bits, width),
                                  "__shfl_xor_sync");
}
template <class T>
T __shfl_sync(uint32_t mask, T value, int source, int width = 32) {
  return emulation::shuffle_value(mask, value, emulation::lane() / width * width + (source & (width - 1)),
                                  "__shfl_sync");
}
template <class T>
T __shfl_up_sync(uint32_t mask, T value, int by, int width = 32) {
  return emulation::shuffle_value(mask, value, emulation::in_segment(emulation::lane() - by, width), "__shfl_up_sync");
}
template <class T>
T __shfl_down_sync(uint32_t mask, T value, int by, int width = 32) {
  return emulation::shuffle_value(mask, value, emulation::in_segment(emulation::lane() + by, width),
                                  "__shfl_down_sync");
}
inline uint32_t __ballot_sync(uint32_t mask, bool vote) { return emulation::ballot(mask, vote); }

#endif  // VMEXPORT_TESTS_EMULATION_DEVICE_H
