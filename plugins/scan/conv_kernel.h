// The causal depthwise convolution + SiLU of one piece, for the tier that includes this file.
#ifndef VMEXPORT_SCAN_CONV_KERNEL_H
#define VMEXPORT_SCAN_CONV_KERNEL_H

#include "order.h"
#include "tier.h"
#include "vector_math.h"

namespace {

constexpr int64_t kConvChannels = 512;  // channels whose weights are kept at hand, transposed, on the stack

// The input's rows of the steps of a piece from one channel on, taps - 1 steps earlier on; before the sequence begins
// stands a row of zeros.
template <class T>
void input_rows(const vmexport_conv_params& p, const vmexport::ConvPiece& piece, int64_t channel, const T* zeros,
                const T** rows) {
  const T* x = static_cast<const T*>(p.x) + piece.batch * p.x_stride[0] + channel;
  for (int64_t i = 0; i < piece.steps + p.taps - 1; ++i) {
    const int64_t step = piece.step - (p.taps - 1) + i;
    const int64_t token = vmexport::token_at(p.order.orders[piece.direction], step, p.length, p.order.tokens_per_frame,
                                             p.order.class_token);
    rows[i] = step < 0 ? zeros : x + token * p.x_stride[1];
  }
}

// Input and output rows of a piece.
template <class T>
struct Window {
  const T* rows[vmexport::kChunkTokens + VMEXPORT_MAX_TAPS - 1];
  T* outputs[vmexport::kChunkTokens];

  Window(const vmexport_conv_params& p, const vmexport::ConvPiece& piece, int64_t channel, const T* zeros) {
    input_rows(p, piece, channel, zeros, rows);
    T* u = static_cast<T*>(p.u) + piece.direction * p.u_stride[0] + piece.batch * p.u_stride[1] + channel;
    for (int64_t i = 0; i < piece.steps; ++i) {
      const int64_t token = vmexport::token_at(p.order.orders[piece.direction], piece.step + i, p.length,
                                               p.order.tokens_per_frame, p.order.class_token);
      outputs[i] = u + token * p.u_stride[2];
    }
  }
};

// Bias and weights of up to kConvChannels channels with the channels in the lanes.
struct alignas(64) ConvWeights {
  float bias[kConvChannels];
  float tap[VMEXPORT_MAX_TAPS][kConvChannels];

  void read(const vmexport_conv_params& p, int32_t direction, int64_t channel, int64_t channels) {
    const int64_t first = direction * p.channels + channel;
    for (int64_t c = 0; c < (channels + kLanes - 1) / kLanes * kLanes; ++c) {
      const bool real = c < channels;
      bias[c] = real && p.bias != nullptr ? p.bias[first + c] : 0.0f;
      for (int64_t k = 0; k < p.taps; ++k) tap[k][c] = real ? p.weight[(first + c) * p.taps + k] : 0.0f;
    }
  }
};

// Row by row, so that memory is read and written in streams; a row stays in the first-level cache until its last tap.
template <class T, int kTaps>
void conv_steps(const Window<T>& window, const ConvWeights& weights, int64_t steps, int64_t channels, int64_t taps) {
  for (int64_t i = 0; i < steps; ++i) {
    for (int64_t c = 0; c < channels; c += kLanes) {
      const int count = channels - c < kLanes ? static_cast<int>(channels - c) : kLanes;
      vfloat sum = load(weights.bias + c);
      for (int64_t k = 0; k < (kTaps > 0 ? kTaps : taps); ++k) {
        sum += load(weights.tap[k] + c) * load(window.rows[i + k] + c, count);
      }
      store(window.outputs[i] + c, silu(sum), count);
    }
  }
}

template <class T>
void conv_piece_of(const vmexport_conv_params& p, const vmexport::ConvPiece& piece) {
  static constexpr T kZeros[kConvChannels] = {};
  ConvWeights weights;
  for (int64_t channel = 0; channel < p.channels; channel += kConvChannels) {
    const int64_t left = p.channels - channel;
    const int64_t channels = left < kConvChannels ? left : kConvChannels;
    const Window<T> window(p, piece, channel, kZeros);
    weights.read(p, piece.direction, channel, channels);
    const auto steps = p.taps == 4 ? conv_steps<T, 4> : conv_steps<T, 0>;
    steps(window, weights, piece.steps, channels, p.taps);
  }
}

void conv_piece(const vmexport_conv_params& p, const vmexport::ConvPiece& piece) {
  switch (p.dtype) {  // validated before
    case VMEXPORT_FLOAT32: return conv_piece_of<float>(p, piece);
    case VMEXPORT_FLOAT16: return conv_piece_of<float16>(p, piece);
    case VMEXPORT_BFLOAT16: return conv_piece_of<bfloat16>(p, piece);
  }
}

}  // namespace

#endif  // VMEXPORT_SCAN_CONV_KERNEL_H
