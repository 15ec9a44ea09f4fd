// Finishing warps: sum over the directions, gate, scale, store.
#ifndef VMEXPORT_SCAN_SCAN_FINISH_CUH
#define VMEXPORT_SCAN_SCAN_FINISH_CUH

#include "device_math.cuh"
#include "scan_block.cuh"

namespace vmexport {

// The first arrival at a token writes its sum, later ones add, the last one finishes y.
template <class T, int kLanes>
__device__ void finish_tile(const ScanLaunch& launch, const ScanArrays<T, kLanes>& arrays, const ScanPass& pass,
                            int64_t tile, int thread) {
  constexpr int kTile = ScanArrays<T, kLanes>::kTile;
  const vmexport_scan_params& p = launch.params;
  const int log2_pairs = launch.plan.log2_channels - 1;  // a thread finishes two channels
  const unsigned pairs = static_cast<unsigned>(kTile) << log2_pairs;
  const Pair<T>* const gates = reinterpret_cast<const Pair<T>*>(arrays.gate(tile));
  T* const y = static_cast<T*>(p.y) + pass.batch * p.y_stride[0] + pass.channel;
  for (int q = 0; q < pass.directions; ++q) {
    // Two directions may reach one token in one tile: by different threads, hence one after the other.
    if (q > 0) named_barrier(kFinishBarrier, kFinishThreads);
    const int64_t* const tokens = arrays.tokens(tile) + q * kTile;
    const float2* const out = reinterpret_cast<const float2*>(arrays.out(tile)) + ((q * kTile) << log2_pairs);
#pragma unroll 2
    for (unsigned item = thread; item < pairs; item += kFinishThreads) {
      const int channel = static_cast<int>(item & ((1u << log2_pairs) - 1)) * 2;
      const int64_t entry = tokens[item >> log2_pairs];
      const int64_t token = token_of(entry);
      const int64_t kept = token - pass.first_token;
      if (entry == kNoToken || channel >= pass.channels || kept < 0 || kept >= pass.tokens) continue;
      float2* const sum = reinterpret_cast<float2*>(arrays.sums()) + (kept << log2_pairs) + channel / 2;
      float2 value = out[item];
      if (!(entry & kFirstArrival)) {
        const float2 before = *sum;
        value.x += before.x, value.y += before.y;
      }
      if (!(entry & kLastArrival)) {
        *sum = value;
        continue;
      }
      value.x *= p.scale, value.y *= p.scale;
      if (p.z != nullptr) {
        const Pair<T> gate = gates[q * pairs + item];
        value.x *= silu(as_float(gate.x)), value.y *= silu(as_float(gate.y));
      }
      T* const target = y + token * p.y_stride[1] + channel;
      target[0] = rounded<T>(value.x);
      if (channel + 1 < pass.channels) target[1] = rounded<T>(value.y);
    }
  }
}

}  // namespace vmexport

#endif  // VMEXPORT_SCAN_SCAN_FINISH_CUH
