// IPluginV2DynamicExt over the shared core: TensorRT 8.5 and 8.6 (JetPack 5.1 and 6.0).
#ifndef VMEXPORT_TENSORRT_PLUGIN_V2_H
#define VMEXPORT_TENSORRT_PLUGIN_V2_H

#include "core.h"

namespace vmexport::trt {

// A namespace that TensorRT sets and asks for again; as long as any sensible one.
struct Namespace {
  char text[128] = "";
  void set(const Operator& op, const char* name) noexcept;
};

// Has no state but its attributes, so that every context may have a copy and any number of them run at once.
class Plugin final : public nvinfer1::IPluginV2DynamicExt {
 public:
  Plugin(const Operator& op, const Attributes& attributes) noexcept : op_(op), attributes_(attributes) {}

  const char* getPluginType() const noexcept override { return op_.name; }
  const char* getPluginVersion() const noexcept override { return kPluginVersion; }
  void setPluginNamespace(const char* name) noexcept override { namespace_.set(op_, name); }
  const char* getPluginNamespace() const noexcept override { return namespace_.text; }

  int32_t getNbOutputs() const noexcept override { return kOutputs; }
  nvinfer1::DataType getOutputDataType(int32_t index, const nvinfer1::DataType* inputs,
                                       int32_t input_count) const noexcept override;
  // -1 axes after a refusal.
  nvinfer1::DimsExprs getOutputDimensions(int32_t index, const nvinfer1::DimsExprs* inputs, int32_t input_count,
                                          nvinfer1::IExprBuilder& builder) noexcept override;
  bool supportsFormatCombination(int32_t pos, const nvinfer1::PluginTensorDesc* tensors, int32_t input_count,
                                 int32_t output_count) noexcept override;
  // Cannot fail by itself: what it refuses makes initialize() fail, which ends the build.
  void configurePlugin(const nvinfer1::DynamicPluginTensorDesc* inputs, int32_t input_count,
                       const nvinfer1::DynamicPluginTensorDesc* outputs, int32_t output_count) noexcept override;
  size_t getWorkspaceSize(const nvinfer1::PluginTensorDesc*, int32_t, const nvinfer1::PluginTensorDesc*,
                          int32_t) const noexcept override {
    return 0;
  }

  int32_t initialize() noexcept override { return refused_ ? 1 : 0; }
  void terminate() noexcept override {}
  int32_t enqueue(const nvinfer1::PluginTensorDesc* inputs, const nvinfer1::PluginTensorDesc* outputs,
                  const void* const* input_data, void* const* output_data, void* workspace,
                  cudaStream_t stream) noexcept override;

  size_t getSerializationSize() const noexcept override;
  void serialize(void* buffer) const noexcept override;
  nvinfer1::IPluginV2DynamicExt* clone() const noexcept override;
  void destroy() noexcept override { delete this; }

 private:
  Plugin(const Plugin&) = default;

  const Operator& op_;
  Attributes attributes_;
  Namespace namespace_;
  bool refused_ = false;
};

class Creator final : public nvinfer1::IPluginCreator {
 public:
  Creator(const Operator& op, const char* its_namespace) noexcept : op_(op) { namespace_.set(op, its_namespace); }

  const char* getPluginName() const noexcept override { return op_.name; }
  const char* getPluginVersion() const noexcept override { return kPluginVersion; }
  void setPluginNamespace(const char* name) noexcept override { namespace_.set(op_, name); }
  const char* getPluginNamespace() const noexcept override { return namespace_.text; }
  const nvinfer1::PluginFieldCollection* getFieldNames() noexcept override;
  // The node's attributes, all of them; null after a refusal.
  Plugin* createPlugin(const char* name, const nvinfer1::PluginFieldCollection* fields) noexcept override;
  Plugin* deserializePlugin(const char* name, const void* bytes, size_t size) noexcept override;

 private:
  const Operator& op_;
  Namespace namespace_;
};

}  // namespace vmexport::trt

#endif  // VMEXPORT_TENSORRT_PLUGIN_V2_H
