#include "scan_plan.h"

#include <algorithm>

namespace vmexport {
namespace {

constexpr int kWarp = 32;
constexpr int kArrayAlignment = 16;
constexpr int kReservedShared = 1024;  // a block's shared memory that the driver keeps

// Instructions of the recurrence per (token, channel, state), by log2 of the lanes: counted in the machine code.
constexpr double kInstructions[] = {5.8, 6.2, 6.8, 7.9, 10.6};
constexpr double kHelperPerValue = 1.6;  // warp instructions per token for a (channel, direction)
constexpr double kHelperPerToken = 5.0;  // and for a direction's B and C
constexpr double kMufuCycles = 2.0;      // cycles a multiprocessor needs for a warp's exponentials
constexpr double kSchedulers = 4.0;
constexpr double kTileCycles = 600.0;   // at least: the longest chain of a tile in one warp, and the barrier
constexpr double kStartTokens = 100.0;  // of latency, before the first and after the last tile

int element_bytes(int32_t dtype) { return dtype == VMEXPORT_FLOAT32 ? 4 : 2; }

int log2_of(int power) {
  int result = 0;
  while (power >> (result + 1)) ++result;
  return result;
}

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The widest copy for rows of `row` elements from `pointer` on, `limit` bytes at most.
int copy_width(const void* pointer, const int64_t* strides, int count, int64_t row, int bytes, int limit) {
  uint64_t bits = reinterpret_cast<uintptr_t>(pointer) | static_cast<uint64_t>(row * bytes);
  for (int i = 0; i < count; ++i) bits |= static_cast<uint64_t>(strides[i]) * static_cast<uint64_t>(bytes);
  int width = std::min(16, limit);
  while (bits % static_cast<uint64_t>(width) != 0) width /= 2;
  return width;
}

struct Planner {
  const vmexport_scan_params& p;
  const DeviceLimits& device;
  const ScanPlanRequest& request;

  bool sums_needed() const { return p.order.directions > 1 || p.states > kPassStates; }

  void lay_out(ScanPlan& plan) const {
    const int bytes = element_bytes(p.dtype);
    const int tile = tile_tokens(plan.lanes);
    const int rows = plan.directions * tile;
    int64_t at = 0;
    const auto take = [&](int64_t size) {
      const int64_t offset = at;
      at = divide_up(at + size + request.gap, kArrayAlignment) * kArrayAlignment;
      return static_cast<int32_t>(offset);
    };
    ScanLayout& layout = plan.layout;
    layout.tokens = take(int64_t{8} * kTokenTiles * rows);
    layout.raw_u = take(int64_t{bytes} * kRawTiles * rows * plan.channels);
    layout.raw_delta = take(int64_t{bytes} * kRawTiles * rows * plan.channels);
    layout.raw_bc = take(int64_t{bytes} * kRawTiles * rows * 2 * kPassStates);
    layout.gate = take(p.z != nullptr ? int64_t{bytes} * kGateTiles * rows * plan.channels : 0);
    layout.delta = take(int64_t{4} * kReadyTiles * plan.directions * plan.channels * (tile + kReadyPadding));
    layout.input = take(int64_t{4} * kReadyTiles * plan.directions * plan.channels * (tile + kReadyPadding));
    layout.bc = take(int64_t{4} * kReadyTiles * rows * 2 * kPassStates);
    layout.out = take(int64_t{4} * kOutTiles * rows * plan.channels);
    layout.sums = static_cast<int32_t>(std::min<int64_t>(at, INT32_MAX / 2));
    const int64_t row = int64_t{4} * plan.channels;
    plan.sum_tokens = p.length;
    if (sums_needed()) {
      plan.sum_tokens = std::min(plan.sum_tokens, (device.shared_per_block - int64_t{layout.sums}) / row);
      if (request.sum_tokens > 0) plan.sum_tokens = std::min(plan.sum_tokens, request.sum_tokens);
    }
    layout.end = layout.sums + static_cast<int32_t>(sums_needed() && plan.sum_tokens > 0 ? plan.sum_tokens * row : 0);
  }

  // Cycles of one multiprocessor per token with `blocks` blocks on it.
  double token_cycles(const ScanPlan& plan, int64_t blocks) const {
    const double states = static_cast<double>(kPassStates) / plan.lanes;
    const double compute_warps = static_cast<double>(blocks) * plan.compute_threads / kWarp;
    const double busiest = static_cast<double>(divide_up(static_cast<int64_t>(compute_warps), 4));
    const double values = static_cast<double>(blocks) * plan.directions * plan.channels;
    const double helpers =
        (values * kHelperPerValue + static_cast<double>(blocks) * plan.directions * kHelperPerToken) / kSchedulers;
    const double instructions = kInstructions[log2_of(plan.lanes)] * states;
    const double exponentials = kMufuCycles * kSchedulers * states;
    const double special = kMufuCycles * values * (kPassStates + 3) / kWarp;
    return std::max(
        {busiest * instructions + helpers, busiest * exponentials, special, kTileCycles / tile_tokens(plan.lanes)});
  }

  void estimate(ScanPlan& plan) const {
    const int64_t registers = device.registers_per_multiprocessor / (kScanMaxThreads * kScanMinBlocks);
    const int64_t resident =
        std::max<int64_t>(1, std::min({int64_t{device.shared_per_multiprocessor} / (plan.layout.end + kReservedShared),
                                       int64_t{device.threads_per_multiprocessor} / plan.threads,
                                       device.registers_per_multiprocessor / (plan.threads * registers)}));
    const int64_t wave = resident * device.multiprocessors;
    const double full = static_cast<double>(plan.jobs / wave);
    const int64_t left = divide_up(plan.jobs % wave, device.multiprocessors);
    const double passes = static_cast<double>(divide_up(p.length, plan.sum_tokens) * divide_up(p.states, kPassStates) *
                                              divide_up(p.order.directions, plan.directions));
    const double cycles = full * token_cycles(plan, resident) + (left > 0 ? token_cycles(plan, left) : 0.0);
    plan.cost = passes * (static_cast<double>(p.length) + kStartTokens) * cycles;
  }

  bool consider(int lanes, int channels, int directions, ScanPlan* best) const {
    ScanPlan plan{};
    plan.lanes = lanes, plan.channels = channels, plan.log2_channels = log2_of(channels);
    plan.directions = directions;
    plan.compute_threads = directions * channels * lanes;
    plan.threads = plan.compute_threads + kFeedThreads + kPrepareThreads + kFinishThreads;
    if (plan.compute_threads > kComputeMaxThreads || channels > kFeedThreads) return false;
    lay_out(plan);
    if (plan.sum_tokens < 1 || plan.layout.end > device.shared_per_block) return false;
    plan.groups = divide_up(p.channels, channels);
    plan.jobs = p.batch * plan.groups;
    plan.grid = static_cast<int32_t>(std::min<int64_t>(plan.jobs, request.grid > 0 ? request.grid : INT32_MAX));
    estimate(plan);
    if (best->lanes != 0 && best->cost <= plan.cost) return true;
    *best = plan;
    return true;
  }
};

}  // namespace

bool plan_scan(const vmexport_scan_params& p, const DeviceLimits& device, const ScanPlanRequest& request,
               ScanPlan* plan) noexcept {
  const Planner planner{p, device, request};
  *plan = ScanPlan{};
  for (int directions = p.order.directions; directions >= 1; --directions) {
    if (request.directions > 0 && request.directions != directions) continue;
    for (int lanes = 1; lanes <= kMaxLanes; lanes *= 2) {
      if (request.lanes > 0 && request.lanes != lanes) continue;
      for (int channels = kWarp / lanes; channels <= 4 * kWarp / lanes; channels *= 2) {
        if (request.channels > 0 && request.channels != channels) continue;
        planner.consider(lanes, channels, directions, plan);
      }
    }
  }
  if (plan->lanes == 0) return false;
  choose_copy_widths(p, plan);
  return true;
}

void choose_copy_widths(const vmexport_scan_params& p, ScanPlan* plan) noexcept {
  const int bytes = element_bytes(p.dtype);
  const int row = plan->channels * bytes;
  plan->u_width = copy_width(p.u, p.u_stride, 3, p.channels, bytes, row);
  plan->delta_width = copy_width(p.delta, p.delta_stride, 3, p.channels, bytes, row);
  plan->bc_width = copy_width(p.bc, p.bc_stride, 3, p.states, bytes, kPassStates * bytes);
  plan->z_width = copy_width(p.z, p.z_stride, 2, p.channels, bytes, row);
}

}  // namespace vmexport
