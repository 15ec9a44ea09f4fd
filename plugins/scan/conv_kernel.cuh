// The causal depthwise convolution + SiLU of all directions in one launch.
//
// A thread owns some channels (16 bytes of them where the tensors allow) and kConvSteps consecutive steps of one
// direction: it reads the rows of its steps and of the taps - 1 steps before into registers and computes from there.
// The directions walk the same tokens at about the same time (chunk_of), so that x comes from memory once and from
// the caches after that.
#ifndef VMEXPORT_SCAN_CONV_KERNEL_CUH
#define VMEXPORT_SCAN_CONV_KERNEL_CUH

#include "conv_plan.h"
#include "device_math.cuh"
#include "vector.cuh"
#include "walk.h"

namespace vmexport {

// Orders that visit the frames backwards take the chunks backwards too.
__device__ inline int64_t chunk_of(int32_t order, int64_t chunk, int64_t chunks) {
  return order == VMEXPORT_SPATIOTEMPORAL || order == VMEXPORT_TEMPORAL ? chunks - 1 - chunk : chunk;
}

// Bias and weights of a thread's channels. Fewer taps than kTaps stand last, behind zeros.
template <int kVector, int kTaps>
struct ConvWeights {
  float bias[kVector];
  float tap[kTaps][kVector];

  __device__ ConvWeights(const vmexport_conv_params& p, int64_t first, int taps) {
#pragma unroll
    for (int c = 0; c < kVector; ++c) {
      bias[c] = p.bias != nullptr ? p.bias[first + c] : 0.0f;
      const float* const row = p.weight + (first + c) * taps;
      if constexpr (kVector > 1) {
        const Vector<float, kTaps> all = Vector<float, kTaps>::load(row);
#pragma unroll
        for (int k = 0; k < kTaps; ++k) tap[k][c] = all.elements[k];
      } else {
#pragma unroll
        for (int k = 0; k < kTaps; ++k) tap[k][c] = k >= kTaps - taps ? row[k - (kTaps - taps)] : 0.0f;
      }
    }
  }
};

// kTaps: as many as p.taps, or VMEXPORT_MAX_TAPS for any number.
template <class T, int kVector, int kTaps>
__global__ void __launch_bounds__(kConvThreads, 3) conv_kernel(const vmexport_conv_params p, const ConvPlan plan) {
  using Row = Vector<T, kVector>;
  int64_t item = static_cast<int64_t>(blockIdx.x) * kConvThreads + threadIdx.x;
  if (item >= plan.items) return;
  const int64_t channel = item % plan.columns * kVector;
  item /= plan.columns;
  const int32_t direction = static_cast<int32_t>(item % p.order.directions);
  item /= p.order.directions;
  const int64_t start = chunk_of(p.order.orders[direction], item % plan.chunks, plan.chunks) * kConvSteps;
  const int64_t batch = item / plan.chunks;
  const int taps = kTaps == kFastTaps ? kFastTaps : static_cast<int>(p.taps);

  // rows[i] is the row of step start - (kTaps - 1) + i; zeros before the first step and where no tap looks.
  constexpr int kRows = kConvSteps + kTaps - 1;
  Row rows[kRows];
  const T* const x = static_cast<const T*>(p.x) + batch * p.x_stride[0] + channel;
  const int before = start < taps - 1 ? static_cast<int>(start) : taps - 1;
  const int steps = p.length - start < kConvSteps ? static_cast<int>(p.length - start) : kConvSteps;
  Walk walk(p.order, direction, p.length, start - before);
  Walk out_walk = walk;
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
    if (i < kTaps - 1 - before || i - (kTaps - 1) >= steps) {
#pragma unroll
      for (int c = 0; c < kVector; ++c) rows[i].elements[c] = rounded<T>(0.0f);
      continue;
    }
    rows[i] = Row::load(x + walk.token * p.x_stride[1]);
    if (i < kTaps - 1) out_walk.next();
    walk.next();
  }

  T* const u = static_cast<T*>(p.u) + direction * p.u_stride[0] + batch * p.u_stride[1] + channel;
  const ConvWeights<kVector, kTaps> weights(p, direction * p.channels + channel, taps);
  float seen[kTaps][kVector];  // the last rows, in turn
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
#pragma unroll
    for (int c = 0; c < kVector; ++c) seen[i % kTaps][c] = as_float(rows[i].elements[c]);
    if (i < kTaps - 1) continue;
    if (i - (kTaps - 1) >= steps) return;
    Row out;
#pragma unroll
    for (int c = 0; c < kVector; ++c) {
      float sum = weights.bias[c];
#pragma unroll
      for (int k = 0; k < kTaps; ++k) sum += weights.tap[k][c] * seen[(i + 1 + k) % kTaps][c];
      out.elements[c] = rounded<T>(silu(sum));
    }
    out.store(u + out_walk.token * p.u_stride[2]);
    out_walk.next();
  }
}

}  // namespace vmexport

#endif  // VMEXPORT_SCAN_CONV_KERNEL_CUH
