#include "scan_plan_cache.h"

#include <mutex>

namespace vmexport {
namespace {

// All that plan_scan reads but the tensors' places.
struct Shape {
  int64_t batch, length, channels, states;
  int32_t device, dtype, directions, gated;

  bool operator==(const Shape& other) const noexcept {
    return batch == other.batch && length == other.length && channels == other.channels && states == other.states &&
           device == other.device && dtype == other.dtype && directions == other.directions && gated == other.gated;
  }
};

struct Entry {
  Shape shape;
  ScanPlan plan;  // without lanes: none is kept here
};

std::mutex guard;
Entry entries[kKeptPlans];

Shape shape_of(const vmexport_scan_params& p, int device) noexcept {
  return {p.batch, p.length, p.channels, p.states, device, p.dtype, p.order.directions, p.z != nullptr};
}

Entry& place_of(const Shape& shape) noexcept {
  uint64_t hash = 0;
  for (const int64_t part : {shape.batch, shape.length, shape.channels, shape.states, int64_t{shape.device},
                             int64_t{shape.dtype}, int64_t{shape.directions}, int64_t{shape.gated}}) {
    hash = (hash ^ static_cast<uint64_t>(part)) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 32;
  }
  return entries[hash % kKeptPlans];
}

}  // namespace

bool recall_plan(const vmexport_scan_params& params, int device, ScanPlan* plan) noexcept {
  const Shape shape = shape_of(params, device);
  {
    const std::lock_guard<std::mutex> lock(guard);
    const Entry& entry = place_of(shape);
    if (entry.plan.lanes == 0 || !(entry.shape == shape)) return false;
    *plan = entry.plan;
  }
  choose_copy_widths(params, plan);
  return true;
}

void keep_plan(const vmexport_scan_params& params, int device, const ScanPlan& plan) noexcept {
  const Shape shape = shape_of(params, device);
  const std::lock_guard<std::mutex> lock(guard);
  place_of(shape) = {shape, plan};
}

}  // namespace vmexport
