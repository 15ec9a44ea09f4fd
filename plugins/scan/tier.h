// What an instruction tier offers to the dispatcher: a scan and a convolution over a piece of the work.
#ifndef VMEXPORT_SCAN_TIER_H
#define VMEXPORT_SCAN_TIER_H

#include "params.h"

namespace vmexport {

constexpr int kTileTokens = 16;         // tokens of a tile of the scan: its operands stay in the first-level cache
constexpr int kChunkTokens = 64;        // tokens of a piece of the gate and of the convolution
constexpr int kMaxGroupChannels = 768;  // channels that one task walks side by side

// One direction, one sequence, `channels` channels from `channel` on (at most kMaxGroupChannels).
struct ScanPiece {
  int32_t direction;
  int64_t batch, channel, channels;
  float* sum;          // running sum of the directions, first token and channel of this piece
  int64_t sum_stride;  // elements from token to token
  bool add;            // false: the sum starts with this direction
  bool finish;         // gate, scale and store y after this direction
  float* workspace;    // workspace_floats(states, channels) floats, aligned to 64 bytes
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
};

// Floats of workspace of a scan piece of `channels` (a multiple of the lanes): A, states, one tile of B and C, and a
// number a channel.
constexpr int64_t workspace_floats(int64_t states, int64_t channels) {
  return 2 * states * (channels + kTileTokens) + channels;
}

extern const Tier kBaselineTier;  // the instruction set every machine of this architecture has
#if defined(__x86_64__)
extern const Tier kAvx2Tier;
extern const Tier kAvx512Tier;
#endif

}  // namespace vmexport

#endif  // VMEXPORT_SCAN_TIER_H
