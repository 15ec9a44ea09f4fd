#include "cpu.h"

#include <algorithm>
#include <atomic>

#include "dispatch.h"
#include "parallel.h"
#include "validate.h"
#include "workspace.h"

namespace vmexport {
namespace {

// Work on one core, in nanoseconds, to choose the number of threads; only the order of magnitude matters.
constexpr double kScanNsPerState = 0.25;
constexpr double kConvNsPerElement = 0.5;
constexpr int64_t kTasksPerThread = 2;  // evens out threads that the machine slows down

// How a scan is cut into tasks. Either a task walks all directions of its channels and gates at the end, or
// (few channels, many threads) every direction is a task of its own and a second pass sums and gates.
struct ScanPlan {
  const vmexport_scan_params& params;
  const Tier& tier;
  int64_t threads;
  int64_t group;   // channels of a task
  int64_t groups;  // tasks over the channels
  bool split;      // directions apart
  float* sums;     // (B, S, L, D) where split
  std::atomic<bool> out_of_memory{false};

  ScanPlan(const vmexport_scan_params& p, const Tier& t) noexcept : params(p), tier(t), sums(nullptr) {
    const double work = kScanNsPerState * static_cast<double>(p.order.directions) * static_cast<double>(p.batch) *
                        static_cast<double>(p.length) * static_cast<double>(p.channels * p.states);
    threads = useful_threads(p.executor, work);
    const int64_t blocks = (p.channels + tier.lanes - 1) / tier.lanes;
    const int64_t tasks = threads > 1 ? threads * kTasksPerThread : 1;
    const int64_t wanted = (tasks + p.batch - 1) / p.batch;
    const int64_t per_task = std::clamp<int64_t>(blocks / wanted, 1, kMaxGroupChannels / tier.lanes);
    group = per_task * tier.lanes;
    groups = (p.channels + group - 1) / group;
    split = p.order.directions > 1 && p.batch * groups < threads;
  }

  int64_t sequence_floats() const noexcept { return params.length * params.channels; }
};

void scan_task(void* context, int64_t index) {
  ScanPlan& plan = *static_cast<ScanPlan*>(context);
  const vmexport_scan_params& p = plan.params;
  const bool buffered = !plan.split && p.dtype != VMEXPORT_FLOAT32 && p.order.directions > 1;
  const int64_t workspace = workspace_floats(p.states, plan.group);
  const Buffer buffer = allocate(workspace + (buffered ? p.length * plan.group : 0));
  if (buffer == nullptr) {
    plan.out_of_memory = true;
    return;
  }
  ScanPiece piece{};
  piece.workspace = buffer.get();
  const int64_t directions = plan.split ? 1 : p.order.directions;
  const int64_t first = plan.split ? index % p.order.directions : 0;
  if (plan.split) index /= p.order.directions;
  piece.batch = index / plan.groups;
  piece.channel = index % plan.groups * plan.group;
  piece.channels = std::min(plan.group, p.channels - piece.channel);
  for (int64_t s = first; s < first + directions; ++s) {
    piece.direction = static_cast<int32_t>(s);
    piece.add = s > first;
    piece.finish = !plan.split && s + 1 == p.order.directions;
    if (plan.split) {
      piece.sum = plan.sums + (piece.batch * p.order.directions + s) * plan.sequence_floats() + piece.channel;
      piece.sum_stride = p.channels;
    } else if (buffered) {
      piece.sum = buffer.get() + workspace;
      piece.sum_stride = plan.group;
    } else {  // float32: y is the running sum (and never read where there is one direction)
      piece.sum = static_cast<float*>(p.y) + piece.batch * p.y_stride[0] + piece.channel;
      piece.sum_stride = p.y_stride[1];
    }
    plan.tier.scan(p, piece);
  }
}

void gate_task(void* context, int64_t index) {
  ScanPlan& plan = *static_cast<ScanPlan*>(context);
  const vmexport_scan_params& p = plan.params;
  const int64_t chunks = (p.length + kChunkTokens - 1) / kChunkTokens;
  GatePiece piece{};
  piece.batch = index / chunks;
  piece.token = index % chunks * kChunkTokens;
  piece.tokens = std::min<int64_t>(kChunkTokens, p.length - piece.token);
  piece.sums = plan.sums + piece.batch * p.order.directions * plan.sequence_floats();
  piece.direction_stride = plan.sequence_floats();
  plan.tier.gate(p, piece);
}

struct ConvPlan {
  const vmexport_conv_params& params;
  const Tier& tier;
  int64_t chunks;
};

void conv_task(void* context, int64_t index) {
  const ConvPlan& plan = *static_cast<const ConvPlan*>(context);
  ConvPiece piece{};
  piece.step = index % plan.chunks * kChunkTokens;
  piece.steps = std::min<int64_t>(kChunkTokens, plan.params.length - piece.step);
  index /= plan.chunks;
  piece.direction = static_cast<int32_t>(index % plan.params.order.directions);
  piece.batch = index / plan.params.order.directions;
  plan.tier.conv(plan.params, piece);
}

}  // namespace

vmexport_status selective_scan_cpu(const vmexport_scan_params& p, char* message) noexcept {
  const vmexport_status status = validate(p, message);
  if (status != VMEXPORT_OK) return status;
  if (p.batch == 0 || p.length == 0) return VMEXPORT_OK;
  ScanPlan plan(p, current_tier());
  Buffer sums;
  if (plan.split) {
    sums = allocate(p.batch * p.order.directions * plan.sequence_floats());
    if (sums == nullptr) return out_of_memory(message);
    plan.sums = sums.get();
  }
  const int64_t tasks = p.batch * plan.groups * (plan.split ? p.order.directions : 1);
  run_tasks(p.executor, plan.threads, tasks, scan_task, &plan);
  if (plan.out_of_memory) return out_of_memory(message);
  if (plan.split) {
    const int64_t chunks = (p.length + kChunkTokens - 1) / kChunkTokens;
    run_tasks(p.executor, plan.threads, p.batch * chunks, gate_task, &plan);
  }
  return VMEXPORT_OK;
}

vmexport_status causal_conv1d_cpu(const vmexport_conv_params& p, char* message) noexcept {
  const vmexport_status status = validate(p, message);
  if (status != VMEXPORT_OK) return status;
  if (p.batch == 0 || p.length == 0) return VMEXPORT_OK;
  ConvPlan plan{p, current_tier(), (p.length + kChunkTokens - 1) / kChunkTokens};
  const int64_t sequences = p.batch * p.order.directions;
  const double work = kConvNsPerElement * static_cast<double>(sequences) * static_cast<double>(p.length) *
                      static_cast<double>(p.channels);
  run_tasks(p.executor, useful_threads(p.executor, work), sequences * plan.chunks, conv_task, &plan);
  return VMEXPORT_OK;
}

}  // namespace vmexport
