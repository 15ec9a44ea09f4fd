// Plans of recent shapes: a model asks for the same few ones all day, and finding one takes microseconds.
#ifndef VMEXPORT_SCAN_SCAN_PLAN_CACHE_H
#define VMEXPORT_SCAN_SCAN_PLAN_CACHE_H

#include "scan_plan.h"

namespace vmexport {

constexpr int kKeptPlans = 64;  // a shape that falls on another's place takes it

// Whether `plan_scan` found a plan for this shape on this device (its number) before: that one, for where the tensors
// of `params` lie. From any thread.
bool recall_plan(const vmexport_scan_params& params, int device, ScanPlan* plan) noexcept;
// Keep what `plan_scan` found without a request. From any thread.
void keep_plan(const vmexport_scan_params& params, int device, const ScanPlan& plan) noexcept;

}  // namespace vmexport

#endif  // VMEXPORT_SCAN_SCAN_PLAN_CACHE_H
