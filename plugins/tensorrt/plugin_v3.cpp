#include "plugin_v3.h"

#include <cstring>
#include <new>

#include "bytes.h"
#include "log.h"

namespace vmexport::trt {
namespace {

using nvinfer1::DimsExprs;
using nvinfer1::DynamicPluginTensorDesc;
using nvinfer1::PluginCapabilityType;
using nvinfer1::PluginField;
using nvinfer1::PluginFieldCollection;
using nvinfer1::PluginFieldType;
using nvinfer1::PluginTensorDesc;

// Engines of the first vmexport hold one field of this name, with the bytes of bytes.h, in place of the attributes.
constexpr const char* kStateField = "vmexport_state";

const PluginField* old_state(const PluginFieldCollection* fields) noexcept {
  if (fields == nullptr || fields->nbFields != 1 || fields->fields == nullptr) return nullptr;
  const PluginField& field = fields->fields[0];
  return field.name != nullptr && std::strcmp(field.name, kStateField) == 0 ? &field : nullptr;
}

bool read_old_state(const Operator& op, const PluginField& field, Attributes* attributes, Message* message) noexcept {
  if (field.type != PluginFieldType::kINT8 || field.length < 0) {
    return message->say("serialised state: expected a field %s of bytes, got type %d", kStateField,
                        static_cast<int>(field.type));
  }
  return read_bytes(op, field.data, static_cast<size_t>(field.length), attributes, message);
}

}  // namespace

// The kernels choose by shapes and types alone, which TensorRT adds to the identity by itself.
Plugin::Plugin(const Operator& op, const Attributes& attributes, const char* its_namespace) noexcept
    : op_(op), attributes_(attributes), namespace_(its_namespace) {
  const vmexport_token_order& order = attributes.order;
  size_t used = static_cast<size_t>(std::snprintf(
      timing_cache_id_, sizeof timing_cache_id_, "vmexport_%s_%s_%lld_%d_%a", op.name, VMEXPORT_VERSION,
      static_cast<long long>(order.tokens_per_frame), order.class_token, static_cast<double>(attributes.scale)));
  for (int32_t s = 0; s < order.directions && used < sizeof timing_cache_id_; ++s) {
    used += static_cast<size_t>(
        std::snprintf(timing_cache_id_ + used, sizeof timing_cache_id_ - used, "_%d", order.orders[s]));
  }
}

nvinfer1::IPluginCapability* Plugin::getCapabilityInterface(PluginCapabilityType type) noexcept {
  switch (type) {
    case PluginCapabilityType::kCORE: return static_cast<nvinfer1::IPluginV3OneCore*>(this);
    case PluginCapabilityType::kBUILD: return static_cast<nvinfer1::IPluginV3OneBuild*>(this);
    case PluginCapabilityType::kRUNTIME: return static_cast<nvinfer1::IPluginV3OneRuntime*>(this);
  }
  return nullptr;
}

nvinfer1::IPluginV3* Plugin::clone() noexcept {
  auto* const copy = new (std::nothrow) Plugin(op_, attributes_, namespace_);
  if (copy == nullptr) refuse(op_.name, "no memory left for a copy of the plugin");
  return copy;
}

int32_t Plugin::getOutputDataTypes(nvinfer1::DataType* outputs, int32_t output_count, const nvinfer1::DataType* inputs,
                                   int32_t input_count) const noexcept {
  if (!check_counts(op_, input_count, output_count) || !check_types(op_, inputs, input_count)) return 1;
  outputs[0] = inputs[0];
  return 0;
}

int32_t Plugin::getOutputShapes(const DimsExprs* inputs, int32_t input_count, const DimsExprs*,
                                int32_t shape_input_count, DimsExprs* outputs, int32_t output_count,
                                nvinfer1::IExprBuilder& builder) noexcept {
  if (!check_counts(op_, input_count + shape_input_count, output_count)) return 1;
  return output_shape(op_, attributes_, inputs, input_count, builder, outputs) ? 0 : 1;
}

bool Plugin::supportsFormatCombination(int32_t pos, const DynamicPluginTensorDesc* tensors, int32_t input_count,
                                       int32_t output_count) noexcept {
  if (!check_counts(op_, input_count, output_count) || pos < 0 || pos >= input_count + output_count) return false;
  const PluginTensorDesc& tensor = tensors[pos].desc;
  return supports(op_, pos, tensor.type, tensor.format, tensors[0].desc.type);
}

int32_t Plugin::configurePlugin(const DynamicPluginTensorDesc* inputs, int32_t input_count,
                                const DynamicPluginTensorDesc*, int32_t output_count) noexcept {
  return check_ranges(op_, attributes_, inputs, input_count, output_count) ? 0 : 1;
}

int32_t Plugin::onShapeChange(const PluginTensorDesc* inputs, int32_t input_count, const PluginTensorDesc*,
                              int32_t output_count) noexcept {
  return check_counts(op_, input_count, output_count) && check_tensors(op_, attributes_, inputs) ? 0 : 1;
}

int32_t Plugin::enqueue(const PluginTensorDesc* inputs, const PluginTensorDesc*, const void* const* input_data,
                        void* const* output_data, void*, cudaStream_t stream) noexcept {
  return trt::enqueue(op_, attributes_, inputs, input_data, output_data, stream);
}

const PluginFieldCollection* Plugin::getFieldsToSerialize() noexcept {
  return &write_fields(op_, attributes_, &fields_);
}

const PluginFieldCollection* Creator::getFieldNames() noexcept { return &declared_fields(op_); }

nvinfer1::IPluginV3* Creator::createPlugin(const char* name, const PluginFieldCollection* fields,
                                           nvinfer1::TensorRTPhase phase) noexcept {
  Attributes attributes;
  Message message;
  const PluginField* const old = phase == nvinfer1::TensorRTPhase::kRUNTIME ? old_state(fields) : nullptr;
  const bool read = old != nullptr ? read_old_state(op_, *old, &attributes, &message)
                                   : read_fields(op_, fields, &attributes, &message);
  auto* const plugin = read ? new (std::nothrow) Plugin(op_, attributes, namespace_) : nullptr;
  if (plugin != nullptr) return plugin;
  refuse_node(op_, name, read ? "no memory left for the plugin" : message.text);
  return nullptr;
}

}  // namespace vmexport::trt
