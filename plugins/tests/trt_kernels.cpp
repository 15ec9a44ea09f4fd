// The CUDA entry points of the plugin's core, for a machine without a GPU: the kernels' own source on the emulation.
#include "../scan/cuda.h"
#include "emulated_conv.h"
#include "emulated_scan.h"

namespace vmexport {

vmexport_status selective_scan_cuda(const vmexport_scan_params& params, void*, char* message) noexcept {
  return emulated::scan(params, message, {});
}

vmexport_status causal_conv1d_cuda(const vmexport_conv_params& params, void*, char* message) noexcept {
  return emulated::conv(params, message, emulation::kForward, nullptr);
}

}  // namespace vmexport
