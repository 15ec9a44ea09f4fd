#include <stdint.h>

#include <atomic>

#include "kernel_launch.h"

namespace vmexport {
namespace {

constexpr int kKernels = 64;  // more than there are; a kernel beyond them is prepared at every launch
constexpr int kDevices = 64;  // likewise

// On which devices a kernel is ready, a bit each.
struct Readiness {
  std::atomic<const void*> kernel{nullptr};
  std::atomic<uint64_t> devices{0};
};

Readiness table[kKernels];

Readiness* readiness_of(const void* kernel) noexcept {
  for (Readiness& entry : table) {
    const void* found = entry.kernel.load(std::memory_order_acquire);
    if (found == nullptr && entry.kernel.compare_exchange_strong(found, kernel)) return &entry;
    if (found == kernel) return &entry;  // perhaps another thread's doing, just now
  }
  return nullptr;
}

// Two threads may come here at the same time: both do the same.
cudaError_t prepare(const void* kernel, int device) noexcept {
  // While a stream captures, CUDA forbids what may wait for the device, such as loading a kernel's code; it cannot know
  // that no captured work is touched.
  cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
  cudaError_t error = cudaThreadExchangeStreamCaptureMode(&mode);
  if (error != cudaSuccess) return error;
  cudaFuncAttributes attributes{};
  int most = 0;
  error = cudaFuncGetAttributes(&attributes, kernel);  // loads it
  if (error == cudaSuccess) error = cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  const int dynamic = most - static_cast<int>(attributes.sharedSizeBytes);
  if (error == cudaSuccess) error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, dynamic);
  const cudaError_t restored = cudaThreadExchangeStreamCaptureMode(&mode);
  return error != cudaSuccess ? error : restored;
}

}  // namespace

cudaError_t launch_kernel(const void* kernel, int device, dim3 grid, dim3 block, size_t shared_bytes, void** arguments,
                          cudaStream_t stream) noexcept {
  Readiness* const entry = device >= 0 && device < kDevices ? readiness_of(kernel) : nullptr;
  const uint64_t bit = uint64_t{1} << (device & (kDevices - 1));
  const bool known = entry != nullptr && (entry->devices.load(std::memory_order_acquire) & bit) != 0;
  if (!known) {
    const cudaError_t error = prepare(kernel, device);
    if (error != cudaSuccess) return error;
    if (entry != nullptr) entry->devices.fetch_or(bit, std::memory_order_release);
  }
  const cudaError_t error = cudaLaunchKernel(kernel, grid, block, arguments, shared_bytes, stream);
  if (error != cudaErrorInvalidValue || !known) return error;
  // The device was reset since, or this is another of its contexts: the grant is gone.
  cudaGetLastError();
  const cudaError_t again = prepare(kernel, device);
  return again != cudaSuccess ? again : cudaLaunchKernel(kernel, grid, block, arguments, shared_bytes, stream);
}

}  // namespace vmexport
