// The CUDA execution provider: the core's CUDA kernels on the session's own device and stream.
#ifndef VMEXPORT_ONNXRUNTIME_CUDA_DEVICE_H
#define VMEXPORT_ONNXRUNTIME_CUDA_DEVICE_H

#include <cstdio>

#include "../scan/cuda.h"
#include "current_device.h"
#include "support.h"

namespace vmexport::ort {

class CudaDevice {
 public:
  static const char* provider() noexcept { return "CUDAExecutionProvider"; }

  static vmexport_status run(const OrtApi& api, OrtKernelContext* context, vmexport_scan_params* params,
                             char* message) noexcept {
    return launch(api, context, *params, selective_scan_cuda, message);
  }

  static vmexport_status run(const OrtApi& api, OrtKernelContext* context, vmexport_conv_params* params,
                             char* message) noexcept {
    return launch(api, context, *params, causal_conv1d_cuda, message);
  }

 private:
  template <class Params>
  static vmexport_status launch(const OrtApi& api, OrtKernelContext* context, const Params& params,
                                vmexport_status (*kernel)(const Params&, void*, char*), char* message) noexcept {
    void* stream = nullptr;  // not the default stream, on which the session's other kernels do not wait
    int device = 0;
    OrtStatus* failed = api.KernelContext_GetGPUComputeStream(context, &stream);
    if (failed == nullptr) failed = device_of_first_input(api, context, &device);
    if (failed != nullptr) {
      std::snprintf(message, VMEXPORT_MESSAGE_SIZE, "no CUDA stream or device: %.180s", api.GetErrorMessage(failed));
      api.ReleaseStatus(failed);
      return VMEXPORT_LAUNCH_FAILED;
    }
    const CurrentDevice guard(device);
    if (guard.problem() != nullptr) {
      std::snprintf(message, VMEXPORT_MESSAGE_SIZE, "CUDA device %d: %s", device, guard.problem());
      return VMEXPORT_LAUNCH_FAILED;
    }
    return kernel(params, stream, message);
  }

  static OrtStatus* device_of_first_input(const OrtApi& api, const OrtKernelContext* context, int* device) noexcept {
    const OrtValue* value = nullptr;
    const OrtMemoryInfo* memory = nullptr;
    VMEXPORT_ORT_TRY(api.KernelContext_GetInput(context, 0, &value));
    VMEXPORT_ORT_TRY(api.GetTensorMemoryInfo(value, &memory));
    return api.MemoryInfoGetId(memory, device);
  }
};

}  // namespace vmexport::ort

#endif  // VMEXPORT_ONNXRUNTIME_CUDA_DEVICE_H
