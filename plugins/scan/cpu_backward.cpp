// Backward passes on a CPU. How the work is cut does not depend on the number of threads, and parts are added in one
// order: gradients are the same to the bit whoever computes them.
#include <algorithm>
#include <atomic>
#include <cstring>

#include "cpu.h"
#include "dispatch.h"
#include "parallel.h"
#include "validate.h"
#include "workspace.h"

namespace vmexport {
namespace {

// Work on one core, in nanoseconds; only the order of magnitude matters.
constexpr double kScanNsPerState = 0.75;
constexpr double kConvNsPerElement = 1.5;

// A group of channels is a task. Few enough of them that the parts of grad_BC, one for each group, do not grow with
// the number of channels.
constexpr int64_t kGroupChannels = 128;
constexpr int64_t kMaxGroups = 16;
constexpr int64_t kGroupUnit = 16;  // a multiple of every tier's lanes

constexpr int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

// Tokens between kept states: in proportion to sqrt(L), and so are the states kept. Less than sqrt(L) itself, because
// short tiles stay in the caches.
int64_t tile_of(int64_t length) noexcept {
  int64_t tile = kTileTokens;
  while (tile < kMaxBackwardTile && 8 * tile * tile < length) tile += kTileTokens;
  return tile;
}

// One part of a gradient for each sequence of the batch, added at the end; the gradient itself where there is one.
struct Parts {
  float* gradient = nullptr;  // nullable: not wanted
  int64_t size = 0, count = 0;
  Buffer memory;
  float* data = nullptr;

  // False where there is no memory. `needed` though not wanted: the kernel writes it in any case.
  bool make(float* wanted, int64_t floats, int64_t batch, bool needed = false) noexcept {
    gradient = data = wanted;
    size = floats;
    count = batch;
    if ((wanted == nullptr && !needed) || (wanted != nullptr && batch == 1)) return true;
    memory = allocate(floats * batch);
    data = memory.get();
    return data != nullptr;
  }

  float* at(int64_t sequence) const noexcept { return data != nullptr ? data + sequence * size : nullptr; }

  void add() const noexcept {
    if (gradient == nullptr || data == gradient) return;
    std::memcpy(gradient, data, static_cast<size_t>(size) * sizeof(float));
    for (int64_t b = 1; b < count; ++b) {
      for (int64_t i = 0; i < size; ++i) gradient[i] += data[b * size + i];
    }
  }
};

void clear(float* gradient, int64_t floats) noexcept {
  if (gradient != nullptr) std::memset(gradient, 0, static_cast<size_t>(floats) * sizeof(float));
}

struct ScanBackwardPlan {
  const vmexport_scan_backward_params& params;
  const vmexport_scan_params& scan;
  const Tier& tier;
  int64_t group, groups, tile;
  bool through;  // whether anything but grad_z is wanted
  Parts a, d, bias;
  Buffer bc_memory;
  float* bc = nullptr;  // (groups, S, B, L, 2N); null: not wanted
  std::atomic<bool> out_of_memory{false};

  ScanBackwardPlan(const vmexport_scan_backward_params& p, const Tier& t) noexcept
      : params(p), scan(p.scan), tier(t), tile(tile_of(p.scan.length)) {
    group = std::max(kGroupChannels, round_up((scan.channels + kMaxGroups - 1) / kMaxGroups, kGroupUnit));
    groups = (scan.channels + group - 1) / group;
    through = p.grad_u != nullptr || p.grad_delta != nullptr || p.grad_a != nullptr || p.grad_bc != nullptr ||
              p.grad_d != nullptr || p.grad_delta_bias != nullptr;
  }

  int64_t sequence_bc() const noexcept { return scan.length * 2 * scan.states; }
  int64_t group_bc() const noexcept { return scan.order.directions * scan.batch * sequence_bc(); }

  bool make() noexcept {
    const int64_t parameters = scan.order.directions * scan.channels;
    if (params.grad_bc != nullptr) {
      bc_memory = allocate(groups * group_bc());
      bc = bc_memory.get();
      if (bc == nullptr) return false;
    }
    return a.make(params.grad_a, parameters * scan.states, scan.batch, through) &&
           d.make(params.grad_d, parameters, scan.batch) && bias.make(params.grad_delta_bias, parameters, scan.batch);
  }
};

// What one task needs while it walks its channels.
struct ScanBackwardMemory {
  int64_t walk, back, kept, sum;  // floats of each part
  Buffer memory;

  ScanBackwardMemory(const ScanBackwardPlan& plan, int64_t channels) noexcept {
    const vmexport_scan_params& p = plan.scan;
    const int64_t width = round_up(channels, kGroupUnit);
    walk = round_up(workspace_floats(p.states, width), kGroupUnit);
    back = plan.through ? round_up(backward_floats(p.states, width, plan.tile), kGroupUnit) : 0;
    kept = plan.through ? (p.length + plan.tile - 1) / plan.tile * p.states * width : 0;
    sum = (plan.params.grad_z != nullptr ? p.length : 1) * channels;
    memory = allocate(walk + back + kept + sum);
  }
  float* walk_memory() const noexcept { return memory.get(); }
  float* back_memory() const noexcept { return memory.get() + walk; }
  float* kept_states() const noexcept { return back > 0 ? memory.get() + walk + back : nullptr; }
  float* sums() const noexcept { return memory.get() + walk + back + kept; }
};

// One sequence, one group of channels: every direction forward, keeping a state a tile, and backward.
void scan_backward_task(void* context, int64_t index) {
  ScanBackwardPlan& plan = *static_cast<ScanBackwardPlan*>(context);
  const vmexport_scan_params& p = plan.scan;
  const int64_t batch = index / plan.groups, group = index % plan.groups;
  const int64_t channel = group * plan.group;
  const int64_t channels = std::min(plan.group, p.channels - channel);
  const ScanBackwardMemory memory(plan, channels);
  if (memory.memory == nullptr) {
    plan.out_of_memory = true;
    return;
  }
  const bool wants_z = plan.params.grad_z != nullptr;
  for (int32_t s = 0; s < p.order.directions; ++s) {
    ScanPiece walk{s,
                   batch,
                   channel,
                   channels,
                   memory.sums(),
                   channels,
                   s > 0 && wants_z,
                   false,
                   memory.walk_memory(),
                   memory.kept_states(),
                   plan.tile};
    if (!wants_z) walk.sum_stride = 0;  // the scan itself is of no use: every token's is written over the last one's
    plan.tier.scan(p, walk);
    if (!plan.through) continue;
    ScanBackwardPiece back{};
    back.direction = s;
    back.batch = batch, back.channel = channel, back.channels = channels;
    back.kept = memory.kept_states(), back.tile = plan.tile, back.workspace = memory.back_memory();
    if (plan.bc != nullptr) {
      back.grad_bc = plan.bc + group * plan.group_bc() + (s * p.batch + batch) * plan.sequence_bc();
    }
    back.grad_a = plan.a.at(batch) + s * p.channels * p.states;
    back.grad_d = plan.d.data != nullptr ? plan.d.at(batch) + s * p.channels : nullptr;
    back.grad_delta_bias = plan.bias.data != nullptr ? plan.bias.at(batch) + s * p.channels : nullptr;
    plan.tier.scan_backward(plan.params, back);
  }
  if (wants_z) plan.tier.gate_backward(plan.params, {batch, channel, channels, memory.sums()});
}

void sum_bc_task(void* context, int64_t index) {
  const ScanBackwardPlan& plan = *static_cast<const ScanBackwardPlan*>(context);
  const vmexport_scan_params& p = plan.scan;
  const int64_t chunks = (p.length + kChunkTokens - 1) / kChunkTokens;
  const int64_t token = index % chunks * kChunkTokens;
  const int64_t sequence = index / chunks;
  plan.tier.sum_bc(plan.params, {static_cast<int32_t>(sequence / p.batch), sequence % p.batch, token,
                                 std::min<int64_t>(kChunkTokens, p.length - token),
                                 plan.bc + sequence * plan.sequence_bc(), plan.groups, plan.group_bc()});
}

struct ConvBackwardPlan {
  const vmexport_conv_backward_params& params;
  const Tier& tier;
  int64_t groups;
  Parts weight, bias;
  std::atomic<bool> out_of_memory{false};
};

void conv_backward_task(void* context, int64_t index) {
  ConvBackwardPlan& plan = *static_cast<ConvBackwardPlan*>(context);
  const vmexport_conv_params& p = plan.params.conv;
  const bool running = plan.params.grad_x != nullptr && p.order.directions > 1;
  const Buffer sum = allocate(running ? p.length * kConvGroup : 1);
  if (sum == nullptr) {
    plan.out_of_memory = true;
    return;
  }
  const int64_t batch = index / plan.groups, channel = index % plan.groups * kConvGroup;
  plan.tier.conv_backward(plan.params, {batch, channel, std::min<int64_t>(kConvGroup, p.channels - channel), sum.get(),
                                        plan.weight.at(batch), plan.bias.at(batch)});
}

}  // namespace

vmexport_status selective_scan_backward_cpu(const vmexport_scan_backward_params& p, char* message) noexcept {
  const vmexport_status status = validate(p, message);
  if (status != VMEXPORT_OK) return status;
  const vmexport_scan_params& scan = p.scan;
  if (scan.batch == 0 || scan.length == 0) {
    const int64_t parameters = scan.order.directions * scan.channels;
    clear(p.grad_a, parameters * scan.states);
    clear(p.grad_d, parameters);
    clear(p.grad_delta_bias, parameters);
    return VMEXPORT_OK;
  }
  ScanBackwardPlan plan(p, current_tier());
  if (!plan.through && p.grad_z == nullptr) return VMEXPORT_OK;
  if (!plan.make()) return out_of_memory(message);
  const double work = kScanNsPerState * static_cast<double>(scan.order.directions) * static_cast<double>(scan.batch) *
                      static_cast<double>(scan.length) * static_cast<double>(scan.channels * scan.states);
  const int64_t threads = useful_threads(scan.executor, work);
  run_tasks(scan.executor, threads, scan.batch * plan.groups, scan_backward_task, &plan);
  if (plan.out_of_memory) return out_of_memory(message);
  if (plan.bc != nullptr) {
    const int64_t chunks = (scan.length + kChunkTokens - 1) / kChunkTokens;
    run_tasks(scan.executor, threads, scan.order.directions * scan.batch * chunks, sum_bc_task, &plan);
  }
  for (const Parts* parts : {&plan.a, &plan.d, &plan.bias}) parts->add();
  return VMEXPORT_OK;
}

vmexport_status causal_conv1d_backward_cpu(const vmexport_conv_backward_params& p, char* message) noexcept {
  const vmexport_status status = validate(p, message);
  if (status != VMEXPORT_OK) return status;
  const vmexport_conv_params& conv = p.conv;
  const int64_t parameters = conv.order.directions * conv.channels;
  if (conv.batch == 0 || conv.length == 0) {
    clear(p.grad_weight, parameters * conv.taps);
    clear(p.grad_bias, parameters);
    return VMEXPORT_OK;
  }
  ConvBackwardPlan plan{p, current_tier(), (conv.channels + kConvGroup - 1) / kConvGroup, {}, {}};
  if (!plan.weight.make(p.grad_weight, parameters * conv.taps, conv.batch) ||
      !plan.bias.make(p.grad_bias, parameters, conv.batch)) {
    return out_of_memory(message);
  }
  const double work = kConvNsPerElement * static_cast<double>(conv.order.directions * conv.batch) *
                      static_cast<double>(conv.length) * static_cast<double>(conv.channels);
  run_tasks(conv.executor, useful_threads(conv.executor, work), conv.batch * plan.groups, conv_backward_task, &plan);
  if (plan.out_of_memory) return out_of_memory(message);
  plan.weight.add();
  plan.bias.add();
  return VMEXPORT_OK;
}

}  // namespace vmexport
