// CUDA entry points of both operators. No CUDA header is needed to call them.
#ifndef VMEXPORT_SCAN_CUDA_H
#define VMEXPORT_SCAN_CUDA_H

#include "params.h"

namespace vmexport {

// Both validate as the CPU kernels do and queue one kernel on `stream` (a cudaStream_t) of the current device: no
// allocation, no synchronisation, fit for a CUDA graph, the first call too; from any thread. Every pointer of `params`
// is a device pointer. On failure `message` (VMEXPORT_MESSAGE_SIZE bytes) holds one sentence; a device that the kernels
// were not compiled for gives VMEXPORT_UNSUPPORTED, any other CUDA error VMEXPORT_LAUNCH_FAILED. `executor` is unused.
vmexport_status selective_scan_cuda(const vmexport_scan_params& params, void* stream, char* message) noexcept;
vmexport_status causal_conv1d_cuda(const vmexport_conv_params& params, void* stream, char* message) noexcept;

}  // namespace vmexport

#endif  // VMEXPORT_SCAN_CUDA_H
