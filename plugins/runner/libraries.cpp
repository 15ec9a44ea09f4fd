#include "libraries.h"

#include <dlfcn.h>
#include <sys/stat.h>

#include "../tensorrt/identity.h"
#include "error.h"
#include "files.h"

namespace vmexport::runner {
namespace {

// TensorRT-RTX 1.7 has TensorRT 11's interface as far as this program uses it: tested with its library. Others may not.
constexpr int kRtxHeaderMajor = 11, kRtxMajor = 1, kRtxMinor = 7;

template <class Function>
Function* find_function(void* library, const char* name) {
  void* found = dlsym(library, name);
  if (found == nullptr)
    throw Error(Exit::kEnvironment, "a library of TensorRT is not what its name says", dlerror(),
                "install TensorRT again");
  return reinterpret_cast<Function*>(found);
}

std::string why_missing(Log& log) {
  const std::string said = log.take_errors();
  return said.empty() ? "TensorRT gave no reason; --verbose shows all that it says" : said;
}

// What our own library says of its registration that failed, else what a missing plugin means.
std::string why_unregistered(void* library, const std::string& runtime) {
  void* problem = dlsym(library, "vmexport_trt_problem");
  const char* said = problem != nullptr ? reinterpret_cast<const char* (*)()>(problem)() : nullptr;
  return said != nullptr ? said : "it is another library, or was built for another TensorRT than " + runtime;
}

// Throws where nobody, or another library's plugin, answers to the names of ours.
void require_plugins(nvinfer1::IPluginRegistry& registry, const std::string& path, const char* its_namespace,
                     const std::string& why, const std::string& fix) {
  for (const trt::PluginIdentity& plugin : trt::kIdentities) {
    switch (who_answers(registry, plugin, its_namespace)) {
      case trt::Answer::kOurs: break;
      case trt::Answer::kNobody:
        throw Error(Exit::kEnvironment, path + " registers no plugin " + plugin.name, why, fix);
      case trt::Answer::kForeign:
        throw Error(Exit::kEnvironment, "another library's plugin answers to " + std::string(plugin.name),
                    "it is registered as version 1 in the namespace \"" + std::string(its_namespace) +
                        "\" and takes other attributes",
                    "keep that library out of this process (look at LD_PRELOAD)");
    }
  }
}

// Has the plugins answer to their old names too.
void serve_old_files(void* library, const std::string& path, const std::string& fix) {
  void* serve = dlsym(library, "vmexport_trt_serve_old_files");
  const char* why = "it cannot register them under the names that this file uses, from before they had a namespace";
  if (serve != nullptr) why = reinterpret_cast<const char* (*)()>(serve)();
  if (why != nullptr) throw Error(Exit::kEnvironment, path + " serves no old files", why, fix);
}

std::string install_hint(bool rtx) {
  const std::string major = std::to_string(NV_TENSORRT_MAJOR);
  if (rtx) return "pip install tensorrt-rtx, and give its folder: --lib-dir .../site-packages/tensorrt_rtx_libs";
  return "install TensorRT " + major +
         " (Jetson: sudo apt install nvidia-tensorrt; elsewhere: pip install 'tensorrt==" + major +
         ".*' and --lib-dir .../site-packages/tensorrt_libs), or build vmexport-run with the headers of the TensorRT "
         "that is here";
}

#if VMEXPORT_RUNNER_HAS_PARSER
// For a plugin's node the parser of TensorRT-RTX 1.7 opens the library by this name, and ends the process where there
// is none.
void require_short_name() {
  if (dlopen("libtensorrt_rtx.so", RTLD_LAZY) != nullptr) return;
  throw Error(Exit::kEnvironment, "the parser of TensorRT-RTX would not find libtensorrt_rtx.so", dlerror(),
              "mkdir lib; ln -s /path/to/libtensorrt_rtx.so.1 lib/libtensorrt_rtx.so; "
              "LD_LIBRARY_PATH=$PWD/lib vmexport-run ...");
}
#endif

bool older(const TrtVersion& a, const TrtVersion& b) {
  return a.major != b.major ? a.major < b.major : a.minor < b.minor;
}

void check_version(bool rtx, const TrtVersion& found) {
  if (rtx) {
    if (NV_TENSORRT_MAJOR != kRtxHeaderMajor || found.major != kRtxMajor || found.minor != kRtxMinor)
      throw Error(Exit::kEnvironment, "this vmexport-run cannot use TensorRT-RTX " + version_text(found),
                  "it was built with the headers of TensorRT " + version_text(header_version()) +
                      "; TensorRT-RTX 1.7 through those of TensorRT 11 is what was tested",
                  "use the Python package: vmexport trt --runtime rtx");
    return;
  }
  if (found.major != NV_TENSORRT_MAJOR || older(found, header_version()))
    throw Error(Exit::kEnvironment, "this TensorRT does not fit this vmexport-run",
                "the library is " + version_text(found) + ", the headers that it was built with are " +
                    version_text(header_version()),
                "build vmexport-run again with the headers of TensorRT " + version_text(found));
}

}  // namespace

Libraries::Libraries(const Options& options)
    : rtx_(options.rtx), plugins_(!options.plugin.empty()), folder_(options.library_folder) {
  const std::string name = rtx_ ? "libtensorrt_rtx.so.1" : "libnvinfer.so." + std::to_string(NV_TENSORRT_MAJOR);
  // Global: a plugin library that registers itself looks getPluginRegistry up in the process.
  inference_ = open(name, true);
  version_number_ = find_function<int32_t() noexcept>(inference_, "getInferLibVersion")();
  version_ = decode_version(version_number_);
  check_version(rtx_, version_);
}

std::string Libraries::name() const { return (rtx_ ? "TensorRT-RTX " : "TensorRT ") + version_text(version_); }

void* Libraries::open(const std::string& name, bool global) const {
  const std::string path = folder_.empty() ? name : folder_ + "/" + name;
  if (!folder_.empty()) {
    struct stat status;
    if (::stat(path.c_str(), &status) != 0)
      throw Error(Exit::kEnvironment, "no " + name + " in " + folder_, "--lib-dir names that folder",
                  install_hint(rtx_));
    require_trusted_library(path);
  }
  void* library = dlopen(path.c_str(), RTLD_NOW | (global ? RTLD_GLOBAL : RTLD_LOCAL));
  if (library == nullptr) throw Error(Exit::kEnvironment, "could not load " + name, dlerror(), install_hint(rtx_));
  return library;
}

std::unique_ptr<nvinfer1::IBuilder> Libraries::create_builder(Log& log) const {
  auto* create = find_function<void*(void*, int32_t) noexcept>(inference_, "createInferBuilder_INTERNAL");
  std::unique_ptr<nvinfer1::IBuilder> builder(
      static_cast<nvinfer1::IBuilder*>(create(&log, rtx_ ? version_number_ : NV_TENSORRT_VERSION)));
  if (!builder) throw Error(Exit::kEnvironment, name() + " gives no builder", why_missing(log));
  return builder;
}

std::unique_ptr<nvinfer1::IRuntime> Libraries::create_runtime(Log& log) const {
  auto* create = find_function<void*(void*, int32_t) noexcept>(inference_, "createInferRuntime_INTERNAL");
  std::unique_ptr<nvinfer1::IRuntime> runtime(
      static_cast<nvinfer1::IRuntime*>(create(&log, rtx_ ? version_number_ : NV_TENSORRT_VERSION)));
  if (!runtime) throw Error(Exit::kEnvironment, name() + " gives no runtime", why_missing(log));
  return runtime;
}

#if VMEXPORT_RUNNER_HAS_PARSER
std::unique_ptr<nvonnxparser::IParser> Libraries::create_parser(nvinfer1::INetworkDefinition& network, Log& log) const {
  if (rtx_ && plugins_) require_short_name();
  void* library =
      open(rtx_ ? "libtensorrt_onnxparser_rtx.so.1" : "libnvonnxparser.so." + std::to_string(NV_TENSORRT_MAJOR), false);
  auto* create = find_function<void*(void*, void*, int)>(library, "createNvOnnxParser_INTERNAL");
  std::unique_ptr<nvonnxparser::IParser> parser(
      static_cast<nvonnxparser::IParser*>(create(&network, &log, NV_ONNX_PARSER_VERSION)));
  if (!parser) throw Error(Exit::kEnvironment, name() + " gives no ONNX parser", why_missing(log));
  return parser;
}
#endif

void Libraries::load_plugins(const std::string& path, bool old, Log& log) const {
  require_trusted_library(path);
  const std::string fix = "build the plugin with the TensorRT of this machine: vmexport plugin build";
  const std::string file =
      path.find('/') == std::string::npos ? "./" + path : path;  // dlopen would search for a bare name
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw Error(Exit::kEnvironment, "could not load " + path, dlerror(), fix);
  nvinfer1::IPluginRegistry& registry =
      *find_function<nvinfer1::IPluginRegistry*() noexcept>(inference_, "getPluginRegistry")();
  const char* list = creator_list_symbol();
  const bool missing = who_answers(registry, trt::kIdentities[0], trt::kPluginNamespace) == trt::Answer::kNobody;
  if (list != nullptr && missing && dlsym(library, list) != nullptr && !register_library(registry, file.c_str()))
    throw Error(Exit::kEnvironment, name() + " does not take the plugins of " + path, why_missing(log), fix);
  const std::string why = why_unregistered(library, name());
  require_plugins(registry, path, trt::kPluginNamespace, why, fix);
  if (!old) return;
  serve_old_files(library, path, fix);
  require_plugins(registry, path, trt::kOldNamespace, why, fix);
}

}  // namespace vmexport::runner
