// The causal depthwise convolution + SiLU of one piece, for the tier that includes this file.
#ifndef VMEXPORT_SCAN_CONV_KERNEL_H
#define VMEXPORT_SCAN_CONV_KERNEL_H

#include "order.h"
#include "tier.h"
#include "vector_math.h"

namespace {

// Weights of kLanes channels with the tap outermost: weight[k] is one vector.
inline void load_weight(const vmexport_conv_params& p, int32_t direction, int64_t channel, int count,
                        vfloat (&weight)[VMEXPORT_MAX_TAPS]) {
  for (int64_t k = 0; k < p.taps; ++k) {
    weight[k] = vfloat{};
    for (int lane = 0; lane < count; ++lane) {
      weight[k][lane] = p.weight[(direction * p.channels + channel + lane) * p.taps + k];
    }
  }
}

// Input rows of steps [first - taps + 1, first + steps) of a piece, null before the sequence begins.
template <class T>
struct Window {
  const T* rows[vmexport::kChunkTokens + VMEXPORT_MAX_TAPS - 1];
  T* outputs[vmexport::kChunkTokens];

  Window(const vmexport_conv_params& p, const vmexport::ConvPiece& piece) {
    const auto token = [&](int64_t step) {
      return vmexport::token_at(p.order.orders[piece.direction], step, p.length, p.order.tokens_per_frame,
                                p.order.class_token);
    };
    const T* x = static_cast<const T*>(p.x) + piece.batch * p.x_stride[0];
    T* u = static_cast<T*>(p.u) + piece.direction * p.u_stride[0] + piece.batch * p.u_stride[1];
    for (int64_t i = 0; i < piece.steps + p.taps - 1; ++i) {
      const int64_t step = piece.step - (p.taps - 1) + i;
      rows[i] = step < 0 ? nullptr : x + token(step) * p.x_stride[1];
    }
    for (int64_t i = 0; i < piece.steps; ++i) outputs[i] = u + token(piece.step + i) * p.u_stride[2];
  }

  VMEXPORT_INLINE vfloat at(const T* source, int64_t channel, int count) {
    return source == nullptr ? vfloat{} : load(source + channel, count);
  }
};

template <class T>
void conv_piece_of(const vmexport_conv_params& p, const vmexport::ConvPiece& piece) {
  const Window<T> window(p, piece);
  for (int64_t channel = 0; channel < p.channels; channel += kLanes) {
    const int64_t left = p.channels - channel;
    const int count = left < kLanes ? static_cast<int>(left) : kLanes;
    vfloat weight[VMEXPORT_MAX_TAPS];
    load_weight(p, piece.direction, channel, count, weight);
    const vfloat bias = p.bias != nullptr ? load(p.bias + piece.direction * p.channels + channel, count) : vfloat{};
    for (int64_t i = 0; i < piece.steps; ++i) {
      vfloat sum = bias;
      for (int64_t k = 0; k < p.taps; ++k) sum += weight[k] * window.at(window.rows[i + k], channel, count);
      store(window.outputs[i] + channel, silu(sum), count);
    }
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
