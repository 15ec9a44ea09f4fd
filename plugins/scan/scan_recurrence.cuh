// Compute warps: h = exp(delta A) h + delta u B and C h, with the states in registers.
#ifndef VMEXPORT_SCAN_SCAN_RECURRENCE_CUH
#define VMEXPORT_SCAN_SCAN_RECURRENCE_CUH

#include "device_math.cuh"
#include "scan_block.cuh"

namespace vmexport {

// Sum `values` over kLanes neighbouring lanes. Half of the values change hands at every step, so that in the end
// each lane holds the sums of kCount / kLanes of them: those from lane * kCount / kLanes on.
template <int kLanes, int kCount>
__device__ __forceinline__ void sum_over_lanes(float (&values)[kCount], int lane) {
#pragma unroll
  for (int step = 1; step < kLanes; step *= 2) {
    const int partner = kLanes / 2 / step;
    const int half = kCount / 2 / step;
    const bool upper = (lane & partner) != 0;
#pragma unroll
    for (int i = 0; i < kCount / 2; ++i) {
      if (i >= half) break;
      const float sent = upper ? values[i] : values[i + half];
      const float kept = upper ? values[i + half] : values[i];
      values[i] = kept + __shfl_xor_sync(kWholeWarp, sent, partner);
    }
  }
}

// One lane's share of a channel and direction.
template <class T, int kLanes>
struct Recurrence {
  using Arrays = ScanArrays<T, kLanes>;
  using Packed = PackedBc<kLanes>;
  static constexpr int kStates = Packed::kStates;
  // Tokens whose results are summed over the lanes at once; 16 states a lane leave registers for few.
  static constexpr int kChunk = kLanes == 16 ? 16 : kLanes == 1 ? 4 : 8;
  static constexpr int kResults = kChunk / kLanes;

  int q, channel, lane;
  float a[kStates];  // times log2(e)
  float h[kStates];

  __device__ __forceinline__ Recurrence(const ScanLaunch& launch, int thread)
      : q((thread / kLanes) >> launch.plan.log2_channels),
        channel((thread / kLanes) & (launch.plan.channels - 1)),
        lane(thread % kLanes) {}

  // The first of A or last_state, of this lane; `sequence` is the row of (S, D) or (S, B, D).
  __device__ __forceinline__ int64_t state_index(const ScanLaunch& launch, const ScanPass& pass,
                                                 int64_t sequence) const {
    return (sequence * launch.params.channels + pass.channel + channel) * launch.params.states + pass.first_state +
           lane * kStates;
  }

  __device__ __forceinline__ void start(const ScanLaunch& launch, const ScanPass& pass) {
    const float* const source = launch.params.a + state_index(launch, pass, pass.first_direction + q);
#pragma unroll
    for (int k = 0; k < kStates; ++k) {
      const bool real = channel < pass.channels && q < pass.directions && lane * kStates + k < pass.states;
      a[k] = real ? source[k] * kLog2E : 0.0f;
      h[k] = 0.0f;
    }
  }

  __device__ __forceinline__ void store_last_state(const ScanLaunch& launch, const ScanPass& pass) const {
    const int64_t sequence = (pass.first_direction + q) * launch.params.batch + pass.batch;
    float* const target = launch.params.last_state + state_index(launch, pass, sequence);
#pragma unroll
    for (int k = 0; k < kStates; ++k) {
      if (channel < pass.channels && q < pass.directions && lane * kStates + k < pass.states) target[k] = h[k];
    }
  }

  // Where this lane reads and writes a tile.
  struct Rows {
    const float* deltas;
    const float* inputs;
    const float* bc;
    float* out;
    int out_step;  // from a token to the next
  };
  __device__ __forceinline__ Rows rows(const Arrays& arrays, int64_t tile) const {
    const int log2_channels = arrays.plan.log2_channels;
    const int row = ((q << log2_channels) + channel) * Arrays::kRow;
    return {arrays.delta(tile) + row, arrays.input(tile) + row,
            arrays.bc(tile) + q * Arrays::kTile * Arrays::kBc + Packed::at(0, lane * kStates),
            arrays.out(tile) + ((q * Arrays::kTile + lane * kResults) << log2_channels) + channel, 1 << log2_channels};
  }

  // kChunk tokens from `first` on. kWhole promises as many tokens and 16 states; otherwise `tokens` are left, and
  // what is not there must not turn an infinite input into NaN.
  template <bool kWhole>
  __device__ __forceinline__ void walk(const Rows& rows, int first, int tokens, int states) {
    const float* const deltas = rows.deltas + first;
    const float* const inputs = rows.inputs + first;
    const float* const bc = rows.bc + Packed::at(first, 0);
    float result[kChunk];
#pragma unroll
    for (int group = 0; group < kChunk; group += 4) {
      const float4 d = *reinterpret_cast<const float4*>(deltas + group);
      const float4 in = *reinterpret_cast<const float4*>(inputs + group);
      const float delta[4] = {d.x, d.y, d.z, d.w};
      const float input[4] = {in.x, in.y, in.z, in.w};
      float b[4][kStates], c[4][kStates];
      read_bc(bc, group, b, c);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        float sum = 0.0f;
#pragma unroll
        for (int k = 0; k < kStates; ++k) {
          const float next = fmaf(exp2_fast(delta[i] * a[k]), h[k], input[i] * b[i][k]);
          if (kWhole) {
            h[k] = next;
            sum = k == 0 ? h[k] * c[i][k] : fmaf(h[k], c[i][k], sum);
          } else if (group + i < tokens && lane * kStates + k < states) {
            h[k] = next;
            sum = fmaf(h[k], c[i][k], sum);
          }
        }
        result[group + i] = sum;
      }
    }
    sum_over_lanes<kLanes>(result, lane);
    float* const out = rows.out + first * rows.out_step;
#pragma unroll
    for (int i = 0; i < kResults; ++i) out[i * rows.out_step] += result[i];
  }

  // B and C of four tokens from `group` on; `bc` points at the chunk's first token and this lane's first state.
  static __device__ __forceinline__ void read_bc(const float* bc, int group, float (&b)[4][kStates],
                                                 float (&c)[4][kStates]) {
    if constexpr (kStates == 1) {
#pragma unroll
      for (int i = 0; i < 4; i += 2) {
        const float4 two = *reinterpret_cast<const float4*>(bc + Packed::at(group + i, 0));
        b[i][0] = two.x, c[i][0] = two.y, b[i + 1][0] = two.z, c[i + 1][0] = two.w;
      }
    } else {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        float values[2 * kStates];
#pragma unroll
        for (int k = 0; k < 2 * kStates; k += 4) {
          const float4 four = *reinterpret_cast<const float4*>(bc + Packed::at(group + i, 0) + k);
          values[k] = four.x, values[k + 1] = four.y, values[k + 2] = four.z, values[k + 3] = four.w;
        }
#pragma unroll
        for (int k = 0; k < kStates; ++k) b[i][k] = values[k], c[i][k] = values[Packed::kCOffset + k];
      }
    }
  }

  // Tiles that a sequence fills with tokens, and a pass with states: those of compute_whole_tile.
  static __device__ __forceinline__ int64_t whole_tiles(const ScanLaunch& launch, const ScanPass& pass) {
    return pass.states == kPassStates ? launch.params.length / Arrays::kTile : 0;
  }

  __device__ __forceinline__ void compute_whole_tile(const Arrays& arrays, int64_t tile) {
    [[maybe_unused]] constexpr int kAtOnce = kLanes == 1 ? 1 : Arrays::kTile / kChunk;
    const Rows at = rows(arrays, tile);
#pragma unroll kAtOnce
    for (int first = 0; first < Arrays::kTile; first += kChunk) walk<true>(at, first, kChunk, kPassStates);
  }

  __device__ __forceinline__ void compute_tile(const ScanLaunch& launch, const Arrays& arrays, const ScanPass& pass,
                                               int64_t tile) {
    const Rows at = rows(arrays, tile);
    const int left = tokens_left<Arrays::kTile>(launch.params.length, tile);
#pragma unroll 1
    for (int first = 0; first < left; first += kChunk) walk<false>(at, first, left - first, pass.states);
  }
};

}  // namespace vmexport

#endif  // VMEXPORT_SCAN_SCAN_RECURRENCE_CUH
