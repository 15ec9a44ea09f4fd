// The CUDA scan's own source, compiled for the host and run block by block (emulation/block.h).
#ifndef VMEXPORT_TESTS_EMULATED_SCAN_H
#define VMEXPORT_TESTS_EMULATED_SCAN_H

#include <cstdio>
#include <string>

#include "../scan/scan_dispatch.cuh"
#include "../scan/validate.h"

namespace emulated {

constexpr vmexport::DeviceLimits kDevice{132, 227 * 1024, 228 * 1024, 2048, 65536};
constexpr int kGap = 32;  // bytes between the arrays in shared memory that nobody may touch

struct Setting {
  vmexport::ScanPlanRequest request;
  int schedule = emulation::kForward;
  emulation::Faults faults;
};

// What selective_scan_cuda does, on the emulation.
inline vmexport_status scan(const vmexport_scan_params& params, char* message, Setting setting) {
  const vmexport_status status = vmexport::validate(params, message);
  if (status != VMEXPORT_OK || params.batch == 0 || params.length == 0) return status;
  setting.request.gap = kGap;
  vmexport::ScanLaunch launch{params, {}};
  if (!vmexport::plan_scan(params, kDevice, setting.request, &launch.plan)) return VMEXPORT_UNSUPPORTED;
  const vmexport::ScanPlan& plan = launch.plan;
  emulation::Launch block;
  block.grid.x = static_cast<unsigned>(plan.grid);
  block.block.x = static_cast<unsigned>(plan.threads);
  block.shared_bytes = static_cast<size_t>(plan.layout.end);
  const vmexport::ScanLayout& at = plan.layout;
  for (const int32_t next : {at.raw_u, at.raw_delta, at.raw_bc, at.gate, at.delta, at.input, at.bc, at.out, at.sums}) {
    block.gaps.emplace_back(next - kGap, kGap);
  }
  block.schedule = setting.schedule;
  block.faults = setting.faults;
  const vmexport::ScanKernel kernel = vmexport::scan_kernel_of(params.dtype, plan.lanes);
  const std::string fault = emulation::launch(block, [&] { kernel(launch); });
  std::snprintf(message, VMEXPORT_MESSAGE_SIZE, "%s", fault.c_str());
  return fault.empty() ? VMEXPORT_OK : VMEXPORT_LAUNCH_FAILED;
}

}  // namespace emulated

#endif  // VMEXPORT_TESTS_EMULATED_SCAN_H
