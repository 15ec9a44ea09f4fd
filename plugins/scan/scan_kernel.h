// The selective scan of one piece, for the tier that includes this file.
//
// Channels stand in the lanes and the states of a channel block in registers, so nothing is ever summed across
// lanes. Tokens go by in short tiles, in three phases that each keep their operands in registers or in the
// first-level cache: softplus and input, recurrence, gate. The running sum over directions lives in y itself
// (float32) or in a float32 buffer.
#ifndef VMEXPORT_SCAN_SCAN_KERNEL_H
#define VMEXPORT_SCAN_SCAN_KERNEL_H

#include "order.h"
#include "tier.h"
#include "vector_math.h"

namespace {

using vmexport::kTileTokens;

#if defined(__AVX512F__) || defined(__ARM_NEON)
constexpr int kStatesAtOnce = 16;  // 32 vector registers
#else
constexpr int kStatesAtOnce = 8;
#endif

// The tokens of one tile in scan order, and those of the tile after it, to be fetched early.
struct TileTokens {
  int64_t count;
  int64_t token[kTileTokens];
  int64_t ahead[kTileTokens];
};

// Rows that a later channel block will touch. They are fetched one token at a time during the recurrence, which
// needs no memory of its own; fetched all at once they would only queue up.
constexpr int64_t kFetchAhead = 2;  // blocks
struct NextRows {
  static constexpr int kOperands = 4;  // u, delta, z, running sum
  const char* base[kOperands];
  int64_t stride_bytes[kOperands];
  const int64_t* token;

  VMEXPORT_INLINE void fetch(const NextRows& next, int64_t t) {
    for (int i = 0; i < kOperands; ++i) __builtin_prefetch(next.base[i] + next.token[t] * next.stride_bytes[i]);
  }
};

// What the phases of one channel block hand to each other.
struct alignas(64) TileScratch {
  float delta[kTileTokens][kLanes];
  float input[kTileTokens][kLanes];  // delta * u
  float sum[kTileTokens][kLanes];    // this direction's scan
};

template <class T>
VMEXPORT_INLINE const T* row(const void* data, int64_t offset, int64_t stride, int64_t token) {
  return static_cast<const T*>(data) + offset + stride * token;
}

inline TileTokens tile_tokens(const vmexport_token_order& order, int32_t direction, int64_t length, int64_t first) {
  TileTokens tile;
  tile.count = length - first < kTileTokens ? length - first : kTileTokens;
  for (int64_t t = 0; t < kTileTokens; ++t) {
    const int64_t step = first + t < length ? first + t : length - 1;
    const int64_t later = step + kTileTokens < length ? step + kTileTokens : length - 1;
    tile.token[t] =
        vmexport::token_at(order.orders[direction], step, length, order.tokens_per_frame, order.class_token);
    tile.ahead[t] =
        vmexport::token_at(order.orders[direction], later, length, order.tokens_per_frame, order.class_token);
  }
  return tile;
}

// B and C of a tile as float32: tile[t] = B (states), C (states).
template <class T, class Piece>
void load_bc(const vmexport_scan_params& p, const Piece& piece, const TileTokens& tokens, float* tile) {
  const int64_t offset = piece.direction * p.bc_stride[0] + piece.batch * p.bc_stride[1];
  const int64_t width = 2 * p.states;
  for (int64_t t = 0; t < tokens.count; ++t) {
    const T* source = row<T>(p.bc, offset, p.bc_stride[2], tokens.token[t]);
    for (int64_t n = 0; n < width; n += kLanes) {
      const int count = width - n < kLanes ? static_cast<int>(width - n) : kLanes;
      store(tile + t * width + n, load(source + n, count), count);
    }
  }
}

// Phase 1: delta = softplus(delta + bias), input = delta * u, sum = skip * u. Returns the largest delta of each lane.
template <class T>
vfloat prepare_inputs(const vmexport_scan_params& p, const vmexport::ScanPiece& piece, const TileTokens& tokens,
                      int64_t channel, int count, TileScratch& scratch) {
  const int64_t parameter = piece.direction * p.channels + channel;
  const vfloat bias = p.delta_bias != nullptr ? load(p.delta_bias + parameter, count) : vfloat{};
  const vfloat skip = p.d != nullptr ? load(p.d + parameter, count) : vfloat{};
  const int64_t u_offset = piece.direction * p.u_stride[0] + piece.batch * p.u_stride[1] + channel;
  const int64_t delta_offset = piece.direction * p.delta_stride[0] + piece.batch * p.delta_stride[1] + channel;
  vfloat largest = {};
  for (int64_t t = 0; t < tokens.count; ++t) {
    const vfloat u = load(row<T>(p.u, u_offset, p.u_stride[2], tokens.token[t]), count);
    vfloat delta = load(row<T>(p.delta, delta_offset, p.delta_stride[2], tokens.token[t]), count) + bias;
    if (p.delta_softplus) delta = softplus(delta);
    largest = larger(delta, largest);
    store(scratch.delta[t], delta);
    store(scratch.input[t], delta * u);
    store(scratch.sum[t], p.d != nullptr ? skip * u : vfloat{});
  }
  return largest;
}

// What phase 2 reads of a channel block: `a` is A * log2(e), (state, lane); `states` likewise; `bc` a tile.
struct Recurrence {
  const float* a;
  float* states;
  const float* bc;
  int64_t count;  // states N
  int64_t tokens;
};

// Phase 2: h = exp(delta A) h + input B, sum += C h, for kStates states from `first` on, held in registers.
// kRange is that of delta * a: the less it spans, the fewer limits the exponential has to keep.
template <Range kRange, int kStates>
void scan_states(const Recurrence& work, int64_t first, const NextRows& next, TileScratch& scratch) {
  const float* const a = work.a + first * kLanes;
  float* const states = work.states + first * kLanes;
  vfloat h[kStates];
  for (int n = 0; n < kStates; ++n) h[n] = load(states + n * kLanes);
  for (int64_t t = 0; t < work.tokens; ++t) {
    NextRows::fetch(next, t);
    const float* const bc = work.bc + t * 2 * work.count + first;
    Factors<kStates> b(bc), c(bc + work.count);
    const vfloat delta = load(scratch.delta[t]);
    const vfloat input = load(scratch.input[t]);
    vfloat even = load(scratch.sum[t]);
    vfloat odd = {};
#pragma GCC unroll 16
    for (int n = 0; n < kStates; ++n) {
      h[n] = advance(exp2_of_product<kRange>(delta, load(a + n * kLanes)), h[n], input, b[n]);
      (n % 2 ? odd : even) += h[n] * c[n];
    }
    store(scratch.sum[t], even + odd);
  }
  for (int n = 0; n < kStates; ++n) store(states + n * kLanes, h[n]);
}

// All states from `first` on, in ever smaller groups; a padded group would turn an infinite input into NaN.
template <Range kRange, int kStates = kStatesAtOnce>
void scan_all_states(const Recurrence& work, int64_t first, const NextRows& next, TileScratch& scratch) {
  for (; first + kStates <= work.count; first += kStates) scan_states<kRange, kStates>(work, first, next, scratch);
  if constexpr (kStates > 1) scan_all_states<kRange, kStates / 2>(work, first, next, scratch);
}

// The recurrence for exponents of at least `least` in each lane, none of them positive where `decays` says so.
inline auto choose_recurrence(bool decays, vfloat least) {
  if constexpr (kModerateIsCheaper) {
    if (decays && all(least >= kLeastModerate)) return scan_all_states<Range::kModerate>;
  }
  return decays ? scan_all_states<Range::kNotPositive> : scan_all_states<Range::kAny>;
}

// scale * SiLU(z) * sum, or scale * sum without a gate.
template <class T>
VMEXPORT_INLINE void store_gated(const vmexport_scan_params& p, int64_t batch, int64_t token, int64_t channel,
                                 int count, vfloat sum) {
  if (p.z != nullptr) {
    const int64_t offset = batch * p.z_stride[0] + channel;
    sum = sum * silu(load(row<T>(p.z, offset, p.z_stride[1], token), count));
  }
  T* y = static_cast<T*>(p.y) + batch * p.y_stride[0] + token * p.y_stride[1] + channel;
  store(y, sum * p.scale, count);
}

// Phase 3: add to the running sum of the directions; the last direction finishes y.
template <class T>
void combine(const vmexport_scan_params& p, const vmexport::ScanPiece& piece, const TileTokens& tokens, int64_t channel,
             int count, const TileScratch& scratch) {
  float* sums = piece.sum + (channel - piece.channel);
  for (int64_t t = 0; t < tokens.count; ++t) {
    vfloat sum = load(scratch.sum[t]);
    float* running = sums + tokens.token[t] * piece.sum_stride;
    if (piece.add) sum += load(running, count);
    if (piece.finish) {
      store_gated<T>(p, piece.batch, tokens.token[t], channel, count, sum);
    } else {
      store(running, sum, count);
    }
  }
}

// A of the piece's channels times log2(e), transposed to (block, state, lane), and the least element of each channel;
// lanes beyond the channels are zero. Returns whether no element is positive.
template <class Piece>
bool load_a(const vmexport_scan_params& p, const Piece& piece, float* a, float* least) {
  bool positive = false;
  for (int64_t c = 0; c < (piece.channels + kLanes - 1) / kLanes * kLanes; ++c) {
    const float* source = p.a + (piece.direction * p.channels + piece.channel + c) * p.states;
    least[c] = 0.0f;
    for (int64_t n = 0; n < p.states; ++n) {
      const bool real = c < piece.channels;
      const float rate = real ? source[n] * kLog2e : 0.0f;
      a[(c / kLanes * p.states + n) * kLanes + c % kLanes] = rate;
      least[c] = rate < least[c] ? rate : least[c];
      positive |= real && source[n] > 0.0f;
    }
  }
  return !positive;
}

inline void store_last_state(const vmexport_scan_params& p, const vmexport::ScanPiece& piece, const float* states) {
  const int64_t sequence = piece.direction * p.batch + piece.batch;
  for (int64_t c = 0; c < piece.channels; ++c) {
    float* target = p.last_state + (sequence * p.channels + piece.channel + c) * p.states;
    for (int64_t n = 0; n < p.states; ++n) target[n] = states[(c / kLanes * p.states + n) * kLanes + c % kLanes];
  }
}

template <class T>
NextRows next_rows(const vmexport_scan_params& p, const vmexport::ScanPiece& piece, int64_t channel,
                   const int64_t* token) {
  const T* u = row<T>(p.u, piece.direction * p.u_stride[0] + piece.batch * p.u_stride[1] + channel, 0, 0);
  const T* delta =
      row<T>(p.delta, piece.direction * p.delta_stride[0] + piece.batch * p.delta_stride[1] + channel, 0, 0);
  const bool gated = piece.finish && p.z != nullptr;
  const T* z = gated ? row<T>(p.z, piece.batch * p.z_stride[0] + channel, 0, 0) : u;
  const float* sum = piece.sum + (channel - piece.channel);
  constexpr int64_t kBytes = sizeof(T);
  return {{reinterpret_cast<const char*>(u), reinterpret_cast<const char*>(delta), reinterpret_cast<const char*>(z),
           reinterpret_cast<const char*>(sum)},
          {p.u_stride[2] * kBytes, p.delta_stride[2] * kBytes, (gated ? p.z_stride[1] : p.u_stride[2]) * kBytes,
           piece.sum_stride * static_cast<int64_t>(sizeof(float))},
          token};
}

template <class T>
void scan_piece_of(const vmexport_scan_params& p, const vmexport::ScanPiece& piece) {
  const int64_t blocks = (piece.channels + kLanes - 1) / kLanes;
  const int64_t block_floats = p.states * kLanes;
  float* const a = piece.workspace;
  float* const states = a + blocks * block_floats;
  float* const bc = states + blocks * block_floats;
  float* const least = bc + p.states * 2 * kTileTokens;
  const bool decays = load_a(p, piece, a, least) && p.delta_softplus;
  memset(states, 0, sizeof(float) * blocks * block_floats);
  TileScratch scratch;
  float* kept = piece.kept;
  for (int64_t first = 0; first < p.length; first += kTileTokens) {
    if (kept != nullptr && first % piece.tile == 0) {
      memcpy(kept, states, sizeof(float) * blocks * block_floats);
      kept += blocks * block_floats;
    }
    const TileTokens tokens = tile_tokens(p.order, piece.direction, p.length, first);
    load_bc<T>(p, piece, tokens, bc);
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t channel = piece.channel + block * kLanes;
      const int64_t left = piece.channels - block * kLanes;
      const int count = left < kLanes ? static_cast<int>(left) : kLanes;
      const int64_t later = block + kFetchAhead;
      const NextRows next =
          next_rows<T>(p, piece, piece.channel + later % blocks * kLanes, later < blocks ? tokens.token : tokens.ahead);
      const vfloat largest = prepare_inputs<T>(p, piece, tokens, channel, count, scratch);
      const auto recur = choose_recurrence(decays, largest * load(least + block * kLanes));
      recur({a + block * block_floats, states + block * block_floats, bc, p.states, tokens.count}, 0, next, scratch);
      combine<T>(p, piece, tokens, channel, count, scratch);
    }
  }
  if (p.last_state != nullptr) store_last_state(p, piece, states);
}

template <class T>
void gate_piece_of(const vmexport_scan_params& p, const vmexport::GatePiece& piece) {
  for (int64_t token = piece.token; token < piece.token + piece.tokens; ++token) {
    for (int64_t channel = 0; channel < p.channels; channel += kLanes) {
      const int64_t left = p.channels - channel;
      const int count = left < kLanes ? static_cast<int>(left) : kLanes;
      vfloat sum = {};
      for (int32_t s = 0; s < p.order.directions; ++s) {
        sum += load(piece.sums + s * piece.direction_stride + token * p.channels + channel, count);
      }
      store_gated<T>(p, piece.batch, token, channel, count, sum);
    }
  }
}

void scan_piece(const vmexport_scan_params& p, const vmexport::ScanPiece& piece) {
  switch (p.dtype) {  // validated before
    case VMEXPORT_FLOAT32: return scan_piece_of<float>(p, piece);
    case VMEXPORT_FLOAT16: return scan_piece_of<float16>(p, piece);
    case VMEXPORT_BFLOAT16: return scan_piece_of<bfloat16>(p, piece);
  }
}

void gate_piece(const vmexport_scan_params& p, const vmexport::GatePiece& piece) {
  switch (p.dtype) {
    case VMEXPORT_FLOAT32: return gate_piece_of<float>(p, piece);
    case VMEXPORT_FLOAT16: return gate_piece_of<float16>(p, piece);
    case VMEXPORT_BFLOAT16: return gate_piece_of<bfloat16>(p, piece);
  }
}

}  // namespace

#endif  // VMEXPORT_SCAN_SCAN_KERNEL_H
