// What an instruction tier offers to the dispatcher: a scan and a convolution over a piece of the work.
//
// A tier's file is compiled for instructions that not every machine has, and none of them may run before dispatch.cpp
// has looked. So such a file defines its Tier, which needs no initialiser, and nothing else that others could see: what
// it includes is internal to it or always inlined, and it uses no template of the C++ library, whose one copy in the
// program could come from there. plugins/cmake/check_tiers.sh proves it on the object files.
#ifndef VMEXPORT_SCAN_TIER_H
#define VMEXPORT_SCAN_TIER_H

#include "params.h"

namespace vmexport {

constexpr int kTileTokens = 16;         // tokens of a tile of the scan: its operands stay in the first-level cache
constexpr int kChunkTokens = 64;        // tokens of a piece of the gate and of the convolution
constexpr int kMaxGroupChannels = 768;  // channels that one task walks side by side
constexpr int kMaxBackwardTile = 128;   // tokens between two kept states, at most; a multiple of kTileTokens

// One direction, one sequence, `channels` channels from `channel` on (at most kMaxGroupChannels).
struct ScanPiece {
  int32_t direction;
  int64_t batch, channel, channels;
  float* sum;          // running sum of the directions, first token and channel of this piece
  int64_t sum_stride;  // elements from token to token
  bool add;            // false: the sum starts with this direction
  bool finish;         // gate, scale and store y after this direction
  float* workspace;    // workspace_floats(states, channels) floats, aligned to 64 bytes
  // Backward pass: the states before every `tile` tokens (a multiple of kTileTokens) are kept here, one after the other
  // as (channel block, state, lane). Null: they are not kept.
  float* kept;
  int64_t tile;
};

// The backward pass of one direction over what a ScanPiece has walked. All gradients are float32 and begin at this
// direction and sequence, those over channels at channel 0.
struct ScanBackwardPiece {
  int32_t direction;
  int64_t batch, channel, channels;
  const float* kept;  // of a ScanPiece of the same channels
  int64_t tile;
  float* grad_bc;          // (L, 2N), the sum over these channels only; nullable: not wanted
  float* grad_a;           // (D, N); never null, wanted or not
  float* grad_d;           // (D); nullable
  float* grad_delta_bias;  // (D); nullable
  float* workspace;        // backward_floats(states, channels, tile) floats, aligned to 64 bytes
};

// grad_z of one sequence, `channels` channels from `channel` on.
struct GateBackwardPiece {
  int64_t batch, channel, channels;
  const float* sum;  // (L, channels), the directions' sum without gate and scale
};

// grad_BC of the tokens [token, token + tokens) of one direction of one sequence: the sum over channel groups.
struct SumBcPiece {
  int32_t direction;
  int64_t batch, token, tokens;
  const float* parts;  // (L, 2N) of the first group
  int64_t groups, group_stride;
};

// All directions of one sequence, `channels` channels from `channel` on (at most kConvGroup).
constexpr int kConvGroup = 64;
struct ConvBackwardPiece {
  int64_t batch, channel, channels;
  float* sum;          // (L, kConvGroup): grad_x, summed over the directions in float32
  float* grad_weight;  // (S, D, K) of this sequence, at direction and channel 0; nullable: not wanted
  float* grad_bias;    // (S, D), likewise
};

// Tokens [token, token + tokens) of one sequence: y = scale * SiLU(z) * (sum of `sums` buffers).
struct GatePiece {
  int64_t batch, token, tokens;
  const float* sums;  // (S, tokens of the sequence, D), this sequence
  int64_t direction_stride;
};

// Steps [step, step + steps) of one direction of one sequence, all channels.
struct ConvPiece {
  int32_t direction;
  int64_t batch, step, steps;
};

struct Tier {
  const char* name;
  int64_t lanes;
  void (*scan)(const vmexport_scan_params& params, const ScanPiece& piece);
  void (*gate)(const vmexport_scan_params& params, const GatePiece& piece);
  void (*conv)(const vmexport_conv_params& params, const ConvPiece& piece);
  void (*scan_backward)(const vmexport_scan_backward_params& params, const ScanBackwardPiece& piece);
  void (*gate_backward)(const vmexport_scan_backward_params& params, const GateBackwardPiece& piece);
  void (*sum_bc)(const vmexport_scan_backward_params& params, const SumBcPiece& piece);
  void (*conv_backward)(const vmexport_conv_backward_params& params, const ConvBackwardPiece& piece);
};

// Floats of workspace of a scan piece of `channels` (a multiple of the lanes): A, states, one tile of B and C, and a
// number a channel.
constexpr int64_t workspace_floats(int64_t states, int64_t channels) {
  return 2 * states * (channels + kTileTokens) + channels;
}

// Floats of workspace of a backward piece of `channels` (a multiple of 16, which every tier's lanes divide): A, carried
// gradients and gradients of A; least of A, gradients of D and bias; one tile of B and C and of their gradients, lane
// by lane; what one channel block needs of a tile, see BackwardScratch.
constexpr int64_t backward_floats(int64_t states, int64_t channels, int64_t tile) {
  constexpr int64_t kMostLanes = 16, kStates = 8, kRows = 7;
  return 3 * (states + 1) * channels + 2 * states * tile * (1 + kMostLanes) +
         (2 * kStates + kRows) * (tile + 1) * kMostLanes;
}

extern const Tier kBaselineTier;  // the instruction set every machine of this architecture has
#if defined(__x86_64__)
extern const Tier kAvx2Tier;
extern const Tier kAvx512Tier;
#endif

}  // namespace vmexport

#endif  // VMEXPORT_SCAN_TIER_H
