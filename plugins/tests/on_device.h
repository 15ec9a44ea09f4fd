// The CUDA kernels on host memory, with the signature of the CPU kernels, so that one case table serves both: every
// tensor is copied into device memory of exactly its own size, in which memcheck sees one element too far.
#ifndef VMEXPORT_TESTS_ON_DEVICE_H
#define VMEXPORT_TESTS_ON_DEVICE_H

#include <functional>

#include "../scan/cuda.h"

namespace on_device {

// Null where a GPU can be used, else why not.
const char* missing() noexcept;

template <class Params>
using Launch = std::function<vmexport_status(const Params&, void* stream, char* message)>;

// `offset`: elements left unused in front of every tensor, so that wide loads find it misaligned. `launch` gets device
// pointers and a stream: the kernels' entry points, or an adapter over them.
vmexport_status selective_scan(const vmexport_scan_params& params, int64_t offset, char* message,
                               const Launch<vmexport_scan_params>& launch = vmexport::selective_scan_cuda) noexcept;
vmexport_status causal_conv1d(const vmexport_conv_params& params, int64_t offset, char* message,
                              const Launch<vmexport_conv_params>& launch = vmexport::causal_conv1d_cuda) noexcept;

// Captures `work` on `stream` and runs the CUDA graph there, which fails where `work` waits or allocates.
vmexport_status in_graph(void* stream, char* message, const std::function<vmexport_status()>& work) noexcept;

}  // namespace on_device

#endif  // VMEXPORT_TESTS_ON_DEVICE_H
