// Preparing warps: a fetched tile made ready for the recurrence, softplus once per (token, channel).
#ifndef VMEXPORT_SCAN_SCAN_PREPARE_CUH
#define VMEXPORT_SCAN_SCAN_PREPARE_CUH

#include "device_math.cuh"
#include "scan_block.cuh"

namespace vmexport {

// delta, delta * u and the skip term of a tile whose copies have arrived; zeros where there is no token or channel.
template <class T, int kLanes>
__device__ void prepare_inputs(const ScanLaunch& launch, const ScanArrays<T, kLanes>& arrays, const ScanPass& pass,
                               int64_t tile, int thread) {
  using Arrays = ScanArrays<T, kLanes>;
  constexpr int kTile = Arrays::kTile;
  constexpr int kQuads = kTile / 4;
  const vmexport_scan_params& p = launch.params;
  const int log2_channels = launch.plan.log2_channels;
  const T* const raw_u = arrays.raw_u(tile);
  const T* const raw_delta = arrays.raw_delta(tile);
  float* const deltas = arrays.delta(tile);
  float* const inputs = arrays.input(tile);
  float* const out = arrays.out(tile);
  const int left = tokens_left<kTile>(p.length, tile);
  const unsigned items = static_cast<unsigned>(pass.directions * kQuads) << log2_channels;
#pragma unroll 2
  for (unsigned item = thread; item < items; item += kPrepareThreads) {
    const int channel = static_cast<int>(item & (launch.plan.channels - 1));
    const int quad = static_cast<int>((item >> log2_channels) % kQuads);
    const int q = static_cast<int>((item >> log2_channels) / kQuads);
    const int64_t parameter = (pass.first_direction + q) * p.channels + pass.channel + channel;
    const bool real = channel < pass.channels;
    const float bias = real && p.delta_bias != nullptr ? __ldg(p.delta_bias + parameter) : 0.0f;
    const bool skips = real && p.d != nullptr && pass.first_state == 0;
    const float skip = skips ? __ldg(p.d + parameter) : 0.0f;
    const int row = ((q * kTile + quad * 4) << log2_channels) + channel;
    float delta[4], input[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const bool valid = real && quad * 4 + i < left;
      const int at = row + (i << log2_channels);
      const float u = valid ? as_float(raw_u[at]) : 0.0f;
      const float x = valid ? as_float(raw_delta[at]) + bias : 0.0f;
      delta[i] = p.delta_softplus ? softplus(x) : x;
      input[i] = delta[i] * u;
      out[at] = skips ? skip * u : 0.0f;
    }
    const int to = ((q << log2_channels) + channel) * Arrays::kRow + quad * 4;
    *reinterpret_cast<float4*>(deltas + to) = make_float4(delta[0], delta[1], delta[2], delta[3]);
    *reinterpret_cast<float4*>(inputs + to) = make_float4(input[0], input[1], input[2], input[3]);
  }
}

// Sixteen bytes of a row of B or C.
template <class T>
struct alignas(16) RawStates {
  static constexpr int kCount = 16 / static_cast<int>(sizeof(T));
  T value[kCount];
};

// B and C of RawStates<T>::kCount states of a token, from `state` on, to where the lanes read them.
template <int kLanes, int kCount>
__device__ __forceinline__ void pack_bc(float* packed, int token, int state, const float (&b)[kCount],
                                        const float (&c)[kCount]) {
  using Packed = PackedBc<kLanes>;
  float* const to = packed + Packed::at(token, state);
  if constexpr (Packed::kStates == 1) {  // B and C of a state side by side
#pragma unroll
    for (int i = 0; i < kCount; ++i) *reinterpret_cast<float2*>(to + i * Packed::kStateStep) = make_float2(b[i], c[i]);
  } else if constexpr (Packed::kStates == 2) {
#pragma unroll
    for (int i = 0; i < kCount; i += 2) {
      *reinterpret_cast<float4*>(to + 2 * i) = make_float4(b[i], b[i + 1], c[i], c[i + 1]);
    }
  } else {
#pragma unroll
    for (int i = 0; i < kCount; i += 4) {
      float* const four = packed + Packed::at(token, state + i);
      *reinterpret_cast<float4*>(four) = make_float4(b[i], b[i + 1], b[i + 2], b[i + 3]);
      *reinterpret_cast<float4*>(four + Packed::kCOffset) = make_float4(c[i], c[i + 1], c[i + 2], c[i + 3]);
    }
  }
}

// B and C as float32 in the order in which the lanes read them; zeros where there is no token or state.
template <class T, int kLanes>
__device__ void prepare_bc(const ScanLaunch& launch, const ScanArrays<T, kLanes>& arrays, const ScanPass& pass,
                           int64_t tile, int thread) {
  using Arrays = ScanArrays<T, kLanes>;
  using Raw = RawStates<T>;
  constexpr int kTile = Arrays::kTile;
  constexpr int kPieces = kPassStates / Raw::kCount;
  const T* const raw = arrays.raw_bc(tile);
  float* const packed = arrays.bc(tile);
  const int left = tokens_left<kTile>(launch.params.length, tile);
  const unsigned items = static_cast<unsigned>(pass.directions * kTile * kPieces);
#pragma unroll 1
  for (unsigned item = thread; item < items; item += kPrepareThreads) {
    const int state = static_cast<int>(item % kPieces) * Raw::kCount;
    const int row = static_cast<int>(item / kPieces);
    const int token = row % kTile;
    const Raw raw_b = *reinterpret_cast<const Raw*>(raw + row * Arrays::kBc + state);
    const Raw raw_c = *reinterpret_cast<const Raw*>(raw + row * Arrays::kBc + kPassStates + state);
    const int states = token < left ? pass.states - state : 0;  // real ones
    float b[Raw::kCount], c[Raw::kCount];
#pragma unroll
    for (int i = 0; i < Raw::kCount; ++i) b[i] = as_float(raw_b.value[i]), c[i] = as_float(raw_c.value[i]);
    if (states < Raw::kCount) {
#pragma unroll
      for (int i = 0; i < Raw::kCount; ++i) b[i] = i < states ? b[i] : 0.0f, c[i] = i < states ? c[i] : 0.0f;
    }
    pack_bc<kLanes>(packed + (row - token) * Arrays::kBc, token, state, b, c);
  }
}

}  // namespace vmexport

#endif  // VMEXPORT_SCAN_SCAN_PREPARE_CUH
