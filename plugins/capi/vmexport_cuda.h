// C ABI of the CUDA kernels (libvmexport_scan_cuda.so).
#ifndef VMEXPORT_CAPI_CUDA_H
#define VMEXPORT_CAPI_CUDA_H

#include "common.h"

#ifdef __cplusplus
extern "C" {
#endif

// Every pointer of `params` is a device pointer of the current device. The kernels are queued on `stream` (a
// cudaStream_t; null is the default stream) and nothing waits for them, so that a call can be captured in a graph.
// `message` holds VMEXPORT_MESSAGE_SIZE bytes and is filled on failure; null is allowed.
VMEXPORT_API vmexport_status vmexport_selective_scan_cuda(const vmexport_scan_params* params, void* stream,
                                                          char* message);
VMEXPORT_API vmexport_status vmexport_causal_conv1d_cuda(const vmexport_conv_params* params, void* stream,
                                                         char* message);

// What the kernels were compiled for, such as "sm_87 sm_90 compute_90".
VMEXPORT_API const char* vmexport_cuda_architectures(void);

#ifdef __cplusplus
}  // extern "C"
#endif
#endif  // VMEXPORT_CAPI_CUDA_H
