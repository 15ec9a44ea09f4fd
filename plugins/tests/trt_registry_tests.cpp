// Both plugin libraries with a real TensorRT, on a machine with or without a GPU:
//   vmexport_trt_registry_tests <libnvinfer.so.N> <libvmexport_trt_autoreg.so> <libvmexport_trt.so>
// Loading the first plugin library registers its creators; they are found by the key that an ONNX parser uses for our
// nodes, make plugins from fields, and read what these wrote. The second is loaded by the registry itself where it can.
#include <dlfcn.h>

#include <cstdio>
#include <string>

#include "../tensorrt/identity.h"
#include "kernel_cases.h"
#include "trt_cases.h"
#include "trt_host.h"

namespace {

using cases::expect;

#if VMEXPORT_TENSORRT_V3
nvinfer1::IPluginCreatorV3One* find(nvinfer1::IPluginRegistry& registry, const char* name, const char* its_namespace) {
  return static_cast<nvinfer1::IPluginCreatorV3One*>(registry.getCreator(name, "1", its_namespace));
}

void use(nvinfer1::IPluginCreatorV3One& creator, const nvinfer1::PluginFieldCollection& fields, const std::string& op) {
  nvinfer1::IPluginV3* const plugin = creator.createPlugin("a node", &fields, nvinfer1::TensorRTPhase::kBUILD);
  expect(plugin != nullptr, op + ": made from fields");
  if (plugin == nullptr) return;
  auto* const runtime = static_cast<nvinfer1::IPluginV3OneRuntime*>(
      plugin->getCapabilityInterface(nvinfer1::PluginCapabilityType::kRUNTIME));
  nvinfer1::IPluginV3* const again =
      creator.createPlugin("a node", runtime->getFieldsToSerialize(), nvinfer1::TensorRTPhase::kRUNTIME);
  expect(again != nullptr, op + ": read again");
  const nvinfer1::PluginFieldCollection fewer{fields.nbFields - 1, fields.fields};
  expect(creator.createPlugin("a node", &fewer, nvinfer1::TensorRTPhase::kRUNTIME) == nullptr, op + ": a refusal");
  delete again;
  delete plugin;
}
#else
nvinfer1::IPluginCreator* find(nvinfer1::IPluginRegistry& registry, const char* name, const char* its_namespace) {
  return registry.getPluginCreator(name, "1", its_namespace);
}

void use(nvinfer1::IPluginCreator& creator, const nvinfer1::PluginFieldCollection& fields, const std::string& op) {
  auto* const plugin = creator.createPlugin("a node", &fields);
  expect(plugin != nullptr, op + ": made from fields");
  if (plugin == nullptr) return;
  std::string bytes(plugin->getSerializationSize(), '\0');
  plugin->serialize(&bytes[0]);
  auto* const again = creator.deserializePlugin("a node", bytes.data(), bytes.size());
  expect(again != nullptr && std::string(again->getPluginType()) == op, op + ": read again");
  expect(creator.deserializePlugin("a node", bytes.data(), bytes.size() - 1) == nullptr, op + ": a refusal");
  if (again != nullptr) again->destroy();
  plugin->destroy();
}
#endif

void* load(const char* path) {
  void* const handle = dlopen(path, RTLD_LAZY | RTLD_LOCAL);  // as Python's ctypes does
  if (handle == nullptr) std::fprintf(stderr, "%s\n", dlerror());
  expect(handle != nullptr, std::string("loaded ") + path);
  return handle;
}

template <class Function>
Function symbol(void* handle, const char* name) {
  return reinterpret_cast<Function>(handle != nullptr ? dlsym(handle, name) : nullptr);
}

void check_registered(nvinfer1::IPluginRegistry& registry, const std::string& its_namespace) {
  for (const vmexport::trt::PluginIdentity& plugin : vmexport::trt::kIdentities) {
    const std::string op = plugin.name;
    auto* const creator = find(registry, plugin.name, its_namespace.c_str());
    expect(creator != nullptr, op + ": found by (name, \"1\", \"" + its_namespace + "\")");
    expect(who_answers(registry, plugin, its_namespace.c_str()) == vmexport::trt::Answer::kOurs, op + ": ours");
    if (creator == nullptr) continue;
    const trt_cases::Fields fields(op, cases::kCases[4]);
    use(*creator, fields.collection(), op);
  }
}

// The entry points that the registry calls, and the registry where it does: TensorRT 8.6 loads no library on a machine
// without a GPU.
void check_loaded_by_registry(nvinfer1::IPluginRegistry& registry, const char* path) {
  void* const library = load(path);
#if VMEXPORT_TENSORRT_V3
  using Interface = nvinfer1::IPluginCreatorInterface;
  constexpr char kEntry[] = "getCreators";
#else
  using Interface = nvinfer1::IPluginCreator;
  constexpr char kEntry[] = "getPluginCreators";
#endif
  const auto creators = symbol<Interface* const* (*)(int32_t&)>(library, kEntry);
  int32_t count = 0;
  expect(creators != nullptr && creators(count) != nullptr && count == 2, "two creators in libvmexport_trt.so");
#if VMEXPORT_TENSORRT_LOGGER_FINDER
  expect(symbol<void*>(library, "setLoggerFinder") != nullptr, "setLoggerFinder");
  void* const handle = registry.loadLibrary(path);
  std::printf("loadLibrary: %s\n", handle != nullptr ? "done" : "refused, as without a GPU");
  if (handle == nullptr) return;
  check_registered(registry, "vmexport");
  registry.deregisterLibrary(handle);
  expect(find(registry, "SelectiveScan", "vmexport") == nullptr, "gone with its library");
#else
  (void)registry;
#endif
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 4) {
    std::fprintf(stderr, "usage: %s libnvinfer.so.%d libvmexport_trt_autoreg.so libvmexport_trt.so\n", arguments[0],
                 NV_TENSORRT_MAJOR);
    return 2;
  }
  void* const host = load(arguments[1]);
  const auto registry_of = symbol<nvinfer1::IPluginRegistry* (*)()>(host, "getPluginRegistry");
  expect(registry_of != nullptr, "getPluginRegistry");
  if (registry_of == nullptr) return 1;
  nvinfer1::IPluginRegistry& registry = *registry_of();

  check_loaded_by_registry(registry, arguments[3]);
  void* const plugins = load(arguments[2]);
  const auto problem = symbol<const char* (*)()>(plugins, "vmexport_trt_problem");
  expect(problem != nullptr && problem() == nullptr, "registered");
  check_registered(registry, "vmexport");
  expect(find(registry, "SelectiveScan", "") == nullptr, "the name that others use is left to them");
  const auto serve_old_files = symbol<const char* (*)()>(plugins, "vmexport_trt_serve_old_files");
  expect(serve_old_files != nullptr && serve_old_files() == nullptr, "old files are served where that is asked for");
  check_registered(registry, "");
  if (cases::failures() == 0) std::printf("all registry tests passed, headers of %d\n", NV_TENSORRT_MAJOR);
  return cases::failures() != 0;
}
