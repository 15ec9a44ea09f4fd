// Helper warps, second half: sum over the directions, gate, scale, store.
#ifndef VMEXPORT_SCAN_SCAN_FINISH_CUH
#define VMEXPORT_SCAN_SCAN_FINISH_CUH

#include "device_math.cuh"
#include "scan_block.cuh"

namespace vmexport {

constexpr int kHelperBarrier = 1;

// The first arrival at a token writes its sum, later ones add, the last one finishes y.
template <class T, int kLanes>
__device__ void finish_tile(const ScanLaunch& launch, const ScanArrays<T, kLanes>& arrays, const ScanPass& pass,
                            int64_t tile, int helper) {
  constexpr int kTile = ScanArrays<T, kLanes>::kTile;
  const vmexport_scan_params& p = launch.params;
  const int log2_channels = launch.plan.log2_channels;
  const int helpers = launch.plan.helper_threads;
  const T* const z = static_cast<const T*>(p.z) + (p.z != nullptr ? pass.batch * p.z_stride[0] + pass.channel : 0);
  T* const y = static_cast<T*>(p.y) + pass.batch * p.y_stride[0] + pass.channel;
  for (int q = 0; q < pass.directions; ++q) {
    // Two directions may reach one token in one tile: by different threads, hence one after the other.
    if (q > 0) named_barrier(kHelperBarrier, helpers);
    const int64_t* const tokens = arrays.tokens(tile) + q * kTile;
    const float* const out = arrays.out(tile) + ((q * kTile) << log2_channels);
    for (int item = helper; item < kTile << log2_channels; item += helpers) {
      const int channel = item & (launch.plan.channels - 1);
      const int64_t entry = tokens[item >> log2_channels];
      const int64_t token = token_of(entry);
      const int64_t kept = token - pass.first_token;
      if (entry == kNoToken || channel >= pass.channels || kept < 0 || kept >= pass.tokens) continue;
      float* const sum = arrays.sums() + (kept << log2_channels) + channel;
      float value = out[item];
      if (!(entry & kFirstArrival)) value += *sum;
      if (!(entry & kLastArrival)) {
        *sum = value;
        continue;
      }
      value *= p.scale;
      if (p.z != nullptr) value *= silu(as_float(z[token * p.z_stride[1] + channel]));
      y[token * p.y_stride[1] + channel] = rounded<T>(value);
    }
  }
}

}  // namespace vmexport

#endif  // VMEXPORT_SCAN_SCAN_FINISH_CUH
