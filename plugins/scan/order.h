// Scan orders (paper section 4.4): which token a direction visits at a step. Shared by CPU and CUDA.
#ifndef VMEXPORT_SCAN_ORDER_H
#define VMEXPORT_SCAN_ORDER_H

#include "params.h"

#if defined(__CUDACC__)
#define VMEXPORT_HOST_DEVICE __host__ __device__
#else
#define VMEXPORT_HOST_DEVICE
#endif

// Inlined without exception: of a function that several files emit the linker keeps one copy for all, and that may be
// the one of a tier (tier.h) whose instructions not every machine has.
#define VMEXPORT_UNSHARED __attribute__((always_inline))

namespace vmexport {

// Token visited at `step`; backward orders reach the class token (token 0) last.
VMEXPORT_HOST_DEVICE VMEXPORT_UNSHARED constexpr int64_t token_at(int32_t order, int64_t step, int64_t length,
                                                                  int64_t tokens_per_frame, int32_t class_token) {
  if (order == VMEXPORT_FORWARD) return step;
  if (order == VMEXPORT_SPATIOTEMPORAL) return length - 1 - step;
  const int64_t patches = length - class_token;
  if (step == patches) return 0;
  const int64_t frame = step / tokens_per_frame;
  const int64_t within = step - frame * tokens_per_frame;
  if (order == VMEXPORT_SPATIAL) return class_token + frame * tokens_per_frame + tokens_per_frame - 1 - within;
  return class_token + patches - (frame + 1) * tokens_per_frame + within;
}

// The step at which `token` is visited: the inverse of token_at.
VMEXPORT_HOST_DEVICE VMEXPORT_UNSHARED constexpr int64_t step_of(int32_t order, int64_t token, int64_t length,
                                                                 int64_t tokens_per_frame, int32_t class_token) {
  if (order == VMEXPORT_FORWARD) return token;
  if (order == VMEXPORT_SPATIOTEMPORAL) return length - 1 - token;
  const int64_t patches = length - class_token;
  const int64_t patch = token - class_token;
  if (patch < 0) return patches;
  const int64_t frame = patch / tokens_per_frame;
  const int64_t within = patch - frame * tokens_per_frame;
  if (order == VMEXPORT_SPATIAL) return frame * tokens_per_frame + tokens_per_frame - 1 - within;
  return patches - (frame + 1) * tokens_per_frame + within;
}

}  // namespace vmexport

#endif  // VMEXPORT_SCAN_ORDER_H
