// Launches of kernels that any thread may call at any time, the first one inside a stream capture too.
#ifndef VMEXPORT_SCAN_KERNEL_LAUNCH_H
#define VMEXPORT_SCAN_KERNEL_LAUNCH_H

#include <cuda_runtime.h>

namespace vmexport {

// Queues one kernel on the current device, `device`. A kernel's first launch on a device loads its code and grants it,
// once and for all, as much dynamic shared memory as a block may have there: that grant is the process's, so what one
// call needs must never be what another call is left with.
cudaError_t launch_kernel(const void* kernel, int device, dim3 grid, dim3 block, size_t shared_bytes, void** arguments,
                          cudaStream_t stream) noexcept;

}  // namespace vmexport

#endif  // VMEXPORT_SCAN_KERNEL_LAUNCH_H
