// A node's attributes as TensorRT's plugin fields.
#ifndef VMEXPORT_TENSORRT_FIELDS_H
#define VMEXPORT_TENSORRT_FIELDS_H

#include "operators.h"
#include "version.h"

namespace vmexport::trt {

constexpr int kMaxAttributes = 4;

// Names and types of an operator's attributes, which the ONNX parser asks for: it hands over those attributes of the
// node that are named here, and reports no others. Points to static memory.
const nvinfer1::PluginFieldCollection& declared_fields(const Operator& op) noexcept;

// What write_fields lends out.
struct WrittenFields {
  int32_t tokens_per_frame = 0;
  nvinfer1::PluginField list[kMaxAttributes];
  nvinfer1::PluginFieldCollection collection{};
};

// The declared fields with the values of `attributes`, as read_fields takes them back. They point into `attributes` and
// into `fields`, which must both stay where they are as long as the result is used.
const nvinfer1::PluginFieldCollection& write_fields(const Operator& op, const Attributes& attributes,
                                                    WrittenFields* fields) noexcept;

// Every attribute once, by name, with the type it declares and a value that makes sense; whatever is missing, unknown,
// given twice, ill-typed or out of range makes it return false with a message that says expected and got.
bool read_fields(const Operator& op, const nvinfer1::PluginFieldCollection* fields, Attributes* attributes,
                 Message* message) noexcept;

}  // namespace vmexport::trt

#endif  // VMEXPORT_TENSORRT_FIELDS_H
