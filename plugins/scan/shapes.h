// Shape checks of both operators, shared by every front end that receives dense tensors with shapes (ONNX Runtime,
// TensorRT). Fills sizes and strides of the parameter structs; validate.h checks values afterwards.
#ifndef VMEXPORT_SCAN_SHAPES_H
#define VMEXPORT_SCAN_SHAPES_H

#include "params.h"

namespace vmexport {

constexpr int kMaxRank = 4;

struct Tensor {
  const char* name = "";
  const void* data = nullptr;
  int64_t rank = 0;  // the true rank, which may exceed kMaxRank
  int64_t dims[kMaxRank] = {};
};

// Positions of the inputs in the ONNX node (../../vmexport/ops/schema.py has the same order).
enum ScanInput { kU, kDelta, kA, kBC, kD, kDeltaBias, kZ, kScanInputs };
enum ConvInput { kX, kWeight, kBias, kConvInputs };

constexpr const char* kScanNames[kScanInputs] = {"u", "delta", "A", "BC", "D", "delta_bias", "z"};
constexpr const char* kConvNames[kConvInputs] = {"x", "weight", "bias"};

// On a mismatch both write "tensor: expected shape (...), got (...)" into `message`, which holds
// VMEXPORT_MESSAGE_SIZE bytes, and return false. `order.directions` of the params must be set already; all tensors
// are contiguous.
bool fill_scan(const Tensor (&inputs)[kScanInputs], vmexport_scan_params* params, char* message) noexcept;
bool fill_conv(const Tensor (&inputs)[kConvInputs], vmexport_conv_params* params, char* message) noexcept;

}  // namespace vmexport

#endif  // VMEXPORT_SCAN_SHAPES_H
