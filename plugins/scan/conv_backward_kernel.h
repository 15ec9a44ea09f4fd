// The backward pass of the convolution over one piece, for the tier that includes this file.
//
// With p_t = bias + sum_k w_k x_(t-K+1+k) and u_t = SiLU(p_t), g_t = grad_u_t SiLU'(p_t):
//   dx_t = sum_k w_k g_(t+K-1-k),  dw_k = sum_t g_t x_(t-K+1+k),  dbias = sum_t g_t
// p is computed once more rather than kept. Steps go by in chunks, from the last to the first, so that the g of the
// steps after a chunk are at hand.
#ifndef VMEXPORT_SCAN_CONV_BACKWARD_KERNEL_H
#define VMEXPORT_SCAN_CONV_BACKWARD_KERNEL_H

#include "conv_kernel.h"

namespace {

using vmexport::kChunkTokens;
using vmexport::kConvGroup;

// One chunk of one direction.
template <class T>
struct BackwardChunk {
  const T* rows[kChunkTokens + VMEXPORT_MAX_TAPS - 1];  // of x, taps - 1 steps earlier on
  const T* grads[kChunkTokens];                         // of grad_u
  int64_t token[kChunkTokens];
  int64_t steps;                                                          // of this chunk
  int64_t later;                                                          // steps of which g is at hand behind it
  alignas(64) float g[kChunkTokens + VMEXPORT_MAX_TAPS - 1][kConvGroup];  // step, channel
};

// Gradients of bias and weights with the channels in the lanes.
struct alignas(64) ConvSums {
  float bias[kConvGroup];
  float tap[VMEXPORT_MAX_TAPS][kConvGroup];
};

template <class T>
void read_chunk(const vmexport_conv_backward_params& p, const vmexport::ConvBackwardPiece& piece, int32_t direction,
                int64_t first, BackwardChunk<T>& chunk) {
  static constexpr T kZeros[kConvGroup] = {};
  const vmexport_conv_params& conv = p.conv;
  const int64_t left = conv.length - first;
  chunk.steps = left < kChunkTokens ? left : kChunkTokens;
  input_rows<T>(conv, {direction, piece.batch, first, chunk.steps}, piece.channel, kZeros, chunk.rows);
  const T* const grads = static_cast<const T*>(p.grad_u) + direction * p.grad_u_stride[0] +
                         piece.batch * p.grad_u_stride[1] + piece.channel;
  for (int64_t i = 0; i < chunk.steps; ++i) {
    chunk.token[i] = vmexport::token_at(conv.order.orders[direction], first + i, conv.length,
                                        conv.order.tokens_per_frame, conv.order.class_token);
    chunk.grads[i] = grads + chunk.token[i] * p.grad_u_stride[2];
  }
}

// g of the chunk, and its part of the gradients of bias and weights.
template <class T>
void conv_gradient(const ConvWeights& weights, int64_t taps, int64_t channels, BackwardChunk<T>& chunk,
                   ConvSums& sums) {
  for (int64_t c = 0; c < channels; c += kLanes) {
    const int count = channels - c < kLanes ? static_cast<int>(channels - c) : kLanes;
    vfloat bias = {}, tap[VMEXPORT_MAX_TAPS] = {};
    for (int64_t i = 0; i < chunk.steps; ++i) {
      vfloat sum = load(weights.bias + c);
      for (int64_t k = 0; k < taps; ++k) sum += load(weights.tap[k] + c) * load(chunk.rows[i + k] + c, count);
      const vfloat g = load(chunk.grads[i] + c, count) * silu_slope(sum);
      store(chunk.g[i] + c, g);
      bias += g;
      for (int64_t k = 0; k < taps; ++k) tap[k] += g * load(chunk.rows[i + k] + c, count);
    }
    store(sums.bias + c, load(sums.bias + c) + bias);
    for (int64_t k = 0; k < taps; ++k) store(sums.tap[k] + c, load(sums.tap[k] + c) + tap[k]);
  }
}

// This direction's part of grad_x: into the running sum, or with it into grad_x itself.
template <class T>
void conv_input_gradient(const vmexport_conv_backward_params& p, const vmexport::ConvBackwardPiece& piece,
                         int32_t direction, const ConvWeights& weights, const BackwardChunk<T>& chunk) {
  const int64_t taps = p.conv.taps;
  T* const x = static_cast<T*>(p.grad_x) + piece.batch * p.grad_x_stride[0] + piece.channel;
  for (int64_t i = 0; i < chunk.steps; ++i) {
    // A tap beyond the sequence has no g; it is left out, because zero times an infinite weight is NaN.
    const int64_t behind = chunk.steps + chunk.later - i;
    float* const running = piece.sum + chunk.token[i] * kConvGroup;
    for (int64_t c = 0; c < piece.channels; c += kLanes) {
      const int count = piece.channels - c < kLanes ? static_cast<int>(piece.channels - c) : kLanes;
      vfloat sum = direction > 0 ? load(running + c) : vfloat{};
      for (int64_t j = 0; j < taps && j < behind; ++j) {
        sum += load(weights.tap[taps - 1 - j] + c) * load(chunk.g[i + j] + c);
      }
      if (direction + 1 < p.conv.order.directions) {
        store(running + c, sum);
      } else {
        store(x + chunk.token[i] * p.grad_x_stride[1] + c, sum, count);
      }
    }
  }
}

inline void store_sums(const vmexport_conv_backward_params& p, const vmexport::ConvBackwardPiece& piece,
                       int32_t direction, const ConvSums& sums) {
  const int64_t first = direction * p.conv.channels + piece.channel;
  for (int64_t c = 0; c < piece.channels; ++c) {
    if (piece.grad_bias != nullptr) piece.grad_bias[first + c] = sums.bias[c];
    if (piece.grad_weight == nullptr) continue;
    for (int64_t k = 0; k < p.conv.taps; ++k) piece.grad_weight[(first + c) * p.conv.taps + k] = sums.tap[k][c];
  }
}

template <class T>
void conv_backward_piece_of(const vmexport_conv_backward_params& p, const vmexport::ConvBackwardPiece& piece) {
  const int64_t length = p.conv.length, taps = p.conv.taps;
  ConvWeights weights;
  BackwardChunk<T> chunk;
  for (int32_t s = 0; s < p.conv.order.directions; ++s) {
    weights.read(p.conv, s, piece.channel, piece.channels);
    ConvSums sums = {};
    chunk.later = 0;
    for (int64_t first = (length - 1) / kChunkTokens * kChunkTokens; first >= 0; first -= kChunkTokens) {
      read_chunk<T>(p, piece, s, first, chunk);
      conv_gradient<T>(weights, taps, piece.channels, chunk, sums);
      if (p.grad_x != nullptr) conv_input_gradient<T>(p, piece, s, weights, chunk);
      chunk.later = chunk.steps < taps - 1 ? chunk.steps : taps - 1;
      memcpy(chunk.g[kChunkTokens], chunk.g[0], sizeof chunk.g[0] * chunk.later);
    }
    store_sums(p, piece, s, sums);
  }
}

void conv_backward_piece(const vmexport_conv_backward_params& p, const vmexport::ConvBackwardPiece& piece) {
  switch (p.conv.dtype) {  // validated before
    case VMEXPORT_FLOAT32: return conv_backward_piece_of<float>(p, piece);
    case VMEXPORT_FLOAT16: return conv_backward_piece_of<float16>(p, piece);
    case VMEXPORT_BFLOAT16: return conv_backward_piece_of<bfloat16>(p, piece);
  }
}

}  // namespace

#endif  // VMEXPORT_SCAN_CONV_BACKWARD_KERNEL_H
