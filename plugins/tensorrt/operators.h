// Both operators as the plugin's core sees them: their tensors by position (the enums of ../scan/shapes.h), and one
// way to check sizes and to launch the kernel. Knows nothing of TensorRT.
#ifndef VMEXPORT_TENSORRT_OPERATORS_H
#define VMEXPORT_TENSORRT_OPERATORS_H

#include "../scan/shapes.h"
#include "message.h"

namespace vmexport::trt {

constexpr int kMaxInputs = 7;
constexpr int kOutputs = 1;

// What an ONNX node says besides its inputs.
struct Attributes {
  vmexport_token_order order{};
  float scale = 1.0f;  // of the scan only
};

struct Input {
  const char* name;
  int rank;
  int batch_axis;  // -1: none
  bool typed;      // has the type T of the node; otherwise always float32
};

// Where an axis of the output takes its size from; kDirections: from the attribute.
struct OutputAxis {
  int input, axis;
};
constexpr int kDirections = -1;

// One call: tensors by position, sizes and addresses.
struct Call {
  const Attributes& attributes;
  int32_t dtype;  // of T
  Tensor inputs[kMaxInputs];
  void* output = nullptr;
  void* stream = nullptr;  // a cudaStream_t
};

struct Operator {
  const char* name;  // of the ONNX node and of the plugin
  int32_t code;      // in serialised bytes
  int input_count;
  Input inputs[kMaxInputs];
  const char* output;
  int output_rank;
  OutputAxis output_axes[kMaxRank];
  bool scaled;  // has the attribute `scale`

  // Everything that sizes, type and attributes alone can tell; addresses are not looked at.
  vmexport_status (*check)(const Call& call, char* message) noexcept;
  // Queues the kernel: no allocation, no synchronisation.
  vmexport_status (*launch)(const Call& call, char* message) noexcept;
};

extern const Operator kSelectiveScan;
extern const Operator kCausalConv1d;

}  // namespace vmexport::trt

#endif  // VMEXPORT_TENSORRT_OPERATORS_H
