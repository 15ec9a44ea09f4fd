// The CUDA convolution's own source, compiled for the host and run block by block (emulation/block.h).
#ifndef VMEXPORT_TESTS_EMULATED_CONV_H
#define VMEXPORT_TESTS_EMULATED_CONV_H

#include <cstdio>
#include <string>

#include "../scan/conv_dispatch.cuh"
#include "../scan/validate.h"

namespace emulated {

using Change = void (*)(vmexport::ConvPlan&);

// What causal_conv1d_cuda does, on the emulation; `change` spoils the plan.
inline vmexport_status conv(const vmexport_conv_params& params, char* message, int schedule, Change change) {
  const vmexport_status status = vmexport::validate(params, message);
  if (status != VMEXPORT_OK || params.batch == 0 || params.length == 0) return status;
  vmexport::ConvPlan plan = vmexport::conv_plan(params);
  if (change != nullptr) change(plan);
  emulation::Launch launch;
  launch.grid.x = static_cast<unsigned>(plan.blocks);
  launch.block.x = vmexport::kConvThreads;
  launch.schedule = schedule;
  const vmexport::ConvKernel kernel = vmexport::conv_kernel_of(params.dtype, plan);
  if (kernel == nullptr) return VMEXPORT_UNSUPPORTED;
  const std::string fault = emulation::launch(launch, [&] { kernel(params, plan); });
  std::snprintf(message, VMEXPORT_MESSAGE_SIZE, "%s", fault.c_str());
  return fault.empty() ? VMEXPORT_OK : VMEXPORT_LAUNCH_FAILED;
}

}  // namespace emulated

#endif  // VMEXPORT_TESTS_EMULATED_CONV_H
