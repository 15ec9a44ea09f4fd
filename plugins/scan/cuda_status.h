// Statuses and messages of CUDA errors.
#ifndef VMEXPORT_SCAN_CUDA_STATUS_H
#define VMEXPORT_SCAN_CUDA_STATUS_H

#include <cuda_runtime.h>

#include "params.h"

namespace vmexport {

// VMEXPORT_OK for cudaSuccess; otherwise `message` says what failed. A kernel that was not compiled for the current
// device is VMEXPORT_UNSUPPORTED.
vmexport_status cuda_status(cudaError_t error, const char* what, char* message) noexcept;

}  // namespace vmexport

#endif  // VMEXPORT_SCAN_CUDA_STATUS_H
