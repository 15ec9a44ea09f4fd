// What libnvinfer exports.
#include <dlfcn.h>

#include "inference.h"

namespace {

// Knows plugins by name only: nothing here calls one.
class Registry : public nvinfer1::StubIPluginRegistry {
 public:
#if NV_TENSORRT_MAJOR >= 10
  using Creator = nvinfer1::IPluginCreatorInterface*;
  Creator getCreator(char const* name, char const* version, char const* space) noexcept override {
#else
  using Creator = nvinfer1::IPluginCreator*;
  Creator getPluginCreator(char const* name, char const* version, char const* space) noexcept override {
#endif
    static int something;
    const bool known = fake::record().plugins.count(name) != 0 && version[0] == '1' && space[0] == '\0';
    return known ? reinterpret_cast<Creator>(&something) : nullptr;
  }
#if NV_TENSORRT_MAJOR > 8 || NV_TENSORRT_MINOR >= 6
  PluginLibraryHandle loadLibrary(char const* path) noexcept override {
    if (fake::fails("loadLibrary")) return nullptr;
    fake::record().plugins = {"SelectiveScan", "CausalConv1d"};
    return dlopen(path, RTLD_LAZY);
  }
#endif
};

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
