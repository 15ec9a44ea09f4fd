// What the plugins are called in TensorRT's registry, and whether what answers to such a name is one of them. Shared by
// the plugin libraries and vmexport-run.
#ifndef VMEXPORT_TENSORRT_IDENTITY_H
#define VMEXPORT_TENSORRT_IDENTITY_H

#include <NvInferRuntime.h>
#include <NvInferVersion.h>

#include <cstring>

// IPluginV3 where there is one; IPluginV2DynamicExt, deprecated since then, where there is none.
#define VMEXPORT_TENSORRT_V3 (NV_TENSORRT_MAJOR >= 10)

namespace vmexport::trt {

// The registry key is (op_type, "1", "vmexport"). Every ONNX parser from TensorRT 8.5 to 11, and TensorRT-RTX's, looks
// up what the node's attributes plugin_version and plugin_namespace say; `vmexport onnx` writes the second. Other
// people's libraries register a SelectiveScan of version 1 too, with other inputs, in the namespace of whoever names
// none: "". There a process has room for one of them, and the first that comes is taken.
constexpr const char* kPluginVersion = "1";
constexpr const char* kPluginNamespace = "vmexport";
// Files and engines of vmexport before it had a namespace; served where one is asked for (old_files.h).
constexpr const char* kOldNamespace = "";

struct PluginIdentity {
  const char* name;
  int32_t fields;  // the first of kFieldNames
};
constexpr const char* kFieldNames[] = {"directions", "tokens_per_frame", "class_token", "scale"};
constexpr PluginIdentity kIdentities[] = {{"SelectiveScan", 4}, {"CausalConv1d", 3}};

enum class Answer { kNobody, kOurs, kForeign };

// A creator of ours, of whatever version, declares these fields in this order.
inline bool declares(const PluginIdentity& plugin, const nvinfer1::PluginFieldCollection* fields) noexcept {
  if (fields == nullptr || fields->nbFields != plugin.fields || fields->fields == nullptr) return false;
  for (int32_t i = 0; i < plugin.fields; ++i) {
    const char* const name = fields->fields[i].name;
    if (name == nullptr || std::strcmp(name, kFieldNames[i]) != 0) return false;
  }
  return true;
}

// Who answers in a registry for a plugin of this name and namespace. TensorRT before 10 logs an error for nobody.
inline Answer who_answers(nvinfer1::IPluginRegistry& registry, const PluginIdentity& plugin,
                          const char* its_namespace) noexcept {
#if VMEXPORT_TENSORRT_V3
  auto* const found = registry.getCreator(plugin.name, kPluginVersion, its_namespace);
  if (found == nullptr) return Answer::kNobody;
  const char* const kind = found->getInterfaceInfo().kind;
  if (kind == nullptr || std::strcmp(kind, "PLUGIN CREATOR_V3ONE") != 0) return Answer::kForeign;
  auto* const creator = static_cast<nvinfer1::IPluginCreatorV3One*>(found);
#else
  auto* const creator = registry.getPluginCreator(plugin.name, kPluginVersion, its_namespace);
  if (creator == nullptr) return Answer::kNobody;
#endif
  return declares(plugin, creator->getFieldNames()) ? Answer::kOurs : Answer::kForeign;
}

}  // namespace vmexport::trt

#endif  // VMEXPORT_TENSORRT_IDENTITY_H
