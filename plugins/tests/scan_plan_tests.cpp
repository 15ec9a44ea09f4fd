// The CUDA scan's plan: pure arithmetic, so it is tested without a GPU.
#include <cstdio>

#include "../scan/scan_plan.h"
#include "kernel_cases.h"

namespace {

using namespace cases;
using vmexport::DeviceLimits;
using vmexport::ScanPlan;

constexpr DeviceLimits kH200{132, 232448, 233472, 2048, 65536};
constexpr DeviceLimits kOrin{16, 166912, 167936, 1536, 65536};
constexpr DeviceLimits kTuring{40, 65536, 65536, 1024, 65536};

alignas(16) const unsigned char kTensor[16] = {};

vmexport_scan_params params(int64_t batch, int64_t length, int64_t channels, int64_t states, int32_t directions) {
  vmexport_scan_params p{};
  p.dtype = VMEXPORT_FLOAT16;
  p.batch = batch, p.length = length, p.channels = channels, p.states = states;
  p.order.directions = directions;
  p.u = p.delta = p.bc = kTensor;
  p.u_stride[2] = p.delta_stride[2] = channels;
  p.u_stride[1] = p.delta_stride[1] = length * channels;
  p.bc_stride[2] = 2 * states;
  return p;
}

ScanPlan plan_of(const vmexport_scan_params& p, const DeviceLimits& device) {
  ScanPlan plan{};
  expect(vmexport::plan_scan(p, device, {}, &plan), "a plan exists");
  return plan;
}

// What holds for every plan.
void check_plan(const vmexport_scan_params& p, const DeviceLimits& device) {
  const ScanPlan plan = plan_of(p, device);
  const std::string name = "L " + std::to_string(p.length) + ", N " + std::to_string(p.states) + ", S " +
                           std::to_string(p.order.directions) + ", dtype " + std::to_string(p.dtype);
  expect(plan.layout.end <= device.shared_per_block, name + ": shared memory");
  expect(plan.threads <= vmexport::kScanMaxThreads, name + ": threads");
  expect(plan.compute_threads == plan.directions * plan.channels * plan.lanes, name + ": compute threads");
  expect(plan.channels * plan.lanes % 32 == 0 && plan.channels >= 2, name + ": a warp has one direction");
  expect(plan.channels == 1 << plan.log2_channels, name + ": channels");
  expect(plan.groups * plan.channels >= p.channels && (plan.groups - 1) * plan.channels < p.channels,
         name + ": groups");
  expect(plan.jobs == plan.groups * p.batch && plan.grid > 0 && plan.grid <= plan.jobs, name + ": jobs");
  expect(plan.sum_tokens >= 1 && plan.sum_tokens <= p.length, name + ": range");
  // Every row's pieces of one copy are shared out among the threads without a rest.
  const int bytes = p.dtype == VMEXPORT_FLOAT32 ? 4 : 2;
  expect(vmexport::kFeedThreads % (plan.channels * bytes / plan.u_width) == 0, name + ": pieces of u");
  expect(vmexport::kFeedThreads % (16 * bytes / plan.bc_width) == 0, name + ": pieces of B and C");
}

void check_widths() {
  vmexport_scan_params p = params(1, 100, 768, 16, 2);
  expect(plan_of(p, kH200).u_width == 16 && plan_of(p, kH200).bc_width == 16, "aligned: the widest copies");
  p.u = kTensor + 2, p.delta_stride[1] += 2, p.bc_stride[2] += 4;
  const ScanPlan odd = plan_of(p, kH200);
  expect(odd.u_width == 2 && odd.delta_width == 4 && odd.bc_width == 8, "copies as wide as pointer and strides allow");
  expect(plan_of(params(1, 100, 5, 16, 2), kH200).u_width == 2, "copies as wide as the channels allow");
}

}  // namespace

int main() {
  for (const DeviceLimits& device : {kH200, kOrin, kTuring}) {
    for (const int64_t length : {1, 16, 785, 1569, 12545, 1000000}) {
      for (const int64_t states : {1, 16, 256}) {
        for (int32_t directions = 1; directions <= VMEXPORT_MAX_DIRECTIONS; ++directions) {
          for (int32_t dtype = 0; dtype < 3; ++dtype) {
            for (const int64_t channels : {1, 37, 768}) {
              vmexport_scan_params p = params(3, length, channels, states, directions);
              p.dtype = dtype;
              check_plan(p, device);
            }
          }
        }
      }
    }
  }
  expect(plan_of(params(1, 1569, 768, 16, 2), kH200).lanes == 8, "one clip on an H200: more lanes a channel");
  expect(plan_of(params(8, 1569, 768, 16, 2), kH200).lanes == 4, "eight clips on an H200: fewer");
  expect(plan_of(params(1, 1569, 768, 16, 2), kOrin).lanes == 4, "one clip on an Orin");
  expect(plan_of(params(1, 1569, 768, 16, 2), kH200).sum_tokens == 1569, "all sums in shared memory");
  expect(plan_of(params(1, 1569, 768, 16, 1), kTuring).sum_tokens == 1569, "one direction needs no sums");
  const ScanPlan many = plan_of(params(70000, 3, 768, 16, 2), kH200);
  expect(many.grid == many.jobs && many.jobs > 70000, "a batch beyond 65535");
  expect(plan_of(params(INT32_MAX, 1, 768, 16, 1), kH200).grid == INT32_MAX, "more jobs than a grid can hold");
  check_widths();
  std::printf(failures() == 0 ? "all plan tests passed\n" : "%d failures\n", failures());
  return failures() != 0;
}
