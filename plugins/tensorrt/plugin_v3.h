// IPluginV3 over the shared core: TensorRT 10.0 and newer.
#ifndef VMEXPORT_TENSORRT_PLUGIN_V3_H
#define VMEXPORT_TENSORRT_PLUGIN_V3_H

#include "core.h"
#include "fields.h"

namespace vmexport::trt {

// Has no state but its attributes, so that every context may have a copy and any number of them run at once.
class Plugin final : public nvinfer1::IPluginV3,
                     public nvinfer1::IPluginV3OneCore,
                     public nvinfer1::IPluginV3OneBuild,
                     public nvinfer1::IPluginV3OneRuntime {
 public:
  // `its_namespace` is static memory.
  Plugin(const Operator& op, const Attributes& attributes, const char* its_namespace) noexcept;

  nvinfer1::IPluginCapability* getCapabilityInterface(nvinfer1::PluginCapabilityType type) noexcept override;
  nvinfer1::IPluginV3* clone() noexcept override;

  const char* getPluginName() const noexcept override { return op_.name; }
  const char* getPluginVersion() const noexcept override { return kPluginVersion; }
  const char* getPluginNamespace() const noexcept override { return namespace_; }

  int32_t getNbOutputs() const noexcept override { return kOutputs; }
  int32_t getOutputDataTypes(nvinfer1::DataType* outputs, int32_t output_count, const nvinfer1::DataType* inputs,
                             int32_t input_count) const noexcept override;
  int32_t getOutputShapes(const nvinfer1::DimsExprs* inputs, int32_t input_count,
                          const nvinfer1::DimsExprs* shape_inputs, int32_t shape_input_count,
                          nvinfer1::DimsExprs* outputs, int32_t output_count,
                          nvinfer1::IExprBuilder& builder) noexcept override;
  bool supportsFormatCombination(int32_t pos, const nvinfer1::DynamicPluginTensorDesc* tensors, int32_t input_count,
                                 int32_t output_count) noexcept override;
  int32_t configurePlugin(const nvinfer1::DynamicPluginTensorDesc* inputs, int32_t input_count,
                          const nvinfer1::DynamicPluginTensorDesc* outputs, int32_t output_count) noexcept override;
  size_t getWorkspaceSize(const nvinfer1::DynamicPluginTensorDesc*, int32_t, const nvinfer1::DynamicPluginTensorDesc*,
                          int32_t) const noexcept override {
    return 0;
  }
  const char* getTimingCacheID() noexcept override { return timing_cache_id_; }

  int32_t onShapeChange(const nvinfer1::PluginTensorDesc* inputs, int32_t input_count,
                        const nvinfer1::PluginTensorDesc* outputs, int32_t output_count) noexcept override;
  int32_t enqueue(const nvinfer1::PluginTensorDesc* inputs, const nvinfer1::PluginTensorDesc* outputs,
                  const void* const* input_data, void* const* output_data, void* workspace,
                  cudaStream_t stream) noexcept override;
  nvinfer1::IPluginV3* attachToContext(nvinfer1::IPluginResourceContext*) noexcept override { return clone(); }
  const nvinfer1::PluginFieldCollection* getFieldsToSerialize() noexcept override;

 private:
  const Operator& op_;
  Attributes attributes_;
  const char* namespace_;
  char timing_cache_id_[160] = "";
  WrittenFields fields_;  // lent to TensorRT by getFieldsToSerialize, until its next call or the end of this object
};

class Creator final : public nvinfer1::IPluginCreatorV3One {
 public:
  Creator(const Operator& op, const char* its_namespace) noexcept : op_(op), namespace_(its_namespace) {}

  const char* getPluginName() const noexcept override { return op_.name; }
  const char* getPluginVersion() const noexcept override { return kPluginVersion; }
  const char* getPluginNamespace() const noexcept override { return namespace_; }
  const nvinfer1::PluginFieldCollection* getFieldNames() noexcept override;
  // The attributes, all of them, from a node or from an engine. Null after a refusal.
  nvinfer1::IPluginV3* createPlugin(const char* name, const nvinfer1::PluginFieldCollection* fields,
                                    nvinfer1::TensorRTPhase phase) noexcept override;

 private:
  const Operator& op_;
  const char* namespace_;
};

}  // namespace vmexport::trt

#endif  // VMEXPORT_TENSORRT_PLUGIN_V3_H
