// Helper warps, first half: which tokens a tile visits, their rows on the way to shared memory, and the tile made
// ready for the recurrence, softplus once per (token, channel).
#ifndef VMEXPORT_SCAN_SCAN_FEED_CUH
#define VMEXPORT_SCAN_SCAN_FEED_CUH

#include "async_copy.cuh"
#include "device_math.cuh"
#include "scan_block.cuh"

namespace vmexport {

// The token table of a tile.
template <class T, int kLanes>
__device__ void list_tokens(const ScanLaunch& launch, const ScanArrays<T, kLanes>& arrays, const ScanPass& pass,
                            int64_t tile, int helper) {
  constexpr int kTile = ScanArrays<T, kLanes>::kTile;
  const vmexport_scan_params& p = launch.params;
  const vmexport_token_order& order = p.order;
  int64_t* const tokens = arrays.tokens(tile);
#pragma unroll 1
  for (int item = helper; item < pass.directions * kTile; item += launch.plan.helper_threads) {
    const int q = item / kTile;
    const int64_t step = tile * kTile + item % kTile;
    if (step >= p.length) {
      tokens[item] = kNoToken;
      continue;
    }
    const int64_t token =
        token_at(order.orders[pass.first_direction + q], step, p.length, order.tokens_per_frame, order.class_token);
    bool first = pass.first, last = pass.last;
    for (int other = 0; other < pass.directions; ++other) {  // in a tile, directions arrive one after the other
      if (other == q) continue;
      const int64_t arrival = step_of(order.orders[pass.first_direction + other], token, p.length,
                                      order.tokens_per_frame, order.class_token) /
                              kTile;
      const bool before = arrival < tile || (arrival == tile && other < q);
      first = first && !before;
      last = last && before;
    }
    tokens[item] = token * 4 + (first ? kFirstArrival : 0) + (last ? kLastArrival : 0);
  }
}

// Rows of one tensor: `row` bytes real, 2^log2_slot bytes of room in shared memory.
template <class T>
struct RowCopy {
  T* shared;
  const T* global;  // of the pass's batch, first direction and first column
  int64_t direction_stride, token_stride;
  int real, log2_row;  // elements
  int shared_row;      // elements from row to row in shared memory
  int width;           // bytes
};

template <int kWidth>
__device__ __forceinline__ void copy_piece(void* shared, const void* global) {
  if constexpr (kWidth == 2) {
    *static_cast<uint16_t*>(shared) = *static_cast<const uint16_t*>(global);
  } else {
    copy_async<kWidth>(shared, global);
  }
}

template <int kWidth, unsigned kTile, class T>
__device__ __forceinline__ void copy_rows_by(const RowCopy<T>& copy, const int64_t* tokens, unsigned directions,
                                             unsigned helper, unsigned helpers) {
  constexpr int kElements = kWidth / static_cast<int>(sizeof(T)) > 0 ? kWidth / static_cast<int>(sizeof(T)) : 1;
  constexpr int kLog2 = kElements == 8 ? 3 : kElements == 4 ? 2 : kElements == 2 ? 1 : 0;
  const unsigned log2_pieces = static_cast<unsigned>(copy.log2_row - kLog2);  // a row's; they divide the helpers
  const unsigned column = (helper & ((1u << log2_pieces) - 1)) << kLog2;
  if (column >= static_cast<unsigned>(copy.real)) return;
  const T* const global = copy.global + column;
  T* const shared = copy.shared + column;
#pragma unroll 2
  for (unsigned row = helper >> log2_pieces; row < directions * kTile; row += helpers >> log2_pieces) {
    const int64_t entry = tokens[row];
    if (entry == kNoToken) continue;
    const T* source = global + token_of(entry) * copy.token_stride;
    if (row >= kTile) source += row / kTile * copy.direction_stride;
    copy_piece<kWidth>(shared + row * copy.shared_row, source);
  }
}

template <int kTile, class T>
__device__ __forceinline__ void copy_rows(const RowCopy<T>& copy, const int64_t* tokens, unsigned directions,
                                          unsigned helper, unsigned helpers) {
  if (copy.width == 16) return copy_rows_by<16, kTile>(copy, tokens, directions, helper, helpers);
  if (copy.width == 8) return copy_rows_by<8, kTile>(copy, tokens, directions, helper, helpers);
  if (copy.width == 4 || sizeof(T) == 4) return copy_rows_by<4, kTile>(copy, tokens, directions, helper, helpers);
  copy_rows_by<2, kTile>(copy, tokens, directions, helper, helpers);
}

// Start the copies of a tile whose tokens are listed.
template <class T, int kLanes>
__device__ void fetch_tile(const ScanLaunch& launch, const ScanArrays<T, kLanes>& arrays, const ScanPass& pass,
                           int64_t tile, int helper) {
  constexpr int kTile = ScanArrays<T, kLanes>::kTile;
  const vmexport_scan_params& p = launch.params;
  const ScanPlan& plan = launch.plan;
  const int64_t* const tokens = arrays.tokens(tile);
  const auto tensor = [&](const void* data, const int64_t* strides) {
    return static_cast<const T*>(data) + pass.first_direction * strides[0] + pass.batch * strides[1];
  };
  const int directions = pass.directions, helpers = plan.helper_threads;
  RowCopy<T> copy{arrays.raw_u(tile), tensor(p.u, p.u_stride) + pass.channel,
                  p.u_stride[0],      p.u_stride[2],
                  pass.channels,      plan.log2_channels,
                  plan.channels,      plan.u_width};
  copy_rows<kTile>(copy, tokens, directions, helper, helpers);
  copy = {arrays.raw_delta(tile), tensor(p.delta, p.delta_stride) + pass.channel,
          p.delta_stride[0],      p.delta_stride[2],
          pass.channels,          plan.log2_channels,
          plan.channels,          plan.delta_width};
  copy_rows<kTile>(copy, tokens, directions, helper, helpers);
  copy = {arrays.raw_bc(tile), tensor(p.bc, p.bc_stride) + pass.first_state,
          p.bc_stride[0],      p.bc_stride[2],
          pass.states,         4,
          2 * kPassStates,     plan.bc_width};
  copy_rows<kTile>(copy, tokens, directions, helper, helpers);
  copy.shared += kPassStates, copy.global += p.states;
  copy_rows<kTile>(copy, tokens, directions, helper, helpers);
}

// delta, delta * u and the skip term of a tile whose copies have arrived; zeros where there is no token or channel.
template <class T, int kLanes>
__device__ void prepare_inputs(const ScanLaunch& launch, const ScanArrays<T, kLanes>& arrays, const ScanPass& pass,
                               int64_t tile, int helper) {
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
  for (unsigned item = helper; item < items; item += launch.plan.helper_threads) {
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
                           int64_t tile, int helper) {
  using Arrays = ScanArrays<T, kLanes>;
  using Raw = RawStates<T>;
  constexpr int kTile = Arrays::kTile;
  constexpr int kPieces = kPassStates / Raw::kCount;
  const T* const raw = arrays.raw_bc(tile);
  float* const packed = arrays.bc(tile);
  const int left = tokens_left<kTile>(launch.params.length, tile);
  const unsigned items = static_cast<unsigned>(pass.directions * kTile * kPieces);
#pragma unroll 1
  for (unsigned item = helper; item < items; item += launch.plan.helper_threads) {
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

#endif  // VMEXPORT_SCAN_SCAN_FEED_CUH
