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

template <class T>
struct alignas(2 * sizeof(T)) RawPair {
  T x, y;
};

// B and C as float32 in the order in which the lanes read them; zeros where there is no token or state.
template <class T, int kLanes>
__device__ void prepare_bc(const ScanLaunch& launch, const ScanArrays<T, kLanes>& arrays, const ScanPass& pass,
                           int64_t tile, int helper) {
  using Arrays = ScanArrays<T, kLanes>;
  using Packed = PackedBc<kLanes>;
  constexpr int kTile = Arrays::kTile;
  constexpr int kPairs = kPassStates / 2;
  const T* const raw = arrays.raw_bc(tile);
  float* const packed = arrays.bc(tile);
  const int left = tokens_left<kTile>(launch.params.length, tile);
  const unsigned items = static_cast<unsigned>(pass.directions * kTile * kPairs);
#pragma unroll 2
  for (unsigned item = helper; item < items; item += launch.plan.helper_threads) {
    const int state = static_cast<int>(item % kPairs * 2);
    const int row = static_cast<int>(item / kPairs);
    const int token = static_cast<int>(item / kPairs % kTile);
    const RawPair<T> b = *reinterpret_cast<const RawPair<T>*>(raw + row * Arrays::kBc + state);
    const RawPair<T> c = *reinterpret_cast<const RawPair<T>*>(raw + row * Arrays::kBc + kPassStates + state);
    const bool one = token < left && state < pass.states;
    const bool two = token < left && state + 1 < pass.states;
    const float b0 = one ? as_float(b.x) : 0.0f, b1 = two ? as_float(b.y) : 0.0f;
    const float c0 = one ? as_float(c.x) : 0.0f, c1 = two ? as_float(c.y) : 0.0f;
    float* const to = packed + (row - token) * Arrays::kBc + Packed::at(token, state);
    if constexpr (kLanes == 16) {  // B and C of a state side by side
      *reinterpret_cast<float2*>(to) = make_float2(b0, c0);
      *reinterpret_cast<float2*>(to + Packed::kStateStep) = make_float2(b1, c1);
    } else if constexpr (kLanes == 8) {
      *reinterpret_cast<float4*>(to) = make_float4(b0, b1, c0, c1);
    } else {
      *reinterpret_cast<float2*>(to) = make_float2(b0, b1);
      *reinterpret_cast<float2*>(to + Packed::kCOffset) = make_float2(c0, c1);
    }
  }
}

}  // namespace vmexport

#endif  // VMEXPORT_SCAN_SCAN_FEED_CUH
