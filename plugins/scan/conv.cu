#include <cstdio>

#include "conv_dispatch.cuh"
#include "cuda.h"
#include "cuda_status.h"
#include "kernel_launch.h"
#include "validate.h"

namespace vmexport {

vmexport_status causal_conv1d_cuda(const vmexport_conv_params& params, void* stream, char* message) noexcept {
  vmexport_status status = validate(params, message);
  if (status != VMEXPORT_OK || params.batch == 0 || params.length == 0) return status;
  ConvPlan plan = conv_plan(params);
  if (plan.blocks > INT32_MAX) {
    std::snprintf(message, VMEXPORT_MESSAGE_SIZE, "sizes: %lld blocks are more than one launch takes",
                  static_cast<long long>(plan.blocks));
    return VMEXPORT_UNSUPPORTED;
  }
  int device = 0;
  status = cuda_status(cudaGetDevice(&device), "current CUDA device", message);
  const void* const kernel = reinterpret_cast<const void*>(conv_kernel_of(params.dtype, plan));
  vmexport_conv_params copy = params;
  void* arguments[] = {&copy, &plan};
  if (status == VMEXPORT_OK) {
    status = cuda_status(launch_kernel(kernel, device, dim3(static_cast<unsigned>(plan.blocks)), dim3(kConvThreads), 0,
                                       arguments, static_cast<cudaStream_t>(stream)),
                         "launch of the causal convolution", message);
  }
  if (status != VMEXPORT_OK) cudaGetLastError();  // reported here, not by the next call of somebody else
  return status;
}

}  // namespace vmexport
