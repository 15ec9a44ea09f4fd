// From a plan and its dtype to the kernel compiled for them.
#ifndef VMEXPORT_SCAN_CONV_DISPATCH_CUH
#define VMEXPORT_SCAN_CONV_DISPATCH_CUH

#include "conv_kernel.cuh"

namespace vmexport {

using ConvKernel = void (*)(vmexport_conv_params, ConvPlan);

template <class T>
ConvKernel conv_kernel_of(const ConvPlan& plan) {
  constexpr int kWidest = kVectorBytes / static_cast<int>(sizeof(T));
  if (plan.vector == kWidest && plan.fast_taps) return conv_kernel<T, kWidest, kFastTaps>;
  if (plan.vector != 1) return nullptr;
  return plan.fast_taps ? conv_kernel<T, 1, kFastTaps> : conv_kernel<T, 1, VMEXPORT_MAX_TAPS>;
}

// Null for a dtype or a plan that no kernel was compiled for.
inline ConvKernel conv_kernel_of(int dtype, const ConvPlan& plan) {
  switch (dtype) {
    case VMEXPORT_FLOAT32: return conv_kernel_of<float>(plan);
    case VMEXPORT_FLOAT16: return conv_kernel_of<__half>(plan);
    case VMEXPORT_BFLOAT16: return conv_kernel_of<__nv_bfloat16>(plan);
  }
  return nullptr;
}

}  // namespace vmexport

#endif  // VMEXPORT_SCAN_CONV_DISPATCH_CUH
