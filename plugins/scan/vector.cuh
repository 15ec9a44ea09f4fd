// Short vectors of neighbouring elements, read and written at once.
#ifndef VMEXPORT_SCAN_VECTOR_CUH
#define VMEXPORT_SCAN_VECTOR_CUH

#include <string.h>

#include "device.cuh"

namespace vmexport {

// In memory its address is a multiple of its size.
template <class T, int kSize>
struct alignas(sizeof(T) * kSize) Vector {
  T elements[kSize];

  __device__ __forceinline__ static Vector load(const T* from) {
    Vector vector;
    if constexpr (sizeof(Vector) == sizeof(float4)) {  // nvcc takes the struct apart
      const float4 raw = *reinterpret_cast<const float4*>(from);
      memcpy(&vector, &raw, sizeof raw);
    } else {
      vector = *reinterpret_cast<const Vector*>(from);
    }
    return vector;
  }

  __device__ __forceinline__ void store(T* to) const {
    if constexpr (sizeof(Vector) == sizeof(float4)) {
      float4 raw;
      memcpy(&raw, this, sizeof raw);
#if defined(__CUDACC__)
      __stcg(reinterpret_cast<float4*>(to), raw);
#else
      *reinterpret_cast<float4*>(to) = raw;
#endif
    } else {
      *reinterpret_cast<Vector*>(to) = *this;
    }
  }
};

}  // namespace vmexport

#endif  // VMEXPORT_SCAN_VECTOR_CUH
