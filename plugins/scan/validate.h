// The one validation of the operators' parameters.
#ifndef VMEXPORT_SCAN_VALIDATE_H
#define VMEXPORT_SCAN_VALIDATE_H

#include "params.h"

namespace vmexport {

constexpr int64_t kMaxElements = int64_t{1} << 48;  // beyond any memory, far inside 64 bits in every product

// Check everything that the parameters alone can tell. `validate_sizes` is the part of it that needs no tensors: a
// front end that learns of sizes before there is memory calls it. On failure `message` (VMEXPORT_MESSAGE_SIZE bytes)
// names the tensor or attribute with expected and got.
vmexport_status validate(const vmexport_scan_params& params, char* message) noexcept;
vmexport_status validate(const vmexport_conv_params& params, char* message) noexcept;
vmexport_status validate(const vmexport_scan_backward_params& params, char* message) noexcept;
vmexport_status validate(const vmexport_conv_backward_params& params, char* message) noexcept;
vmexport_status validate_sizes(const vmexport_scan_params& params, char* message) noexcept;
vmexport_status validate_sizes(const vmexport_conv_params& params, char* message) noexcept;

}  // namespace vmexport

#endif  // VMEXPORT_SCAN_VALIDATE_H
