#include <cstdio>

#include "cuda_status.h"

namespace vmexport {
namespace {

void missing_kernel(char* message) noexcept {
  int device = 0, major = 0, minor = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
  cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device);
  std::snprintf(message, VMEXPORT_MESSAGE_SIZE,
                "device %d has compute capability %d.%d, the kernels were built for %s: rebuild them on this machine, "
                "vmexport plugin build",
                device, major, minor, VMEXPORT_CUDA_ARCHITECTURES);
}

}  // namespace

vmexport_status cuda_status(cudaError_t error, const char* what, char* message) noexcept {
  switch (error) {
    case cudaSuccess: return VMEXPORT_OK;
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorInvalidDeviceFunction:
    case cudaErrorUnsupportedPtxVersion:
    case cudaErrorJitCompilationDisabled: missing_kernel(message); return VMEXPORT_UNSUPPORTED;
    default: break;
  }
  std::snprintf(message, VMEXPORT_MESSAGE_SIZE, "%s: %s", what, cudaGetErrorString(error));
  return VMEXPORT_LAUNCH_FAILED;
}

}  // namespace vmexport
