// Feeding warps: which tokens a tile visits, and their rows on the way to shared memory.
#ifndef VMEXPORT_SCAN_SCAN_FEED_CUH
#define VMEXPORT_SCAN_SCAN_FEED_CUH

#include "async_copy.cuh"
#include "scan_block.cuh"

namespace vmexport {

// The token table of a tile.
template <class T, int kLanes>
__device__ void list_tokens(const ScanLaunch& launch, const ScanArrays<T, kLanes>& arrays, const ScanPass& pass,
                            int64_t tile, int thread) {
  constexpr int kTile = ScanArrays<T, kLanes>::kTile;
  const vmexport_scan_params& p = launch.params;
  const vmexport_token_order& order = p.order;
  int64_t* const tokens = arrays.tokens(tile);
#pragma unroll 1
  for (int item = thread; item < pass.directions * kTile; item += kFeedThreads) {
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
  int64_t needed;      // flags of the tokens whose rows are copied
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
                                             unsigned thread) {
  constexpr int kElements = kWidth / static_cast<int>(sizeof(T)) > 0 ? kWidth / static_cast<int>(sizeof(T)) : 1;
  constexpr int kLog2 = kElements == 8 ? 3 : kElements == 4 ? 2 : kElements == 2 ? 1 : 0;
  const unsigned log2_pieces = static_cast<unsigned>(copy.log2_row - kLog2);  // a row's; they divide the threads
  const unsigned column = (thread & ((1u << log2_pieces) - 1)) << kLog2;
  if (column >= static_cast<unsigned>(copy.real)) return;
  const T* const global = copy.global + column;
  T* const shared = copy.shared + column;
#pragma unroll 1
  for (unsigned row = thread >> log2_pieces; row < directions * kTile; row += kFeedThreads >> log2_pieces) {
    const int64_t entry = tokens[row];
    if (entry == kNoToken || (entry & copy.needed) != copy.needed) continue;
    const T* source = global + token_of(entry) * copy.token_stride;
    if (row >= kTile) source += row / kTile * copy.direction_stride;
    copy_piece<kWidth>(shared + row * copy.shared_row, source);
  }
}

template <int kTile, class T>
__device__ __forceinline__ void copy_rows(const RowCopy<T>& copy, const int64_t* tokens, unsigned directions,
                                          unsigned thread) {
  if (copy.width == 16) return copy_rows_by<16, kTile>(copy, tokens, directions, thread);
  if (copy.width == 8) return copy_rows_by<8, kTile>(copy, tokens, directions, thread);
  if (copy.width == 4 || sizeof(T) == 4) return copy_rows_by<4, kTile>(copy, tokens, directions, thread);
  copy_rows_by<2, kTile>(copy, tokens, directions, thread);
}

// Start the copies of a tile whose tokens are listed.
template <class T, int kLanes>
__device__ void fetch_tile(const ScanLaunch& launch, const ScanArrays<T, kLanes>& arrays, const ScanPass& pass,
                           int64_t tile, int thread) {
  constexpr int kTile = ScanArrays<T, kLanes>::kTile;
  const vmexport_scan_params& p = launch.params;
  const ScanPlan& plan = launch.plan;
  const int64_t* const tokens = arrays.tokens(tile);
  const auto tensor = [&](const void* data, const int64_t* strides) {
    return static_cast<const T*>(data) + pass.first_direction * strides[0] + pass.batch * strides[1];
  };
  const int directions = pass.directions;
  RowCopy<T> copy{arrays.raw_u(tile),
                  tensor(p.u, p.u_stride) + pass.channel,
                  p.u_stride[0],
                  p.u_stride[2],
                  pass.channels,
                  plan.log2_channels,
                  plan.channels,
                  plan.u_width,
                  0};
  copy_rows<kTile>(copy, tokens, directions, thread);
  copy = {arrays.raw_delta(tile),
          tensor(p.delta, p.delta_stride) + pass.channel,
          p.delta_stride[0],
          p.delta_stride[2],
          pass.channels,
          plan.log2_channels,
          plan.channels,
          plan.delta_width,
          0};
  copy_rows<kTile>(copy, tokens, directions, thread);
  copy = {arrays.raw_bc(tile),
          tensor(p.bc, p.bc_stride) + pass.first_state,
          p.bc_stride[0],
          p.bc_stride[2],
          pass.states,
          4,
          2 * kPassStates,
          plan.bc_width,
          0};
  copy_rows<kTile>(copy, tokens, directions, thread);
  copy.shared += kPassStates, copy.global += p.states;
  copy_rows<kTile>(copy, tokens, directions, thread);
}

// Start the copies of z for the tokens that a tile finishes.
template <class T, int kLanes>
__device__ __forceinline__ void fetch_gate(const ScanLaunch& launch, const ScanArrays<T, kLanes>& arrays,
                                           const ScanPass& pass, int64_t tile, int thread) {
  const vmexport_scan_params& p = launch.params;
  const ScanPlan& plan = launch.plan;
  const T* const z = static_cast<const T*>(p.z) + pass.batch * p.z_stride[0] + pass.channel;
  const RowCopy<T> copy{
      arrays.gate(tile), z,           0, p.z_stride[1], pass.channels, plan.log2_channels, plan.channels,
      plan.z_width,      kLastArrival};
  copy_rows<ScanArrays<T, kLanes>::kTile>(copy, arrays.tokens(tile), pass.directions, thread);
}

}  // namespace vmexport

#endif  // VMEXPORT_SCAN_SCAN_FEED_CUH
