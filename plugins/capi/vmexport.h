// C ABI of the CPU kernels (libvmexport_scan.so).
#ifndef VMEXPORT_CAPI_H
#define VMEXPORT_CAPI_H

#include "common.h"

#ifdef __cplusplus
extern "C" {
#endif

// `message` holds VMEXPORT_MESSAGE_SIZE bytes and is filled on failure; null is allowed.
VMEXPORT_API vmexport_status vmexport_selective_scan(const vmexport_scan_params* params, char* message);
VMEXPORT_API vmexport_status vmexport_causal_conv1d(const vmexport_conv_params* params, char* message);

// Gradients are the same to the bit for any number of threads (on one instruction tier).
VMEXPORT_API vmexport_status vmexport_selective_scan_backward(const vmexport_scan_backward_params* params,
                                                              char* message);
VMEXPORT_API vmexport_status vmexport_causal_conv1d_backward(const vmexport_conv_backward_params* params,
                                                             char* message);
VMEXPORT_API size_t vmexport_scan_backward_params_size(void);
VMEXPORT_API size_t vmexport_conv_backward_params_size(void);

VMEXPORT_API const char* vmexport_cpu_tier(void);
VMEXPORT_API int32_t vmexport_set_cpu_tier(const char* name);  // 1: done, 0: not on this machine

#ifdef __cplusplus
}  // extern "C"
#endif
#endif  // VMEXPORT_CAPI_H
