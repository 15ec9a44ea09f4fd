// CPU entry points of both operators and of their backward passes.
#ifndef VMEXPORT_SCAN_CPU_H
#define VMEXPORT_SCAN_CPU_H

#include "params.h"

namespace vmexport {

// All validate, compute, and on any failure write one sentence (tensor, expected, got) into `message`,
// which holds VMEXPORT_MESSAGE_SIZE bytes. None throws, logs or aborts.
vmexport_status selective_scan_cpu(const vmexport_scan_params& params, char* message) noexcept;
vmexport_status causal_conv1d_cpu(const vmexport_conv_params& params, char* message) noexcept;

// Gradients are the same to the bit for any number of threads (on one instruction tier).
vmexport_status selective_scan_backward_cpu(const vmexport_scan_backward_params& params, char* message) noexcept;
vmexport_status causal_conv1d_backward_cpu(const vmexport_conv_backward_params& params, char* message) noexcept;

// Name of the instruction tier in use: "avx512", "avx2", "neon" or "baseline".
const char* cpu_tier() noexcept;

// Use another tier that this machine has (tests and benchmarks); false where it has not. Null: automatic.
bool set_cpu_tier(const char* name) noexcept;

}  // namespace vmexport

#endif  // VMEXPORT_SCAN_CPU_H
