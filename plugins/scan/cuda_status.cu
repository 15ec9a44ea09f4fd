#include <cstdio>

#include "cuda_status.h"

namespace vmexport {
namespace {

// From nvcc's own list, 870, 900.
struct Architectures {
  char text[256] = "";

  Architectures() noexcept {
    int numbers[] = {__CUDA_ARCH_LIST__};
    size_t used = 0;
    for (const int number : numbers) {
      const int written = std::snprintf(text + used, sizeof text - used, "%ssm_%d", used > 0 ? " " : "", number / 10);
      if (written < 0 || used + static_cast<size_t>(written) >= sizeof text) return;
      used += static_cast<size_t>(written);
    }
  }
};

void missing_kernel(char* message) noexcept {
  int device = 0, major = 0, minor = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
  cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device);
  std::snprintf(message, VMEXPORT_MESSAGE_SIZE,
                "device %d has compute capability %d.%d, the kernels were built for %s: rebuild them on this machine, "
                "vmexport plugin build",
                device, major, minor, built_architectures());
}

}  // namespace

const char* built_architectures() noexcept {
  static const Architectures architectures;
  return architectures.text;
}

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
