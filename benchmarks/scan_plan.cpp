// The CUDA scan's own choice of lanes and blocks, for benchmarks/scan_plan.py: no GPU and no CUDA needed.
#include "../plugins/scan/scan_plan.h"

#include <initializer_list>

// `sizes`: dtype, batch, length, channels, states, directions; `limits` as in DeviceLimits. Fills lanes, channels,
// directions, compute threads, helper threads, jobs, tokens a range, shared bytes, tokens of a tile. 0: no plan.
extern "C" int scan_plan(const int64_t* sizes, const int32_t* limits, int64_t* out) {
  vmexport_scan_params params{};
  params.dtype = static_cast<int32_t>(sizes[0]);
  params.batch = sizes[1], params.length = sizes[2], params.channels = sizes[3], params.states = sizes[4];
  params.order.directions = static_cast<int32_t>(sizes[5]);
  for (int32_t s = 0; s < params.order.directions; ++s) params.order.orders[s] = s % 2;
  params.delta_softplus = 1;
  params.u_stride[2] = params.delta_stride[2] = params.channels;
  params.bc_stride[2] = 2 * params.states;
  params.z_stride[1] = params.y_stride[1] = params.channels;
  vmexport::DeviceLimits device{limits[0], limits[1], limits[2], limits[3], limits[4]};
  vmexport::ScanPlan plan{};
  if (!vmexport::plan_scan(params, device, {}, &plan)) return 0;
  for (const int64_t value : {int64_t{plan.lanes}, int64_t{plan.channels}, int64_t{plan.directions},
                              int64_t{plan.compute_threads}, int64_t{plan.threads - plan.compute_threads}, plan.jobs,
                              plan.sum_tokens, int64_t{plan.layout.end}, int64_t{vmexport::tile_tokens(plan.lanes)}}) {
    *out++ = value;
  }
  return 1;
}
