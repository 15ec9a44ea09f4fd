// Copies from global to shared memory that pass by the registers (compute capability 8.0 and later; before that,
// plain copies with the same meaning). A thread waits for its own copies only: a barrier shows them to others.
#ifndef VMEXPORT_SCAN_ASYNC_COPY_CUH
#define VMEXPORT_SCAN_ASYNC_COPY_CUH

#include "device.cuh"

namespace vmexport {

// kBytes: 4, 8 or 16, and both addresses are multiples of it.
template <int kBytes>
__device__ __forceinline__ void copy_async(void* shared, const void* global) {
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16, "no such asynchronous copy");
#if !defined(__CUDACC__)
  emulation::async_copy(shared, global, kBytes);
#elif __CUDA_ARCH__ >= 800
  const uint32_t to = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  if constexpr (kBytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(global) : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(to), "l"(global), "n"(kBytes) : "memory");
  }
#else
  if constexpr (kBytes == 16) *static_cast<uint4*>(shared) = *static_cast<const uint4*>(global);
  if constexpr (kBytes == 8) *static_cast<uint2*>(shared) = *static_cast<const uint2*>(global);
  if constexpr (kBytes == 4) *static_cast<uint32_t*>(shared) = *static_cast<const uint32_t*>(global);
#endif
}

// Close the group of this thread's copies since the last commit; it may be empty.
__device__ __forceinline__ void copy_commit() {
#if !defined(__CUDACC__)
  emulation::async_commit();
#elif __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Wait until at most the kGroups newest groups of this thread are still under way.
template <int kGroups>
__device__ __forceinline__ void copy_wait() {
#if !defined(__CUDACC__)
  emulation::async_wait(kGroups);
#elif __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(kGroups) : "memory");
#endif
}

}  // namespace vmexport

#endif  // VMEXPORT_SCAN_ASYNC_COPY_CUH
