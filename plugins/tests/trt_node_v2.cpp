#include "../tensorrt/creators.h"
#include "trt_node.h"

namespace trt_host {
namespace {

struct Destroy {
  void operator()(nvinfer1::IPluginV2DynamicExt* plugin) const { plugin->destroy(); }
};

class NodeV2 final : public Node {
 public:
  explicit NodeV2(nvinfer1::IPluginV2DynamicExt* plugin) : plugin_(plugin) {}

  bool types(const std::vector<nvinfer1::DataType>& inputs, nvinfer1::DataType* output) override {
    *output = plugin_->getOutputDataType(0, inputs.data(), count(inputs));
    return true;  // this interface cannot refuse here
  }
  bool shape(const std::vector<nvinfer1::DimsExprs>& inputs, nvinfer1::IExprBuilder& builder,
             nvinfer1::DimsExprs* output) override {
    *output = plugin_->getOutputDimensions(0, inputs.data(), count(inputs), builder);
    return output->nbDims >= 0;
  }
  bool supports(int32_t pos, const Descriptions& tensors, int32_t inputs, int32_t outputs) override {
    return plugin_->supportsFormatCombination(pos, tensors.data(), inputs, outputs);
  }
  bool configure(const Ranges& inputs, const Ranges& outputs) override {
    plugin_->configurePlugin(inputs.data(), count(inputs), outputs.data(), count(outputs));
    return plugin_->initialize() == 0;
  }
  size_t workspace(const Ranges& inputs, const Ranges& outputs) override {
    Descriptions in, out;
    for (const auto& range : inputs) in.push_back(range.desc);
    for (const auto& range : outputs) out.push_back(range.desc);
    return plugin_->getWorkspaceSize(in.data(), count(in), out.data(), count(out));
  }
  std::vector<unsigned char> bytes() override {
    std::vector<unsigned char> bytes(plugin_->getSerializationSize());
    plugin_->serialize(bytes.data());
    return bytes;
  }
  std::unique_ptr<Node> reload() override {
    const std::vector<unsigned char> written = bytes();
    return restore(plugin_->getPluginType(), written.data(), written.size());
  }
  std::unique_ptr<Node> clone() override { return wrap(plugin_->clone()); }
  std::unique_ptr<Node> attach() override {
    plugin_->attachToContext(nullptr, nullptr, nullptr);
    plugin_->detachFromContext();
    plugin_->terminate();
    return clone();
  }
  bool enqueue(const Descriptions& inputs, const Descriptions& output, const void* const* data, void* const* result,
               void* stream) override {
    return plugin_->enqueue(inputs.data(), output.data(), data, result, nullptr, static_cast<cudaStream_t>(stream)) ==
           0;
  }
  std::string its_namespace() override { return plugin_->getPluginNamespace(); }
  std::string identity() override { return {}; }

  static std::unique_ptr<Node> wrap(nvinfer1::IPluginV2DynamicExt* plugin) {
    return plugin != nullptr ? std::make_unique<NodeV2>(plugin) : nullptr;
  }

 private:
  template <class T>
  static int32_t count(const std::vector<T>& list) {
    return static_cast<int32_t>(list.size());
  }

  std::unique_ptr<nvinfer1::IPluginV2DynamicExt, Destroy> plugin_;
};

nvinfer1::IPluginCreator* creator_of(const std::string& op) {
  const vmexport::trt::Creators all = vmexport::trt::creators();
  for (int32_t i = 0; i < all.count; ++i) {
    if (op == all.list[i]->getPluginName()) return all.list[i];
  }
  return nullptr;
}

}  // namespace

std::vector<std::string> operators() {
  std::vector<std::string> names;
  const vmexport::trt::Creators all = vmexport::trt::creators();
  for (int32_t i = 0; i < all.count; ++i) names.emplace_back(all.list[i]->getPluginName());
  return names;
}

std::string version_of(const std::string& op) { return creator_of(op)->getPluginVersion(); }
std::string namespace_of(const std::string& op) { return creator_of(op)->getPluginNamespace(); }
const nvinfer1::PluginFieldCollection* fields_of(const std::string& op) { return creator_of(op)->getFieldNames(); }

std::unique_ptr<Node> create(const std::string& op, const nvinfer1::PluginFieldCollection* fields) {
  return NodeV2::wrap(static_cast<nvinfer1::IPluginV2DynamicExt*>(creator_of(op)->createPlugin("a node", fields)));
}

std::unique_ptr<Node> restore(const std::string& op, const void* bytes, size_t size) {
  return NodeV2::wrap(
      static_cast<nvinfer1::IPluginV2DynamicExt*>(creator_of(op)->deserializePlugin("a node", bytes, size)));
}

}  // namespace trt_host
