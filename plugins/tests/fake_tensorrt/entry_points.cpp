// What libnvinfer exports.
#include <dlfcn.h>
#include <string.h>

#include <initializer_list>

#include "inference.h"

namespace {

#if NV_TENSORRT_MAJOR >= 10
using Interface = nvinfer1::IPluginCreatorInterface;
using Base = nvinfer1::StubIPluginCreatorV3One;
#else
using Interface = nvinfer1::IPluginCreator;
using Base = nvinfer1::StubIPluginCreator;
#endif

// Says what attributes it takes, and makes nothing.
class Creator : public Base {
 public:
  explicit Creator(std::initializer_list<const char*> names) {
    for (const char* name : names) list_.emplace_back(name);
    fields_ = {static_cast<int32_t>(list_.size()), list_.data()};
  }
  nvinfer1::PluginFieldCollection const* getFieldNames() noexcept override { return &fields_; }

 private:
  std::vector<nvinfer1::PluginField> list_;
  nvinfer1::PluginFieldCollection fields_{};
};

class Registry : public nvinfer1::StubIPluginRegistry {
 public:
#if NV_TENSORRT_MAJOR >= 10
  Interface* getCreator(char const* name, char const* version, char const* space) noexcept override{
#else
  Interface* getPluginCreator(char const* name, char const* version, char const* space) noexcept override {
#endif
      static Creator scan({"directions", "tokens_per_frame", "class_token", "scale"});
  static Creator convolution({"directions", "tokens_per_frame", "class_token"});
  static Creator others({"delta_softplus"});
  const std::string key = std::string(space) + "::" + name;
  if (version[0] != '1') return nullptr;
  if (key == fake::scenario().foreign) return &others;
  if (fake::record().plugins.count(key) == 0) return nullptr;
  return strcmp(name, "SelectiveScan") == 0 ? &scan : &convolution;
}
#if NV_TENSORRT_MAJOR > 8 || NV_TENSORRT_MINOR >= 6
PluginLibraryHandle loadLibrary(char const* path) noexcept override {
  if (fake::fails("loadLibrary")) return nullptr;
  fake::record().plugins.insert({"vmexport::SelectiveScan", "vmexport::CausalConv1d"});
  return dlopen(path, RTLD_LAZY);
}
#endif
};  // namespace

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

int32_t getInferLibVersion() noexcept {
  return fake::fails("oldLibrary") ? NV_TENSORRT_VERSION - 100 : NV_TENSORRT_VERSION;
}

nvinfer1::IPluginRegistry* getPluginRegistry() noexcept {
  static Registry registry;
  return &registry;
}

void* createInferRuntime_INTERNAL(void* logger, int32_t version) noexcept {
  if (version != NV_TENSORRT_VERSION) fake::unexpected("another version");
  auto* log = static_cast<nvinfer1::ILogger*>(logger);
  if (fake::fails("createInferRuntime")) return fake::say(log, fake::scenario().says), nullptr;
  return fake::create_runtime(log);
}

void* createInferBuilder_INTERNAL(void* logger, int32_t version) noexcept {
  if (version != NV_TENSORRT_VERSION) fake::unexpected("another version");
  auto* log = static_cast<nvinfer1::ILogger*>(logger);
  if (fake::fails("createInferBuilder")) return fake::say(log, fake::scenario().says), nullptr;
  return fake::create_builder(log);
}

}  // extern "C"
#pragma GCC visibility pop
