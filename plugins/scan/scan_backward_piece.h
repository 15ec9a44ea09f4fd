// What the dispatcher calls of the scan's backward pass: a piece tile by tile, and what is summed over pieces.
#ifndef VMEXPORT_SCAN_SCAN_BACKWARD_PIECE_H
#define VMEXPORT_SCAN_SCAN_BACKWARD_PIECE_H

#include "scan_backward_kernel.h"

namespace {

// Sum the first `count` lanes of the tile's gradients of B and C into the piece's, and clear them.
inline void drain_bc(const BackwardTile& tile, int64_t width, int count, float* grad_bc) {
  for (int64_t t = 0; t < tile.count; ++t) {
    float* const target = grad_bc + tile.token[t] * width;
    for (int64_t n = 0; n < width; ++n) {
      float* const lanes = tile.grad_bc + (t * width + n) * kLanes;
      const vfloat sum = load(lanes);
      target[n] += count == kLanes ? sum_lanes(sum) : sum_lanes(sum, count);
      store(lanes, vfloat{});
    }
  }
}

template <class T>
void reverse_tile(const vmexport_scan_backward_params& p, const vmexport::ScanBackwardPiece& piece,
                  const BackwardTile& tile, const float* kept, bool decays, const BackwardSums& sums,
                  const BackwardScratch& scratch) {
  const int64_t states = p.scan.states;
  const bool wants_bc = piece.grad_bc != nullptr;
  const int64_t blocks = (piece.channels + kLanes - 1) / kLanes;
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t left = piece.channels - block * kLanes;
    const int count = left < kLanes ? static_cast<int>(left) : kLanes;
    const int64_t channel = piece.channel + block * kLanes;
    // Lanes beyond the channels may hold NaN (zero times an infinite B): they never meet the others' sums.
    if (wants_bc && count < kLanes) drain_bc(tile, 2 * states, kLanes, piece.grad_bc);
    const vfloat least =
        prepare_backward<T>(p, piece, tile, channel, count, scratch) * load(sums.least + block * kLanes);
    const int64_t at = block * states * kLanes;
    const auto reverse_block = wants_bc ? choose_reverse<true>(decays, least) : choose_reverse<false>(decays, least);
    const int64_t later = block + kFetchAhead;
    const NextRows next = next_backward_rows<T>(p, piece, piece.channel + later % blocks * kLanes,
                                                later < blocks ? tile.token : tile.ahead);
    const Reverse work = {kept + at,
                          sums.a + at,
                          sums.carry + at,
                          sums.grad_a + at,
                          tile,
                          states,
                          next,
                          written_rows<T>(p, piece, channel)};
    reverse_block(work, 0, scratch);
    finish_backward<T>(p, piece, tile, channel, count, scratch, sums.grad_d + block * kLanes,
                       sums.grad_bias + block * kLanes);
    if (wants_bc && left <= kLanes) drain_bc(tile, 2 * states, count, piece.grad_bc);
  }
}

// Floats in (channel, state) order into (block, state, lane); lanes beyond the channels are zero.
inline void to_lanes(const float* source, int64_t channels, int64_t states, float* lanes) {
  for (int64_t c = 0; c < (channels + kLanes - 1) / kLanes * kLanes; ++c) {
    for (int64_t n = 0; n < states; ++n) {
      lanes[(c / kLanes * states + n) * kLanes + c % kLanes] =
          source != nullptr && c < channels ? source[c * states + n] : 0.0f;
    }
  }
}

template <class T>
void scan_backward_piece_of(const vmexport_scan_backward_params& p, const vmexport::ScanBackwardPiece& piece) {
  const vmexport_scan_params& scan = p.scan;
  const int64_t states = scan.states;
  const int64_t channels = (piece.channels + kLanes - 1) / kLanes * kLanes;
  float* const w = piece.workspace;
  const BackwardSums sums = {w,
                             w + states * channels,
                             w + 2 * states * channels,
                             w + 3 * states * channels,
                             w + (3 * states + 1) * channels,
                             w + (3 * states + 2) * channels};
  BackwardTile tile;
  tile.bc = w + 3 * (states + 1) * channels;
  tile.grad_bc = tile.bc + 2 * states * piece.tile;
  const BackwardScratch scratch(tile.grad_bc + 2 * states * piece.tile * kLanes, piece.tile);
  const bool decays = load_a(scan, piece, sums.a, sums.least) && scan.delta_softplus;
  const int64_t sequence = piece.direction * scan.batch + piece.batch;
  const float* const last = p.grad_last_state;
  to_lanes(last != nullptr ? last + (sequence * scan.channels + piece.channel) * states : nullptr, piece.channels,
           states, sums.carry);
  memset(sums.grad_a, 0, sizeof(float) * states * channels);
  memset(sums.grad_d, 0, sizeof(float) * 2 * channels);
  memset(tile.grad_bc, 0, sizeof(float) * 2 * states * piece.tile * kLanes);
  if (piece.grad_bc != nullptr) memset(piece.grad_bc, 0, sizeof(float) * 2 * states * scan.length);
  for (int64_t first = (scan.length - 1) / piece.tile * piece.tile; first >= 0; first -= piece.tile) {
    tile.count = scan.length - first < piece.tile ? scan.length - first : piece.tile;
    for (int64_t t = 0; t < tile.count; t += kTileTokens) {
      const TileTokens part = tile_tokens(scan.order, piece.direction, scan.length, first + t);
      memcpy(tile.token + t, part.token, sizeof part.token);
      load_bc<T>(scan, piece, part, tile.bc + t * 2 * states);
    }
    for (int64_t t = 0; t < tile.count; t += kTileTokens) {
      const int64_t before = first > 0 ? first - piece.tile + t : t;
      const TileTokens part = tile_tokens(scan.order, piece.direction, scan.length, before);
      memcpy(tile.ahead + t, part.token, sizeof part.token);
    }
    const float* const kept = piece.kept + first / piece.tile * states * channels;
    reverse_tile<T>(p, piece, tile, kept, decays, sums, scratch);
  }
  for (int64_t c = 0; c < piece.channels; ++c) {
    const int64_t channel = piece.channel + c;
    for (int64_t n = 0; n < states; ++n) {
      piece.grad_a[channel * states + n] = sums.grad_a[(c / kLanes * states + n) * kLanes + c % kLanes];
    }
    if (piece.grad_d != nullptr) piece.grad_d[channel] = sums.grad_d[c];
    if (piece.grad_delta_bias != nullptr) piece.grad_delta_bias[channel] = sums.grad_bias[c];
  }
}

constexpr int64_t kFetchTokens = 16;  // how early rows of z and grad_y are asked for

// grad_z = grad_y * scale * SiLU'(z) * sum of the directions.
template <class T>
void gate_backward_piece_of(const vmexport_scan_backward_params& p, const vmexport::GateBackwardPiece& piece) {
  const vmexport_scan_params& scan = p.scan;
  for (int64_t token = 0; token < scan.length; ++token) {
    const int64_t later = token + kFetchTokens < scan.length ? token + kFetchTokens : token;
    for (int64_t c = 0; c < piece.channels; c += kLanes) {
      const int count = piece.channels - c < kLanes ? static_cast<int>(piece.channels - c) : kLanes;
      const int64_t channel = piece.channel + c;
      __builtin_prefetch(row<T>(scan.z, piece.batch * scan.z_stride[0] + channel, scan.z_stride[1], later));
      __builtin_prefetch(row<T>(p.grad_y, piece.batch * p.grad_y_stride[0] + channel, p.grad_y_stride[1], later));
      __builtin_prefetch(row<T>(p.grad_z, piece.batch * p.grad_z_stride[0] + channel, p.grad_z_stride[1], later), 1);
      const vfloat z = load(row<T>(scan.z, piece.batch * scan.z_stride[0] + channel, scan.z_stride[1], token), count);
      const vfloat grad =
          load(row<T>(p.grad_y, piece.batch * p.grad_y_stride[0] + channel, p.grad_y_stride[1], token), count);
      const vfloat sum = load(piece.sum + token * piece.channels + c, count);
      T* const target =
          static_cast<T*>(p.grad_z) + piece.batch * p.grad_z_stride[0] + token * p.grad_z_stride[1] + channel;
      store(target, grad * scan.scale * sum * silu_slope(z), count);
    }
  }
}

template <class T>
void sum_bc_piece_of(const vmexport_scan_backward_params& p, const vmexport::SumBcPiece& piece) {
  const int64_t width = 2 * p.scan.states;
  T* const target =
      static_cast<T*>(p.grad_bc) + piece.direction * p.grad_bc_stride[0] + piece.batch * p.grad_bc_stride[1];
  for (int64_t token = piece.token; token < piece.token + piece.tokens; ++token) {
    for (int64_t n = 0; n < width; n += kLanes) {
      const int count = width - n < kLanes ? static_cast<int>(width - n) : kLanes;
      vfloat sum = {};
      for (int64_t group = 0; group < piece.groups; ++group) {
        sum += load(piece.parts + group * piece.group_stride + token * width + n, count);
      }
      store(target + token * p.grad_bc_stride[2] + n, sum, count);
    }
  }
}

void scan_backward_piece(const vmexport_scan_backward_params& p, const vmexport::ScanBackwardPiece& piece) {
  switch (p.scan.dtype) {  // validated before
    case VMEXPORT_FLOAT32: return scan_backward_piece_of<float>(p, piece);
    case VMEXPORT_FLOAT16: return scan_backward_piece_of<float16>(p, piece);
    case VMEXPORT_BFLOAT16: return scan_backward_piece_of<bfloat16>(p, piece);
  }
}

void gate_backward_piece(const vmexport_scan_backward_params& p, const vmexport::GateBackwardPiece& piece) {
  switch (p.scan.dtype) {
    case VMEXPORT_FLOAT32: return gate_backward_piece_of<float>(p, piece);
    case VMEXPORT_FLOAT16: return gate_backward_piece_of<float16>(p, piece);
    case VMEXPORT_BFLOAT16: return gate_backward_piece_of<bfloat16>(p, piece);
  }
}

void sum_bc_piece(const vmexport_scan_backward_params& p, const vmexport::SumBcPiece& piece) {
  switch (p.scan.dtype) {
    case VMEXPORT_FLOAT32: return sum_bc_piece_of<float>(p, piece);
    case VMEXPORT_FLOAT16: return sum_bc_piece_of<float16>(p, piece);
    case VMEXPORT_BFLOAT16: return sum_bc_piece_of<bfloat16>(p, piece);
  }
}

}  // namespace

#endif  // VMEXPORT_SCAN_SCAN_BACKWARD_PIECE_H
