// The backward pass of the selective scan over one piece, for the tier that includes this file.
//
// With a_t = exp(delta_t A), h_t = a_t h_(t-1) + delta_t B_t u_t and y_t = C_t h_t + D u_t (Gu and Dao, Mamba, section
// 3), G_t the gradient of y_t and H_t that of h_t, from the last step to the first:
//   H_t = C_t G_t + a_(t+1) H_(t+1),  W_t = H_t a_t h_(t-1)
//   dC_t = G_t h_t,  dB_t = H_t delta_t u_t,  du_t = D G_t + delta_t sum_n(H_t B_t)
//   ddelta_t = sum_n(W_t A) + u_t sum_n(H_t B_t),  dA = sum_t(delta_t W_t),  dD = sum_t(G_t u_t)
// and dB and dC are summed over the channels. The states before each tile of tokens are kept, no others: a tile is
// walked forward once more from there, which never divides by an exponential, and then backward. Channels stand in the
// lanes; only dB and dC are summed across lanes, once a tile.
#ifndef VMEXPORT_SCAN_SCAN_BACKWARD_KERNEL_H
#define VMEXPORT_SCAN_SCAN_BACKWARD_KERNEL_H

#include "scan_kernel.h"

namespace {

using vmexport::kMaxBackwardTile;

#if defined(__AVX512F__) || defined(__ARM_NEON)
constexpr int kBackwardStates = 8;  // 32 vector registers: a carried gradient and a gradient of A for each state
#else
constexpr int kBackwardStates = 4;
#endif
constexpr float kLn2 = 0.69314718055994530942f;

// One channel block in one tile: a vector a token, and the states at hand before each token and after the last.
struct BackwardScratch {
  float *delta, *u, *input, *grad, *slope, *sum_a, *sum_b;  // (token, lane); input is delta * u
  float *states, *decays;                                   // (token, kBackwardStates, lane)

  BackwardScratch(float* memory, int64_t tile) {
    float** const rows[] = {&delta, &u, &input, &grad, &slope, &sum_a, &sum_b};
    for (float** row : rows) {
      *row = memory;
      memory += tile * kLanes;
    }
    states = memory;
    decays = states + (tile + 1) * kBackwardStates * kLanes;
  }
};

// One tile: its tokens in scan order, those of the tile before it, to be fetched early, B and C as float32 (token; B,
// C), and their gradients lane by lane.
struct BackwardTile {
  int64_t count;
  int64_t token[kMaxBackwardTile];
  int64_t ahead[kMaxBackwardTile];
  float *bc, *grad_bc;
};

// The parameters and running sums of a piece as (block, state, lane) or (block, lane).
struct BackwardSums {
  float *a, *carry, *grad_a, *least, *grad_d, *grad_bias;
};

// Rows of this block's gradients of u and delta, fetched before they are written; a null pointer: not wanted.
struct WrittenRows {
  const char* base[2];
  int64_t stride_bytes[2];

  VMEXPORT_INLINE void fetch(const WrittenRows& rows, int64_t token) {
    for (int i = 0; i < 2; ++i) {
      if (rows.base[i] != nullptr) __builtin_prefetch(rows.base[i] + token * rows.stride_bytes[i], 1);
    }
  }
};

// What the recurrence reads and adds to of one channel block.
struct Reverse {
  const float* start;  // states before the tile
  const float* a;      // A * log2(e)
  float* carry;        // gradient of the states after the tile, then before it
  float* grad_a;
  const BackwardTile& tile;
  int64_t count;  // states N
  NextRows next;  // of u, delta, grad_y and z, fetched during the recurrence as in the forward pass
  WrittenRows written;
};

// The tile's states and decays once more, for kStates states from `first` on.
template <Range kRange, int kStates>
void recompute(const Reverse& work, int64_t first, const BackwardScratch& scratch) {
  const float* const a = work.a + first * kLanes;
  float* states = scratch.states;
  float* decays = scratch.decays;
  vfloat h[kStates];
  for (int n = 0; n < kStates; ++n) {
    h[n] = load(work.start + (first + n) * kLanes);
    store(states + n * kLanes, h[n]);
  }
  for (int64_t t = 0; t < work.tile.count; ++t, decays += kStates * kLanes) {
    states += kStates * kLanes;
    if (first == 0) NextRows::fetch(work.next, t);
    Factors<kStates> b(work.tile.bc + t * 2 * work.count + first);
    const vfloat delta = load(scratch.delta + t * kLanes);
    const vfloat input = load(scratch.input + t * kLanes);
#pragma GCC unroll 8
    for (int n = 0; n < kStates; ++n) {
      const vfloat decay = exp2_of_product<kRange>(delta, load(a + n * kLanes));
      store(decays + n * kLanes, decay);
      h[n] = advance(decay, h[n], input, b[n]);
      store(states + n * kLanes, h[n]);
    }
  }
}

VMEXPORT_INLINE void accumulate(float* sum, vfloat x) { store(sum, load(sum) + x); }

// From the last token of the tile to the first, for the same states. kBc: with the gradients of B and C.
template <bool kBc, int kStates>
void reverse(const Reverse& work, int64_t first, const BackwardScratch& scratch) {
  const float* const a = work.a + first * kLanes;
  vfloat carry[kStates], grad_a[kStates];
  for (int n = 0; n < kStates; ++n) {
    carry[n] = load(work.carry + (first + n) * kLanes);
    grad_a[n] = vfloat{};
  }
  for (int64_t t = work.tile.count - 1; t >= 0; --t) {
    const float* const bc = work.tile.bc + t * 2 * work.count + first;
    Factors<kStates> b(bc), c(bc + work.count);
    float* const grad_b = work.tile.grad_bc + (t * 2 * work.count + first) * kLanes;
    float* const grad_c = grad_b + work.count * kLanes;
    const float* const before = scratch.states + t * kStates * kLanes;
    const float* const after = before + kStates * kLanes;
    const float* const decays = scratch.decays + t * kStates * kLanes;
    const vfloat delta = load(scratch.delta + t * kLanes);
    const vfloat input = load(scratch.input + t * kLanes);
    const vfloat grad = load(scratch.grad + t * kLanes);
    if (first == 0) WrittenRows::fetch(work.written, work.tile.token[t]);
    vfloat sum_a = {}, sum_b = {};
#pragma GCC unroll 8
    for (int n = 0; n < kStates; ++n) {
      const vfloat through = grad * c[n] + carry[n];
      if constexpr (kBc) {
        accumulate(grad_c + n * kLanes, grad * load(after + n * kLanes));
        accumulate(grad_b + n * kLanes, through * input);
      }
      carry[n] = through * load(decays + n * kLanes);
      const vfloat rate = carry[n] * load(before + n * kLanes);  // gradient of the exponent delta A
      sum_a += rate * load(a + n * kLanes);
      sum_b += through * b[n];
      grad_a[n] += delta * rate;
    }
    accumulate(scratch.sum_a + t * kLanes, sum_a);
    accumulate(scratch.sum_b + t * kLanes, sum_b);
  }
  for (int n = 0; n < kStates; ++n) {
    store(work.carry + (first + n) * kLanes, carry[n]);
    accumulate(work.grad_a + (first + n) * kLanes, grad_a[n]);
  }
}

// All states from `first` on, in ever smaller groups, as in the forward pass.
template <Range kRange, bool kBc, int kStates = kBackwardStates>
void reverse_all_states(const Reverse& work, int64_t first, const BackwardScratch& scratch) {
  for (; first + kStates <= work.count; first += kStates) {
    recompute<kRange, kStates>(work, first, scratch);
    reverse<kBc, kStates>(work, first, scratch);
  }
  if constexpr (kStates > 1) reverse_all_states<kRange, kBc, kStates / 2>(work, first, scratch);
}

template <bool kBc>
auto choose_reverse(bool decays, vfloat least) {
  if constexpr (kModerateIsCheaper) {
    if (decays && all(least >= kLeastModerate)) return reverse_all_states<Range::kModerate, kBc>;
  }
  return decays ? reverse_all_states<Range::kNotPositive, kBc> : reverse_all_states<Range::kAny, kBc>;
}

// G = scale * SiLU(z) * grad_y, of `count` channels.
template <class T>
VMEXPORT_INLINE vfloat scan_gradient(const vmexport_scan_backward_params& p, int64_t batch, int64_t token,
                                     int64_t channel, int count) {
  const vmexport_scan_params& scan = p.scan;
  const vfloat grad =
      load(row<T>(p.grad_y, batch * p.grad_y_stride[0] + channel, p.grad_y_stride[1], token), count) * scan.scale;
  if (scan.z == nullptr) return grad;
  return grad * silu(load(row<T>(scan.z, batch * scan.z_stride[0] + channel, scan.z_stride[1], token), count));
}

// Everything of a channel block that does not depend on the states. Returns the largest delta of each lane.
template <class T>
vfloat prepare_backward(const vmexport_scan_backward_params& p, const vmexport::ScanBackwardPiece& piece,
                        const BackwardTile& tile, int64_t channel, int count, const BackwardScratch& scratch) {
  const vmexport_scan_params& scan = p.scan;
  const int64_t parameter = piece.direction * scan.channels + channel;
  const vfloat bias = scan.delta_bias != nullptr ? load(scan.delta_bias + parameter, count) : vfloat{};
  const int64_t u_offset = piece.direction * scan.u_stride[0] + piece.batch * scan.u_stride[1] + channel;
  const int64_t delta_offset = piece.direction * scan.delta_stride[0] + piece.batch * scan.delta_stride[1] + channel;
  vfloat largest = {};
  for (int64_t t = 0; t < tile.count; ++t) {
    const vfloat u = load(row<T>(scan.u, u_offset, scan.u_stride[2], tile.token[t]), count);
    const vfloat raw = load(row<T>(scan.delta, delta_offset, scan.delta_stride[2], tile.token[t]), count) + bias;
    const vfloat delta = scan.delta_softplus ? softplus(raw) : raw;
    largest = larger(delta, largest);
    store(scratch.delta + t * kLanes, delta);
    store(scratch.u + t * kLanes, u);
    store(scratch.input + t * kLanes, delta * u);
    store(scratch.grad + t * kLanes, scan_gradient<T>(p, piece.batch, tile.token[t], channel, count));
    store(scratch.slope + t * kLanes, scan.delta_softplus ? sigmoid(raw) : splat(1.0f));
    store(scratch.sum_a + t * kLanes, vfloat{});
    store(scratch.sum_b + t * kLanes, vfloat{});
  }
  return largest;
}

// Rows of a channel block that comes later.
template <class T>
NextRows next_backward_rows(const vmexport_scan_backward_params& p, const vmexport::ScanBackwardPiece& piece,
                            int64_t channel, const int64_t* token) {
  const vmexport_scan_params& scan = p.scan;
  const auto at = [&](const void* data, int64_t offset) {
    return reinterpret_cast<const char*>(row<T>(data, offset + channel, 0, 0));
  };
  const char* const grad = at(p.grad_y, piece.batch * p.grad_y_stride[0]);
  constexpr int64_t kBytes = sizeof(T);
  return {{at(scan.u, piece.direction * scan.u_stride[0] + piece.batch * scan.u_stride[1]),
           at(scan.delta, piece.direction * scan.delta_stride[0] + piece.batch * scan.delta_stride[1]), grad,
           scan.z != nullptr ? at(scan.z, piece.batch * scan.z_stride[0]) : grad},
          {scan.u_stride[2] * kBytes, scan.delta_stride[2] * kBytes, p.grad_y_stride[1] * kBytes,
           (scan.z != nullptr ? scan.z_stride[1] : p.grad_y_stride[1]) * kBytes},
          token};
}

// Where the piece's gradient of one channel begins; null where it is not wanted.
template <class T>
VMEXPORT_INLINE T* gradient_row(void* data, const int64_t* stride, const vmexport::ScanBackwardPiece& piece,
                                int64_t channel) {
  if (data == nullptr) return nullptr;
  return static_cast<T*>(data) + piece.direction * stride[0] + piece.batch * stride[1] + channel;
}

template <class T>
WrittenRows written_rows(const vmexport_scan_backward_params& p, const vmexport::ScanBackwardPiece& piece,
                         int64_t channel) {
  constexpr int64_t kBytes = sizeof(T);
  return {{reinterpret_cast<const char*>(gradient_row<T>(p.grad_u, p.grad_u_stride, piece, channel)),
           reinterpret_cast<const char*>(gradient_row<T>(p.grad_delta, p.grad_delta_stride, piece, channel))},
          {p.grad_u_stride[2] * kBytes, p.grad_delta_stride[2] * kBytes}};
}

// Gradients of u and delta, and this tile's part of those of D and the bias.
template <class T>
void finish_backward(const vmexport_scan_backward_params& p, const vmexport::ScanBackwardPiece& piece,
                     const BackwardTile& tile, int64_t channel, int count, const BackwardScratch& scratch,
                     float* grad_d, float* grad_bias) {
  const float* const d = p.scan.d;
  const vfloat skip = d != nullptr ? load(d + piece.direction * p.scan.channels + channel, count) : vfloat{};
  T* const u_row = gradient_row<T>(p.grad_u, p.grad_u_stride, piece, channel);
  T* const delta_row = gradient_row<T>(p.grad_delta, p.grad_delta_stride, piece, channel);
  vfloat sum_d = {}, sum_bias = {};
  for (int64_t t = 0; t < tile.count; ++t) {
    const vfloat grad = load(scratch.grad + t * kLanes);
    const vfloat u = load(scratch.u + t * kLanes);
    const vfloat driven = load(scratch.sum_b + t * kLanes);
    vfloat grad_u = driven * load(scratch.delta + t * kLanes);
    if (d != nullptr) grad_u += skip * grad;
    const vfloat grad_delta = (load(scratch.sum_a + t * kLanes) * kLn2 + u * driven) * load(scratch.slope + t * kLanes);
    if (u_row != nullptr) store(u_row + tile.token[t] * p.grad_u_stride[2], grad_u, count);
    if (delta_row != nullptr) store(delta_row + tile.token[t] * p.grad_delta_stride[2], grad_delta, count);
    sum_d += grad * u;
    sum_bias += grad_delta;
  }
  accumulate(grad_d, sum_d);
  accumulate(grad_bias, sum_bias);
}

}  // namespace

#endif  // VMEXPORT_SCAN_SCAN_BACKWARD_KERNEL_H
