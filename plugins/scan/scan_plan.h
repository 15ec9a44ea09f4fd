// How the CUDA scan is cut into blocks: pure arithmetic on the host.
//
// A block owns `channels` channels of one sequence and walks all its tokens, tile by tile. In it, `lanes` threads share
// the 16 states of a channel and direction (compute warps), while other warps fetch, prepare and finish tiles, each
// warp one of these: a tile's way is long, but its steps overlap. More than 16 states, and more directions than
// `directions`, take further passes over the tokens. Sums over directions and passes wait in shared memory; where they
// do not fit, the tokens are cut into ranges and everything is computed once for each range: slower, never less exact.
#ifndef VMEXPORT_SCAN_SCAN_PLAN_H
#define VMEXPORT_SCAN_SCAN_PLAN_H

#include "params.h"

namespace vmexport {

constexpr int kPassStates = 16;
constexpr int kFeedThreads = 64;      // list and fetch
constexpr int kPrepareThreads = 128;  // softplus, conversions
constexpr int kFinishThreads = 64;    // sum, gate, store
constexpr int kComputeMaxThreads = 128;
constexpr int kScanMaxThreads = kComputeMaxThreads + kFeedThreads + kPrepareThreads + kFinishThreads;
constexpr int kScanMinBlocks = 1;  // on a multiprocessor; a second one would cost spilled registers
constexpr int kMaxLanes = 16;
constexpr int kRawTiles = 4;      // tiles of u, delta, B and C on their way from global memory
constexpr int kGateTiles = 4;     // and of z
constexpr int kReadyTiles = 2;    // prepared: one being computed, one being written
constexpr int kOutTiles = 4;      // skip term written, recurrence added, finished
constexpr int kTokenTiles = 8;    // tokens and flags, needed from the fetch to the finish
constexpr int kReadyPadding = 4;  // floats behind a row of tokens: keeps vectors aligned, spreads rows over banks

constexpr int tile_tokens(int lanes) { return lanes >= 8 ? 32 : 16; }

struct DeviceLimits {
  int32_t multiprocessors;
  int32_t shared_per_block;  // bytes, the opt-in limit
  int32_t shared_per_multiprocessor;
  int32_t threads_per_multiprocessor;
  int32_t registers_per_multiprocessor;
};

// Byte offsets of a block's arrays in dynamic shared memory, in this order.
struct ScanLayout {
  int32_t tokens;     // int64 [kTokenTiles][directions][tile]
  int32_t raw_u;      // T [kRawTiles][directions][tile][channels]
  int32_t raw_delta;  // likewise
  int32_t raw_bc;     // T [kRawTiles][directions][tile][32]: 16 of B, 16 of C
  int32_t gate;       // T [kGateTiles][directions][tile][channels]: z where a token is finished
  int32_t delta;      // float [kReadyTiles][directions][channels][tile + kReadyPadding]
  int32_t input;      // likewise: delta * u
  int32_t bc;         // float [kReadyTiles][directions][tile][32], as the lanes read it
  int32_t out;        // float [kOutTiles][directions][tile][channels]
  int32_t sums;       // float [sum_tokens][channels]
  int32_t end;        // bytes in all
};

struct ScanPlan {
  int32_t lanes;     // of a channel and direction: 1, 2, 4, 8 or 16
  int32_t channels;  // of a block, a power of two
  int32_t log2_channels;
  int32_t directions;                               // walked at the same time
  int32_t compute_threads, threads;                 // threads: of a block
  int32_t u_width, delta_width, bc_width, z_width;  // bytes that one copy moves: 2 (plain), 4, 8 or 16
  int32_t grid;                                     // blocks launched; they share the jobs
  int64_t groups;                                   // blocks' worth of channels
  int64_t jobs;                                     // batch * groups
  int64_t sum_tokens;                               // tokens of a range: as many as sums fit
  ScanLayout layout;
  double cost;  // predicted multiprocessor cycles, to compare plans
};

// The kernel's one argument.
struct ScanLaunch {
  vmexport_scan_params params;
  ScanPlan plan;
};

// What a plan may be forced to (tests): 0 leaves the choice free.
struct ScanPlanRequest {
  int32_t lanes = 0, channels = 0, directions = 0;
  int64_t sum_tokens = 0;  // at most this many
  int32_t grid = 0;        // at most this many
  int32_t gap = 0;         // bytes left unused between the arrays, to see an index that goes astray
};

// The cheapest plan for valid, non-empty `params`; false where none fits the device or the request.
bool plan_scan(const vmexport_scan_params& params, const DeviceLimits& device, const ScanPlanRequest& request,
               ScanPlan* plan) noexcept;

// What of a plan depends on where the tensors lie, and not on their shape: the widths of the copies.
void choose_copy_widths(const vmexport_scan_params& params, ScanPlan* plan) noexcept;

}  // namespace vmexport

#endif  // VMEXPORT_SCAN_SCAN_PLAN_H
