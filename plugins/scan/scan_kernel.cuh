// The bidirectional selective scan of one block: feeding, preparing, computing and finishing warps each at work on a
// tile of their own, one barrier a tile.
#ifndef VMEXPORT_SCAN_SCAN_KERNEL_CUH
#define VMEXPORT_SCAN_SCAN_KERNEL_CUH

#include "scan_feed.cuh"
#include "scan_finish.cuh"
#include "scan_prepare.cuh"
#include "scan_recurrence.cuh"

namespace vmexport {

// Tiles that a step runs ahead of the recurrence.
constexpr int kPrepareAhead = 1;
constexpr int kFetchAhead = kRawTiles;  // into the slot of the tile that was prepared before the last barrier
constexpr int kGateAhead = 2;           // until after the recurrence, and a copy takes two tiles to be waited for
constexpr int kListAhead = kFetchAhead + 1;
static_assert(kListAhead + 2 <= kTokenTiles, "a tile's tokens are read until it is finished");

template <class T, int kLanes>
__device__ __forceinline__ void scan_pass(const ScanLaunch& launch, const ScanArrays<T, kLanes>& arrays,
                                          const ScanPass& pass, int thread) {
  constexpr int kTile = ScanArrays<T, kLanes>::kTile;
  const int64_t tiles = (launch.params.length + kTile - 1) / kTile;
  const int feeder = thread - launch.plan.compute_threads;
  const int preparer = feeder - kFeedThreads;
  const int finisher = preparer - kPrepareThreads;
  const auto each_tile = [&](int ahead, const auto& work) {
    for (int64_t now = -kListAhead; now <= tiles; ++now) {
      if (now + ahead >= 0 && now + ahead < tiles) work(now + ahead);
      named_barrier(kTileBarrier, launch.plan.threads);
    }
  };
  if (finisher >= 0) {
    each_tile(-1, [&](int64_t tile) { finish_tile(launch, arrays, pass, tile, finisher); });
  } else if (preparer >= 0) {
    each_tile(kPrepareAhead, [&](int64_t tile) {
      prepare_inputs(launch, arrays, pass, tile, preparer);
      prepare_bc(launch, arrays, pass, tile, preparer);
    });
  } else if (feeder >= 0) {
    const auto exists = [tiles](int64_t tile) { return tile >= 0 && tile < tiles; };
    for (int64_t now = -kListAhead; now <= tiles; ++now) {
      if (exists(now + kFetchAhead)) fetch_tile(launch, arrays, pass, now + kFetchAhead, feeder);
      if (launch.params.z != nullptr && exists(now + kGateAhead)) {
        fetch_gate(launch, arrays, pass, now + kGateAhead, feeder);
      }
      copy_commit();
      if (exists(now + kListAhead)) list_tokens(launch, arrays, pass, now + kListAhead, feeder);
      copy_wait<kFetchAhead - kPrepareAhead - 1>();  // the tile to prepare next, and z of the tile to finish next
      named_barrier(kTileBarrier, launch.plan.threads);
    }
  } else {
    Recurrence<T, kLanes> recurrence(launch, thread);
    recurrence.start(launch, pass);
    const bool works = recurrence.q < pass.directions;
    const int64_t whole = works ? recurrence.whole_tiles(launch, pass) : 0;
    int64_t now = -kListAhead;
#pragma unroll 1
    for (; now < 0; ++now) named_barrier(kTileBarrier, launch.plan.threads);
#pragma unroll 1
    for (; now < whole; ++now) {
      recurrence.compute_whole_tile(arrays, now);
      named_barrier(kTileBarrier, launch.plan.threads);
    }
#pragma unroll 1
    for (; now <= tiles; ++now) {
      if (works && now < tiles) recurrence.compute_tile(launch, arrays, pass, now);
      named_barrier(kTileBarrier, launch.plan.threads);
    }
    if (launch.params.last_state != nullptr) recurrence.store_last_state(launch, pass);
  }
}

template <class T, int kLanes>
__global__ void __launch_bounds__(kScanMaxThreads, kScanMinBlocks)
    scan_kernel(const VMEXPORT_GRID_CONSTANT ScanLaunch launch) {
  VMEXPORT_DYNAMIC_SHARED(shared);
  const vmexport_scan_params& p = launch.params;
  const ScanPlan& plan = launch.plan;
  const ScanArrays<T, kLanes> arrays{shared, plan};
  const int thread = static_cast<int>(threadIdx.x);
  for (int64_t job = blockIdx.x; job < plan.jobs; job += gridDim.x) {
    ScanPass pass;
    pass.batch = job / plan.groups;
    pass.channel = static_cast<int32_t>((job - pass.batch * plan.groups) << plan.log2_channels);
    pass.channels =
        static_cast<int32_t>(p.channels - pass.channel < plan.channels ? p.channels - pass.channel : plan.channels);
    for (int64_t token = 0; token < p.length; token += plan.sum_tokens) {
      pass.first_token = token, pass.tokens = plan.sum_tokens;
      for (int32_t state = 0; state < p.states; state += kPassStates) {
        pass.first_state = state;
        pass.states = p.states - state < kPassStates ? static_cast<int32_t>(p.states) - state : kPassStates;
        for (int32_t s = 0; s < p.order.directions; s += plan.directions) {
          const int32_t left = p.order.directions - s;
          pass.first_direction = s, pass.directions = left < plan.directions ? left : plan.directions;
          pass.first = state == 0 && s == 0;
          pass.last = state + kPassStates >= p.states && s + plan.directions >= p.order.directions;
          scan_pass(launch, arrays, pass, thread);
        }
      }
    }
  }
}

}  // namespace vmexport

#endif  // VMEXPORT_SCAN_SCAN_KERNEL_CUH
