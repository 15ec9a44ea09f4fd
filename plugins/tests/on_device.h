// The CUDA kernels on host memory, with the signature of the CPU kernels, so that one case table serves both: every
// tensor is copied into device memory of exactly its own size, in which memcheck sees one element too far.
#ifndef VMEXPORT_TESTS_ON_DEVICE_H
#define VMEXPORT_TESTS_ON_DEVICE_H

#include "../scan/params.h"

namespace on_device {

// Null where a GPU can be used, else why not.
const char* missing() noexcept;

// `offset`: elements left unused in front of every tensor, so that wide loads find it misaligned.
vmexport_status selective_scan(const vmexport_scan_params& params, int64_t offset, char* message) noexcept;
vmexport_status causal_conv1d(const vmexport_conv_params& params, int64_t offset, char* message) noexcept;

}  // namespace on_device

#endif  // VMEXPORT_TESTS_ON_DEVICE_H
