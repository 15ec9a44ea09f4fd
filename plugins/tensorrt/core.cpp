#include "core.h"

#include <algorithm>

#include "log.h"

namespace vmexport::trt {
namespace {

using nvinfer1::DataType;
using nvinfer1::Dims;
using nvinfer1::DimsExprs;
using nvinfer1::DynamicPluginTensorDesc;
using nvinfer1::PluginTensorDesc;
using nvinfer1::TensorFormat;

const char* type_name(DataType type) noexcept {
  constexpr const char* kNames[] = {"float32", "float16", "int8", "int32", "bool", "uint8", "fp8", "bfloat16", "int64"};
  const auto code = static_cast<size_t>(static_cast<int32_t>(type));
  return code < sizeof kNames / sizeof kNames[0] ? kNames[code] : "a type that vmexport does not know";
}

bool refused(const Operator& op, const Message& message) noexcept {
  refuse(op.name, message.text);
  return false;
}

bool type_fits(const Operator& op, int32_t input, DataType type, DataType first, Message* message) noexcept {
  const Input& tensor = op.inputs[input];
  if (!tensor.typed) {
    return type == DataType::kFLOAT || message->say("%s: expected float32, got %s", tensor.name, type_name(type));
  }
  if (dtype_of(first) < 0) {
    return message->say("%s: expected %s, got %s", op.inputs[0].name, kTypes, type_name(first));
  }
  return type == first || message->say("%s: expected %s, the type of %s, got %s", tensor.name, type_name(first),
                                       op.inputs[0].name, type_name(type));
}

Tensor tensor_of(const char* name, const Dims& dims) noexcept {
  Tensor tensor;
  tensor.name = name;
  tensor.rank = dims.nbDims;
  std::copy_n(dims.d, std::clamp(dims.nbDims, 0, kMaxRank), tensor.dims);
  return tensor;
}

bool run(const Operator& op, vmexport_status (*step)(const Call&, char*) noexcept, const Call& call) noexcept {
  Message message;
  return step(call, message.text) == VMEXPORT_OK || refused(op, message);
}

// An axis that is not known yet (-1) leaves the sizes to a later check.
bool check_end(const Operator& op, const Attributes& attributes, const DynamicPluginTensorDesc* inputs,
               Dims DynamicPluginTensorDesc::* end) noexcept {
  Call call{attributes, dtype_of(inputs[0].desc.type), {}};
  for (int i = 0; i < op.input_count; ++i) {
    const Dims& dims = inputs[i].*end;
    for (int32_t axis = 0; axis < std::min(dims.nbDims, Dims::MAX_DIMS); ++axis) {
      if (dims.d[axis] == -1) return true;
    }
    call.inputs[i] = tensor_of(op.inputs[i].name, dims);
  }
  return run(op, op.check, call);
}

// Sizes while the network is put together. The batch may be open, and counts as 1 then; false where anything else is.
bool known_sizes(const Operator& op, const DimsExprs* inputs, Tensor* tensors) noexcept {
  int open = 0, batched = 0;
  for (int i = 0; i < op.input_count; ++i) {
    Tensor& tensor = tensors[i];
    tensor.name = op.inputs[i].name;
    tensor.rank = inputs[i].nbDims;
    for (int32_t axis = 0; axis < std::clamp(inputs[i].nbDims, 0, kMaxRank); ++axis) {
      const nvinfer1::IDimensionExpr* const size = inputs[i].d[axis];
      if (size == nullptr) return false;
      const bool batch = axis == op.inputs[i].batch_axis;
      batched += batch;
      if (size->isConstant()) {
        tensor.dims[axis] = size->getConstantValue();
      } else if (batch) {
        tensor.dims[axis] = 1;
        ++open;
      } else {
        return false;
      }
    }
  }
  return open == 0 || open == batched;
}

}  // namespace

bool supports(const Operator& op, int32_t pos, DataType type, TensorFormat format, DataType type_of_first) noexcept {
  if (pos < 0 || pos >= op.input_count + kOutputs || format != TensorFormat::kLINEAR) return false;
  if (pos < op.input_count && !op.inputs[pos].typed) return type == DataType::kFLOAT;
  return type == type_of_first && dtype_of(type) >= 0;
}

bool check_counts(const Operator& op, int32_t inputs, int32_t outputs) noexcept {
  Message message;
  if (inputs == op.input_count && outputs == kOutputs) return true;
  message.say("expected %d inputs and %d output, got %d and %d", op.input_count, kOutputs, inputs, outputs);
  return refused(op, message);
}

bool check_types(const Operator& op, const DataType* types, int32_t count) noexcept {
  if (!check_counts(op, count, kOutputs)) return false;
  Message message;
  for (int32_t i = 0; i < count; ++i) {
    if (!type_fits(op, i, types[i], types[0], &message)) return refused(op, message);
  }
  return true;
}

bool output_shape(const Operator& op, const Attributes& attributes, const DimsExprs* inputs, int32_t count,
                  nvinfer1::IExprBuilder& builder, DimsExprs* output) noexcept {
  if (!check_counts(op, count, kOutputs)) return false;
  Message message;
  for (int i = 0; i < count; ++i) {
    if (inputs[i].nbDims != op.inputs[i].rank) {
      message.say("%s: expected %d axes, got %d", op.inputs[i].name, op.inputs[i].rank, inputs[i].nbDims);
      return refused(op, message);
    }
  }
  Call call{attributes, VMEXPORT_FLOAT32, {}};  // the type does not matter here
  if (known_sizes(op, inputs, call.inputs) && !run(op, op.check, call)) return false;
  output->nbDims = op.output_rank;
  for (int axis = 0; axis < op.output_rank; ++axis) {
    const OutputAxis from = op.output_axes[axis];
    output->d[axis] =
        from.input == kDirections ? builder.constant(attributes.order.directions) : inputs[from.input].d[from.axis];
    if (output->d[axis] == nullptr) {
      message.say("%s: no expression for axis %d", op.output, axis);
      return refused(op, message);
    }
  }
  return true;
}

bool check_tensors(const Operator& op, const Attributes& attributes, const PluginTensorDesc* inputs) noexcept {
  Call call{attributes, dtype_of(inputs[0].type), {}};
  Message message;
  for (int i = 0; i < op.input_count; ++i) {
    if (!type_fits(op, i, inputs[i].type, inputs[0].type, &message)) return refused(op, message);
    call.inputs[i] = tensor_of(op.inputs[i].name, inputs[i].dims);
  }
  return run(op, op.check, call);
}

bool check_ranges(const Operator& op, const Attributes& attributes, const DynamicPluginTensorDesc* inputs,
                  int32_t input_count, int32_t output_count) noexcept {
  if (!check_counts(op, input_count, output_count)) return false;
  Message message;
  for (int32_t i = 0; i < input_count; ++i) {
    if (!type_fits(op, i, inputs[i].desc.type, inputs[0].desc.type, &message)) return refused(op, message);
  }
  return check_end(op, attributes, inputs, &DynamicPluginTensorDesc::min) &&
         check_end(op, attributes, inputs, &DynamicPluginTensorDesc::max);
}

int32_t enqueue(const Operator& op, const Attributes& attributes, const PluginTensorDesc* descriptions,
                const void* const* inputs, void* const* outputs, void* stream) noexcept {
  Call call{attributes, dtype_of(descriptions[0].type), {}};
  for (int i = 0; i < op.input_count; ++i) {
    call.inputs[i] = tensor_of(op.inputs[i].name, descriptions[i].dims);
    call.inputs[i].data = inputs[i];
  }
  call.output = outputs[0];
  call.stream = stream;
  return run(op, op.launch, call) ? 0 : 1;
}

}  // namespace vmexport::trt
