#include "conv_plan.h"

namespace vmexport {
namespace {

bool aligned(const void* data, int64_t bytes) noexcept { return reinterpret_cast<uintptr_t>(data) % bytes == 0; }

// Whether every row of x and u begins at a multiple of `vector` elements, and the weights at one of 16 bytes.
bool vectors_fit(const vmexport_conv_params& p, int32_t vector) noexcept {
  bool fit = p.channels % vector == 0 && aligned(p.x, kVectorBytes) && aligned(p.u, kVectorBytes) &&
             aligned(p.weight, kVectorBytes) && (p.bias == nullptr || aligned(p.bias, kVectorBytes));
  for (const int64_t stride : p.x_stride) fit = fit && stride % vector == 0;
  for (const int64_t stride : p.u_stride) fit = fit && stride % vector == 0;
  return fit;
}

int64_t divide_up(int64_t a, int64_t b) noexcept { return (a + b - 1) / b; }

}  // namespace

ConvPlan conv_plan(const vmexport_conv_params& p) noexcept {
  const int32_t widest = kVectorBytes / (p.dtype == VMEXPORT_FLOAT32 ? 4 : 2);
  ConvPlan plan{};
  plan.fast_taps = p.taps == kFastTaps;
  plan.vector = plan.fast_taps && vectors_fit(p, widest) ? widest : 1;
  plan.columns = divide_up(p.channels, plan.vector);
  plan.chunks = divide_up(p.length, kConvSteps);
  plan.items = plan.columns * p.order.directions * plan.chunks * p.batch;
  plan.blocks = divide_up(plan.items, kConvThreads);
  return plan;
}

}  // namespace vmexport
