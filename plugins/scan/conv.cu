#include <cuda_runtime.h>

#include <cstdio>

#include "conv_kernel.cuh"
#include "conv_plan.h"
#include "cuda.h"
#include "cuda_status.h"
#include "validate.h"

namespace vmexport {
namespace {

template <class T, int kVector>
void launch(const vmexport_conv_params& p, const ConvPlan& plan, cudaStream_t stream) noexcept {
  const unsigned blocks = static_cast<unsigned>(plan.blocks);
  if (plan.vector > 1) {
    conv_kernel<T, kVector, kFastTaps><<<blocks, kConvThreads, 0, stream>>>(p, plan);
  } else if (plan.fast_taps) {
    conv_kernel<T, 1, kFastTaps><<<blocks, kConvThreads, 0, stream>>>(p, plan);
  } else {
    conv_kernel<T, 1, VMEXPORT_MAX_TAPS><<<blocks, kConvThreads, 0, stream>>>(p, plan);
  }
}

}  // namespace

vmexport_status causal_conv1d_cuda(const vmexport_conv_params& p, void* stream, char* message) noexcept {
  const vmexport_status status = validate(p, message);
  if (status != VMEXPORT_OK) return status;
  if (p.batch == 0 || p.length == 0) return VMEXPORT_OK;
  const ConvPlan plan = conv_plan(p);
  if (plan.blocks > INT32_MAX) {
    std::snprintf(message, VMEXPORT_MESSAGE_SIZE, "sizes: %lld blocks are more than one launch takes",
                  static_cast<long long>(plan.blocks));
    return VMEXPORT_UNSUPPORTED;
  }
  const cudaStream_t queue = static_cast<cudaStream_t>(stream);
  switch (p.dtype) {  // validated before
    case VMEXPORT_FLOAT32: launch<float, 4>(p, plan, queue); break;
    case VMEXPORT_FLOAT16: launch<__half, 8>(p, plan, queue); break;
    case VMEXPORT_BFLOAT16: launch<__nv_bfloat16, 8>(p, plan, queue); break;
  }
  return cuda_status(cudaGetLastError(), "causal_conv1d", message);
}

}  // namespace vmexport
