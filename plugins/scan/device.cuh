// CUDA's device language, or its emulation in tests, and the few instructions that have no portable name.
#ifndef VMEXPORT_SCAN_DEVICE_CUH
#define VMEXPORT_SCAN_DEVICE_CUH

#include <stdint.h>

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#define VMEXPORT_DYNAMIC_SHARED(name) extern __shared__ __align__(16) unsigned char name[]
// A kernel's parameter that is read where it lies, never copied to the stack. Without the word, before CUDA 11.7, it is
// the compiler's choice.
#if __CUDACC_VER_MAJOR__ * 100 + __CUDACC_VER_MINOR__ >= 1107
#define VMEXPORT_GRID_CONSTANT __grid_constant__
#else
#define VMEXPORT_GRID_CONSTANT
#endif
#else
#include "../tests/emulation/device.h"
#define VMEXPORT_DYNAMIC_SHARED(name) \
  unsigned char* const name = static_cast<unsigned char*>(emulation::dynamic_shared())
#define VMEXPORT_GRID_CONSTANT
#endif

namespace vmexport {

constexpr int kWarpLanes = 32;
constexpr uint32_t kWholeWarp = 0xffffffffu;

// Wait for `threads` threads (whole warps) of the block at barrier `id`, 1 to 15; 0 is __syncthreads.
__device__ __forceinline__ void named_barrier(int id, int threads) {
#if defined(__CUDACC__)
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
#else
  emulation::barrier(id, threads);
#endif
}

}  // namespace vmexport

#endif  // VMEXPORT_SCAN_DEVICE_CUH
