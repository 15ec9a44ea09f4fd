// What the parts of the scan kernel share: a block's job and its arrays in shared memory.
#ifndef VMEXPORT_SCAN_SCAN_BLOCK_CUH
#define VMEXPORT_SCAN_SCAN_BLOCK_CUH

#include "device.cuh"
#include "order.h"
#include "params.h"
#include "scan_plan.h"

namespace vmexport {

// The part of the work between two restarts of the recurrence: some tokens' sums, some states, some directions.
struct ScanPass {
  int64_t batch;
  int32_t channel;              // first of the block
  int32_t channels;             // real ones
  int64_t first_token, tokens;  // whose sums are kept
  int32_t first_state, states;  // real ones, at most kPassStates
  int32_t first_direction, directions;
  bool first, last;  // nothing was summed before, nothing will be after
};

// An entry of the token table: the token visited, and whether this is the first or last arrival of all directions.
constexpr int64_t kNoToken = -1;  // beyond the end
constexpr int64_t kFirstArrival = 1;
constexpr int64_t kLastArrival = 2;
__device__ __forceinline__ int64_t token_of(int64_t entry) { return entry >> 2; }

// Tokens of a tile, fewer than kTile in the last.
template <int kTile>
__device__ __forceinline__ int tokens_left(int64_t length, int64_t tile) {
  const int64_t left = length - tile * kTile;
  return left < kTile ? static_cast<int>(left) : kTile;
}

// Barriers of a block; 0 is left to __syncthreads, which wants all threads at one place in the code.
constexpr int kTileBarrier = 1;
constexpr int kFinishBarrier = 2;

template <class T>
struct alignas(2 * sizeof(T)) Pair {
  T x, y;
};

// A block's arrays; `index` counts tiles and chooses the slot of a ring.
template <class T, int kLanes>
struct ScanArrays {
  static constexpr int kTile = tile_tokens(kLanes);
  static constexpr int kRow = kTile + kReadyPadding;
  static constexpr int kBc = 2 * kPassStates;

  unsigned char* shared;
  const ScanPlan& plan;

  template <class V>
  __device__ __forceinline__ V* slot(int32_t offset, int64_t index, int ring, int values) const {
    return reinterpret_cast<V*>(shared + offset) + static_cast<int>(index & (ring - 1)) * plan.directions * values;
  }
  __device__ __forceinline__ int64_t* tokens(int64_t index) const {  // [direction][tile]
    return slot<int64_t>(plan.layout.tokens, index, kTokenTiles, kTile);
  }
  __device__ __forceinline__ T* raw_u(int64_t index) const {  // [direction][tile][channel]
    return slot<T>(plan.layout.raw_u, index, kRawTiles, kTile << plan.log2_channels);
  }
  __device__ __forceinline__ T* raw_delta(int64_t index) const {
    return slot<T>(plan.layout.raw_delta, index, kRawTiles, kTile << plan.log2_channels);
  }
  __device__ __forceinline__ T* raw_bc(int64_t index) const {  // [direction][tile][B, C]
    return slot<T>(plan.layout.raw_bc, index, kRawTiles, kTile * kBc);
  }
  __device__ __forceinline__ T* gate(int64_t index) const {  // [direction][tile][channel]
    return slot<T>(plan.layout.gate, index, kGateTiles, kTile << plan.log2_channels);
  }
  __device__ __forceinline__ float* delta(int64_t index) const {  // [direction][channel][kRow]
    return slot<float>(plan.layout.delta, index, kReadyTiles, kRow << plan.log2_channels);
  }
  __device__ __forceinline__ float* input(int64_t index) const {
    return slot<float>(plan.layout.input, index, kReadyTiles, kRow << plan.log2_channels);
  }
  __device__ __forceinline__ float* bc(int64_t index) const {  // [direction][tile * kBc], packed
    return slot<float>(plan.layout.bc, index, kReadyTiles, kTile * kBc);
  }
  __device__ __forceinline__ float* out(int64_t index) const {  // [direction][tile][channel]
    return slot<float>(plan.layout.out, index, kOutTiles, kTile << plan.log2_channels);
  }
  __device__ __forceinline__ float* sums() const { return reinterpret_cast<float*>(shared + plan.layout.sums); }
};

// Where B of a token's state lies in a packed tile, C lies kCOffset behind it. A lane reads vectors of four floats: B
// and C of its states of a token, or (one state a lane) B and C of two tokens.
template <int kLanes>
struct PackedBc {
  static constexpr int kStates = kPassStates / kLanes;
  static constexpr int kCOffset = kStates;
  static constexpr int kStateStep = kStates == 1 ? 4 : 1;

  static __device__ __forceinline__ int at(int token, int state) {
    if (kStates == 1) return (token >> 1) * 4 * kPassStates + state * 4 + (token & 1) * 2;
    return token * 2 * kPassStates + state / kStates * 2 * kStates + state % kStates;
  }
};

}  // namespace vmexport

#endif  // VMEXPORT_SCAN_SCAN_BLOCK_CUH
