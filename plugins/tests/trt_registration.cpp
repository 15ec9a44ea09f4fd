#include "trt_registration.h"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "../tensorrt/exports.h"
#include "../tensorrt/registration.h"
#include "registry_stubs.h"
#include "trt_cases.h"

namespace trt_registration {
namespace {

using cases::expect;
using vmexport::trt::Answer;
using vmexport::trt::kIdentities;

#if VMEXPORT_TENSORRT_V3
using Interface = nvinfer1::IPluginCreatorInterface;
using Base = nvinfer1::IPluginCreatorV3One;
#else
using Interface = nvinfer1::IPluginCreator;
using Base = nvinfer1::IPluginCreator;
#endif

// Another library's SelectiveScan, with attributes of its own.
class Foreign final : public Base {
 public:
  explicit Foreign(int32_t fields) : fields_{fields, list_} {}

  const char* getPluginName() const noexcept override { return "SelectiveScan"; }
  const char* getPluginVersion() const noexcept override { return "1"; }
  const char* getPluginNamespace() const noexcept override { return ""; }
  const nvinfer1::PluginFieldCollection* getFieldNames() noexcept override { return &fields_; }
#if VMEXPORT_TENSORRT_V3
  nvinfer1::IPluginV3* createPlugin(const char*, const nvinfer1::PluginFieldCollection*,
                                    nvinfer1::TensorRTPhase) noexcept override {
    return nullptr;
  }
#else
  nvinfer1::IPluginV2* createPlugin(const char*, const nvinfer1::PluginFieldCollection*) noexcept override {
    return nullptr;
  }
  nvinfer1::IPluginV2* deserializePlugin(const char*, const void*, size_t) noexcept override { return nullptr; }
  void setPluginNamespace(const char*) noexcept override {}
#endif

 private:
  static constexpr auto kKind = nvinfer1::PluginFieldType::kINT32;
  const nvinfer1::PluginField list_[4] = {{"delta_softplus", nullptr, kKind, 1},
                                          {"tokens_per_frame", nullptr, kKind, 1},
                                          {"class_token", nullptr, kKind, 1},
                                          {"scale", nullptr, kKind, 1}};
  nvinfer1::PluginFieldCollection fields_;
};

// Keeps creators by name and namespace, one each, as TensorRT does.
class Registry final : public nvinfer1::StubIPluginRegistry {
 public:
  using nvinfer1::StubIPluginRegistry::registerCreator;
  bool registerCreator(Interface& creator, char const* its_namespace) noexcept override {
    return creators.emplace(key(named(creator).getPluginName(), its_namespace), &creator).second;
  }
#if VMEXPORT_TENSORRT_V3
  Interface* getCreator(char const* name, char const* version, char const* its_namespace) noexcept override {
#else
  Interface* getPluginCreator(char const* name, char const* version, char const* its_namespace) noexcept override {
#endif
    const auto found = creators.find(key(name, its_namespace));
    return found == creators.end() || std::string(version) != "1" ? nullptr : found->second;
  }

  static Base& named(Interface& creator) { return static_cast<Base&>(creator); }
  static std::string key(const std::string& name, const std::string& its_namespace) {
    return its_namespace + "::" + name;
  }
  std::map<std::string, Interface*> creators;
};

Registry* process_registry = nullptr;

std::string keys(const Registry& registry) {
  std::string text;
  for (const auto& entry : registry.creators) text += entry.first + " ";
  return text;
}

std::string registered(const vmexport::trt::Creators& creators) {
  vmexport::trt::Message problem;
  return vmexport::trt::register_creators(creators, vmexport::trt::Load::kNever, &problem) ? "" : problem.text;
}

constexpr char kOurs[] = "vmexport::CausalConv1d vmexport::SelectiveScan ";

void check_alone() {
  Registry registry;
  process_registry = &registry;
  expect(registered(vmexport::trt::creators()).empty() && keys(registry) == kOurs, "registered: " + keys(registry));
  expect(registered(vmexport::trt::creators()).empty(), "a second library of vmexport is no harm");
  for (const auto& plugin : kIdentities) {
    expect(who_answers(registry, plugin, "vmexport") == Answer::kOurs, std::string(plugin.name) + ": ours");
    expect(who_answers(registry, plugin, "") == Answer::kNobody,
           std::string(plugin.name) + ": nobody in the old place");
  }
  expect(vmexport_trt_serve_old_files() == nullptr, "old files are served where that is asked for");
  expect(keys(registry) == std::string("::CausalConv1d ::SelectiveScan ") + kOurs, "under both names");
  expect(vmexport_trt_serve_old_files() == nullptr, "twice is no harm");
  process_registry = nullptr;
  const char* const problem = vmexport_trt_serve_old_files();
  expect(problem != nullptr && std::string(problem).find("no plugin registry") != std::string::npos, "no registry");
}

// What an old creator makes is looked up by the old name again, and reads what it wrote.
void check_old() {
  const trt_cases::Fields given("SelectiveScan", cases::kCases[4]);
  const auto fields = given.collection();
  auto& creator = Registry::named(*vmexport::trt::old_creators().list[0]);
#if VMEXPORT_TENSORRT_V3
  auto* const plugin = creator.createPlugin("a node", &fields, nvinfer1::TensorRTPhase::kBUILD);
  auto* const core =
      static_cast<nvinfer1::IPluginV3OneCore*>(plugin->getCapabilityInterface(nvinfer1::PluginCapabilityType::kCORE));
  expect(std::string(core->getPluginNamespace()).empty(), "an old plugin has no namespace");
  nvinfer1::IPluginV3* const copy = plugin->clone();
  auto* const copied =
      static_cast<nvinfer1::IPluginV3OneCore*>(copy->getCapabilityInterface(nvinfer1::PluginCapabilityType::kCORE));
  expect(std::string(copied->getPluginNamespace()).empty(), "nor has its copy");
  auto* const runtime = static_cast<nvinfer1::IPluginV3OneRuntime*>(
      plugin->getCapabilityInterface(nvinfer1::PluginCapabilityType::kRUNTIME));
  auto* const again =
      creator.createPlugin("a node", runtime->getFieldsToSerialize(), nvinfer1::TensorRTPhase::kRUNTIME);
  expect(again != nullptr, "an old engine is read");
  delete again;
  delete copy;
  delete plugin;
#else
  auto* const plugin = creator.createPlugin("a node", &fields);
  expect(std::string(plugin->getPluginNamespace()).empty(), "an old plugin has no namespace");
  std::string bytes(plugin->getSerializationSize(), '\0');
  plugin->serialize(&bytes[0]);
  auto* const again = creator.deserializePlugin("a node", bytes.data(), bytes.size());
  expect(again != nullptr, "an old engine is read");
  if (again != nullptr) again->destroy();
  plugin->destroy();
#endif
}

void check_foreign() {
  for (const int32_t fields : {4, 3, 0}) {
    Registry registry;
    process_registry = &registry;
    Foreign foreign(fields);
    registry.registerCreator(foreign, "");
    expect(registered(vmexport::trt::creators()).empty(), "beside another library's SelectiveScan");
    expect(who_answers(registry, kIdentities[0], "vmexport") == Answer::kOurs, "ours is found");
    expect(who_answers(registry, kIdentities[0], "") == Answer::kForeign, "theirs is told from ours");
    const char* const problem = vmexport_trt_serve_old_files();
    expect(problem != nullptr &&
               std::string(problem).find("another library answers to SelectiveScan (version 1, namespace \"\")") !=
                   std::string::npos,
           std::string("no old files beside it: ") + (problem != nullptr ? problem : "nothing said"));

    Registry taken;
    process_registry = &taken;
    taken.registerCreator(foreign, "vmexport");
    expect(registered(vmexport::trt::creators()).find("namespace \"vmexport\"") != std::string::npos, "our own place");
  }
#if VMEXPORT_TENSORRT_V3
  // A creator of another kind has its fields elsewhere, so that they must not be asked for.
  class Old final : public Interface {
   public:
    nvinfer1::InterfaceInfo getInterfaceInfo() const noexcept override { return {"PLUGIN CREATOR_V1", 1, 0}; }
#if NV_TENSORRT_MAJOR > 10 || NV_TENSORRT_MINOR >= 1
    nvinfer1::APILanguage getAPILanguage() const noexcept override { return nvinfer1::APILanguage::kCPP; }
#endif
  } old;
  Registry registry;
  registry.creators[Registry::key("SelectiveScan", "")] = &old;
  expect(who_answers(registry, kIdentities[0], "") == Answer::kForeign, "a creator of another kind");
#endif
}

}  // namespace

void check() {
  check_alone();
  check_old();
  check_foreign();
  process_registry = nullptr;
}

}  // namespace trt_registration

void fake::unexpected(const char* function) {
  std::fprintf(stderr, "the plugins should not call %s\n", function);
  std::abort();
}

extern "C" __attribute__((visibility("default"))) nvinfer1::IPluginRegistry* getPluginRegistry() noexcept {
  return trt_registration::process_registry;
}
