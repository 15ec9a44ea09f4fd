#include "plugin_v2.h"

#include <cstring>
#include <new>

#include "bytes.h"
#include "fields.h"
#include "log.h"

namespace vmexport::trt {
namespace {

using nvinfer1::DimsExprs;
using nvinfer1::DynamicPluginTensorDesc;
using nvinfer1::PluginFieldCollection;
using nvinfer1::PluginTensorDesc;

Plugin* make(const Operator& op, const Attributes& attributes, const char* name, const char* its_namespace) noexcept {
  auto* const plugin = new (std::nothrow) Plugin(op, attributes);
  if (plugin == nullptr) {
    refuse_node(op, name, "no memory left for the plugin");
    return nullptr;
  }
  plugin->setPluginNamespace(its_namespace);
  return plugin;
}

}  // namespace

void Namespace::set(const Operator& op, const char* name) noexcept {
  if (name == nullptr) name = "";
  if (std::strlen(name) >= sizeof text) return refuse(op.name, "namespace: expected at most 127 characters");
  std::strcpy(text, name);
}

nvinfer1::DataType Plugin::getOutputDataType(int32_t index, const nvinfer1::DataType* inputs,
                                             int32_t input_count) const noexcept {
  if (index != 0 || !check_types(op_, inputs, input_count)) return nvinfer1::DataType::kFLOAT;
  return inputs[0];
}

DimsExprs Plugin::getOutputDimensions(int32_t index, const DimsExprs* inputs, int32_t input_count,
                                      nvinfer1::IExprBuilder& builder) noexcept {
  DimsExprs output{};
  if (index != 0 || !output_shape(op_, attributes_, inputs, input_count, builder, &output)) output.nbDims = -1;
  return output;
}

bool Plugin::supportsFormatCombination(int32_t pos, const PluginTensorDesc* tensors, int32_t input_count,
                                       int32_t output_count) noexcept {
  if (!check_counts(op_, input_count, output_count) || pos < 0 || pos >= input_count + output_count) return false;
  return supports(op_, pos, tensors[pos].type, tensors[pos].format, tensors[0].type);
}

void Plugin::configurePlugin(const DynamicPluginTensorDesc* inputs, int32_t input_count, const DynamicPluginTensorDesc*,
                             int32_t output_count) noexcept {
  refused_ = !check_ranges(op_, attributes_, inputs, input_count, output_count);
}

int32_t Plugin::enqueue(const PluginTensorDesc* inputs, const PluginTensorDesc*, const void* const* input_data,
                        void* const* output_data, void*, cudaStream_t stream) noexcept {
  return trt::enqueue(op_, attributes_, inputs, input_data, output_data, stream);
}

size_t Plugin::getSerializationSize() const noexcept { return bytes_size(attributes_); }

void Plugin::serialize(void* buffer) const noexcept {
  write_bytes(op_, attributes_, static_cast<unsigned char*>(buffer));
}

nvinfer1::IPluginV2DynamicExt* Plugin::clone() const noexcept {
  auto* const copy = new (std::nothrow) Plugin(*this);
  if (copy == nullptr) refuse(op_.name, "no memory left for a copy of the plugin");
  return copy;
}

const PluginFieldCollection* Creator::getFieldNames() noexcept { return &declared_fields(op_); }

Plugin* Creator::createPlugin(const char* name, const PluginFieldCollection* fields) noexcept {
  Attributes attributes;
  Message message;
  if (read_fields(op_, fields, &attributes, &message)) return make(op_, attributes, name, namespace_.text);
  refuse_node(op_, name, message.text);
  return nullptr;
}

Plugin* Creator::deserializePlugin(const char* name, const void* bytes, size_t size) noexcept {
  Attributes attributes;
  Message message;
  if (read_bytes(op_, bytes, size, &attributes, &message)) return make(op_, attributes, name, namespace_.text);
  refuse_node(op_, name, message.text);
  return nullptr;
}

}  // namespace vmexport::trt
