// The CUDA scan's own choice of lanes and blocks, for benchmarks/scan_plan.py: no GPU and no CUDA needed.
#include "../plugins/scan/scan_plan.h"

#include <cstring>
#include <initializer_list>

namespace {

// `addresses` of u, delta, A, B and C, D, bias, z, y, last state.
vmexport_scan_params params_of(const int64_t* sizes, const uint64_t* addresses) {
  vmexport_scan_params params{};
  const int64_t length = sizes[2];
  params.dtype = static_cast<int32_t>(sizes[0]);
  params.batch = sizes[1], params.length = length, params.channels = sizes[3], params.states = sizes[4];
  params.order.directions = static_cast<int32_t>(sizes[5]);
  params.order.tokens_per_frame = length;
  for (int32_t s = 0; s < params.order.directions; ++s) params.order.orders[s] = s % 2;
  params.delta_softplus = 1;
  params.scale = 1.0f;
  const int64_t clip = length * params.channels;
  for (int64_t* const strides : {params.u_stride, params.delta_stride}) {
    strides[0] = clip * params.batch, strides[1] = clip, strides[2] = params.channels;
  }
  params.bc_stride[2] = 2 * params.states;
  params.bc_stride[1] = length * params.bc_stride[2], params.bc_stride[0] = params.bc_stride[1] * params.batch;
  params.z_stride[0] = params.y_stride[0] = clip, params.z_stride[1] = params.y_stride[1] = params.channels;
  const auto pointer = [&](int which) { return reinterpret_cast<void*>(addresses[which]); };
  params.u = pointer(0), params.delta = pointer(1), params.a = static_cast<const float*>(pointer(2));
  params.bc = pointer(3), params.d = static_cast<const float*>(pointer(4));
  params.delta_bias = static_cast<const float*>(pointer(5)), params.z = pointer(6), params.y = pointer(7);
  params.last_state = static_cast<float*>(pointer(8));
  return params;
}

bool launch_of(const int64_t* sizes, const int32_t* limits, const uint64_t* addresses, vmexport::ScanLaunch* launch) {
  launch->params = params_of(sizes, addresses);
  const vmexport::DeviceLimits device{limits[0], limits[1], limits[2], limits[3], limits[4]};
  vmexport::ScanPlanRequest request;
  request.lanes = static_cast<int32_t>(sizes[6]);
  return vmexport::plan_scan(launch->params, device, request, &launch->plan);
}

}  // namespace

// `sizes`: dtype, batch, length, channels, states, directions, lanes (0: the planner's choice); `limits` as in
// DeviceLimits. Fills lanes, channels, directions, threads that compute, feed, prepare and finish, jobs, tokens a range,
// shared bytes, tokens of a tile. 0: no plan.
extern "C" int scan_plan(const int64_t* sizes, const int32_t* limits, int64_t* out) {
  const uint64_t aligned[9] = {256, 256, 256, 256, 256, 256, 256, 256, 256};
  vmexport::ScanLaunch launch{};
  if (!launch_of(sizes, limits, aligned, &launch)) return 0;
  const vmexport::ScanPlan& plan = launch.plan;
  for (const int64_t value :
       {int64_t{plan.lanes}, int64_t{plan.channels}, int64_t{plan.directions}, int64_t{plan.compute_threads},
        int64_t{vmexport::kFeedThreads}, int64_t{vmexport::kPrepareThreads}, int64_t{vmexport::kFinishThreads},
        plan.jobs, plan.sum_tokens, int64_t{plan.layout.end}, int64_t{vmexport::tile_tokens(plan.lanes)}}) {
    *out++ = value;
  }
  return 1;
}

// The kernel's argument, for tensors at `addresses`, as bytes; returns how many, 0: no plan.
extern "C" int scan_launch(const int64_t* sizes, const int32_t* limits, const uint64_t* addresses, void* out) {
  vmexport::ScanLaunch launch{};
  if (!launch_of(sizes, limits, addresses, &launch)) return 0;
  std::memcpy(out, &launch, sizeof launch);
  return static_cast<int>(sizeof launch);
}
