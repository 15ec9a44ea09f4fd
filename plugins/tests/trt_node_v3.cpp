#include <algorithm>

#include "../tensorrt/bytes.h"
#include "../tensorrt/creators.h"
#include "trt_node.h"

namespace trt_host {
namespace {

using nvinfer1::PluginCapabilityType;

const vmexport::trt::Operator& operator_of(const std::string& name) {
  return name == vmexport::trt::kCausalConv1d.name ? vmexport::trt::kCausalConv1d : vmexport::trt::kSelectiveScan;
}

// Fields as an engine keeps them: each value in memory of its own, of exactly its size.
class Stored {
 public:
  explicit Stored(const nvinfer1::PluginFieldCollection& fields) {
    for (int32_t i = 0; i < fields.nbFields; ++i) {
      const nvinfer1::PluginField& field = fields.fields[i];
      const auto* const first = static_cast<const unsigned char*>(field.data);
      const size_t size = 4 * static_cast<size_t>(field.length);  // 32 bits each: check_written_fields
      values_.emplace_back(new unsigned char[size]);
      std::copy(first, first + size, values_.back().get());
      names_.emplace_back(field.name);
      list_.push_back(field);
      list_.back().data = values_.back().get();
    }
    for (size_t i = 0; i < list_.size(); ++i) list_[i].name = names_[i].c_str();
  }
  nvinfer1::PluginFieldCollection collection() const { return {static_cast<int32_t>(list_.size()), list_.data()}; }

 private:
  std::vector<std::unique_ptr<unsigned char[]>> values_;
  std::vector<std::string> names_;
  std::vector<nvinfer1::PluginField> list_;
};

class NodeV3 final : public Node {
 public:
  explicit NodeV3(nvinfer1::IPluginV3* plugin)
      : plugin_(plugin),
        core_(capability<nvinfer1::IPluginV3OneCore>(PluginCapabilityType::kCORE)),
        build_(capability<nvinfer1::IPluginV3OneBuild>(PluginCapabilityType::kBUILD)),
        run_(capability<nvinfer1::IPluginV3OneRuntime>(PluginCapabilityType::kRUNTIME)) {}

  bool types(const std::vector<nvinfer1::DataType>& inputs, nvinfer1::DataType* output) override {
    return build_->getOutputDataTypes(output, build_->getNbOutputs(), inputs.data(), count(inputs)) == 0;
  }
  bool shape(const std::vector<nvinfer1::DimsExprs>& inputs, nvinfer1::IExprBuilder& builder,
             nvinfer1::DimsExprs* output) override {
    return build_->getOutputShapes(inputs.data(), count(inputs), nullptr, 0, output, build_->getNbOutputs(), builder) ==
           0;
  }
  bool supports(int32_t pos, const Descriptions& tensors, int32_t inputs, int32_t outputs) override {
    Ranges ranges(tensors.size());
    for (size_t i = 0; i < tensors.size(); ++i) ranges[i].desc = tensors[i];
    return build_->supportsFormatCombination(pos, ranges.data(), inputs, outputs);
  }
  bool configure(const Ranges& inputs, const Ranges& outputs) override {
    return build_->configurePlugin(inputs.data(), count(inputs), outputs.data(), count(outputs)) == 0;
  }
  size_t workspace(const Ranges& inputs, const Ranges& outputs) override {
    return build_->getWorkspaceSize(inputs.data(), count(inputs), outputs.data(), count(outputs));
  }
  std::vector<unsigned char> bytes() override {
    using namespace vmexport::trt;
    const Operator& op = operator_of(core_->getPluginName());
    Attributes attributes;
    Message message;
    if (!read_fields(op, run_->getFieldsToSerialize(), &attributes, &message)) return {};
    std::vector<unsigned char> bytes(bytes_size(attributes));
    write_bytes(op, attributes, bytes.data());
    return bytes;
  }
  const nvinfer1::PluginFieldCollection* fields() override { return run_->getFieldsToSerialize(); }
  std::unique_ptr<Node> reload() override {
    const Stored stored(*fields());
    const auto fields = stored.collection();
    return load(core_->getPluginName(), &fields);
  }
  std::unique_ptr<Node> clone() override { return wrap(plugin_->clone()); }
  std::unique_ptr<Node> attach() override { return wrap(run_->attachToContext(nullptr)); }
  // The shapes are announced before they are used.
  bool enqueue(const Descriptions& inputs, const Descriptions& output, const void* const* data, void* const* result,
               void* stream) override {
    if (run_->onShapeChange(inputs.data(), count(inputs), output.data(), count(output)) != 0) return false;
    return run_->enqueue(inputs.data(), output.data(), data, result, nullptr, static_cast<cudaStream_t>(stream)) == 0;
  }
  std::string its_namespace() override { return core_->getPluginNamespace(); }
  std::string identity() override { return build_->getTimingCacheID(); }

  static std::unique_ptr<Node> wrap(nvinfer1::IPluginV3* plugin) {
    return plugin != nullptr ? std::make_unique<NodeV3>(plugin) : nullptr;
  }

 private:
  template <class T>
  static int32_t count(const std::vector<T>& list) {
    return static_cast<int32_t>(list.size());
  }
  template <class T>
  T* capability(PluginCapabilityType type) {
    return static_cast<T*>(plugin_->getCapabilityInterface(type));
  }

  std::unique_ptr<nvinfer1::IPluginV3> plugin_;
  nvinfer1::IPluginV3OneCore* core_;
  nvinfer1::IPluginV3OneBuild* build_;
  nvinfer1::IPluginV3OneRuntime* run_;
};

nvinfer1::IPluginCreatorV3One* creator_of(const std::string& op) {
  const vmexport::trt::Creators all = vmexport::trt::creators();
  for (int32_t i = 0; i < all.count; ++i) {
    auto* const creator = static_cast<nvinfer1::IPluginCreatorV3One*>(all.list[i]);
    if (op == creator->getPluginName()) return creator;
  }
  return nullptr;
}

}  // namespace

std::vector<std::string> operators() {
  std::vector<std::string> names;
  const vmexport::trt::Creators all = vmexport::trt::creators();
  for (int32_t i = 0; i < all.count; ++i) {
    names.emplace_back(static_cast<nvinfer1::IPluginCreatorV3One*>(all.list[i])->getPluginName());
  }
  return names;
}

std::string version_of(const std::string& op) { return creator_of(op)->getPluginVersion(); }
std::string namespace_of(const std::string& op) { return creator_of(op)->getPluginNamespace(); }
const nvinfer1::PluginFieldCollection* fields_of(const std::string& op) { return creator_of(op)->getFieldNames(); }

std::unique_ptr<Node> create(const std::string& op, const nvinfer1::PluginFieldCollection* fields) {
  return NodeV3::wrap(creator_of(op)->createPlugin("a node", fields, nvinfer1::TensorRTPhase::kBUILD));
}

std::unique_ptr<Node> load(const std::string& op, const nvinfer1::PluginFieldCollection* fields) {
  return NodeV3::wrap(creator_of(op)->createPlugin("a node", fields, nvinfer1::TensorRTPhase::kRUNTIME));
}

std::unique_ptr<Node> restore(const std::string& op, const void* bytes, size_t size) {
  const nvinfer1::PluginField field("vmexport_state", bytes, nvinfer1::PluginFieldType::kINT8,
                                    static_cast<int32_t>(size));
  const nvinfer1::PluginFieldCollection fields{1, &field};
  return load(op, &fields);
}

}  // namespace trt_host
