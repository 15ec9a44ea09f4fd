// All that differs between the TensorRT versions from 8.5 to 11.x, as this program uses them.
#ifndef VMEXPORT_RUNNER_TRT_VERSION_H
#define VMEXPORT_RUNNER_TRT_VERSION_H

#include <NvInfer.h>

#include <string>

#if __has_include(<NvOnnxParser.h>)
#include <NvOnnxParser.h>
#define VMEXPORT_RUNNER_HAS_PARSER 1
#else
#define VMEXPORT_RUNNER_HAS_PARSER 0
#endif

#define VMEXPORT_TRT_AT_LEAST(major, minor) \
  (NV_TENSORRT_MAJOR > (major) || (NV_TENSORRT_MAJOR == (major) && NV_TENSORRT_MINOR >= (minor)))

static_assert(VMEXPORT_TRT_AT_LEAST(8, 5), "TensorRT 8.5 is the first whose tensors are found by name alone");

namespace vmexport::runner {

// From 10 on a network takes its precision from the types in the file; before, from flags of the builder.
constexpr bool kStronglyTyped = NV_TENSORRT_MAJOR >= 10;

struct TrtVersion {
  int major, minor, patch;
};

// What getInferLibVersion says: 8.6.1 is 8601, 10.3.0 is 100300, TensorRT-RTX 1.7.1 is 10701.
inline TrtVersion decode_version(int number) {
  const int thousand = number < 10000 ? 1000 : 10000;
  return {number / thousand, number % thousand / 100, number % 100};
}

inline std::string version_text(const TrtVersion& version) {
  return std::to_string(version.major) + "." + std::to_string(version.minor) + "." + std::to_string(version.patch);
}

inline TrtVersion header_version() { return {NV_TENSORRT_MAJOR, NV_TENSORRT_MINOR, NV_TENSORRT_PATCH}; }

// From 11 on every network is strongly typed, before 10 none is, and TensorRT-RTX has a flag of its own number for it;
// an explicit batch is a flag up to 8 and a matter of course from 10 on.
inline uint32_t network_flags(bool rtx) {
  constexpr uint32_t kRtxStronglyTyped = 1U << 0;
#if NV_TENSORRT_MAJOR >= 11
  return rtx ? kRtxStronglyTyped : 0;
#elif NV_TENSORRT_MAJOR >= 10
  constexpr auto kFlag = nvinfer1::NetworkDefinitionCreationFlag::kSTRONGLY_TYPED;
  return rtx ? kRtxStronglyTyped : 1U << static_cast<uint32_t>(kFlag);
#else
  constexpr auto kFlag = nvinfer1::NetworkDefinitionCreationFlag::kEXPLICIT_BATCH;
  return rtx ? kRtxStronglyTyped : 1U << static_cast<uint32_t>(kFlag);
#endif
}

// Unless told otherwise TensorRT multiplies float32 in TF32, with 10 bits of mantissa, from Ampere on. TensorRT-RTX has
// other numbers for its flags than the headers here.
inline void keep_float32(nvinfer1::IBuilderConfig& config, bool rtx) {
  if (!rtx) config.clearFlag(nvinfer1::BuilderFlag::kTF32);
}

// Leaves TensorRT its own kernels: cuBLAS and cuDNN, separate libraries of several hundred megabytes, are not asked
// for. TensorRT-RTX and TensorRT from 11 on have no such choice.
inline void keep_own_kernels(nvinfer1::IBuilderConfig& config, bool rtx) {
#if NV_TENSORRT_MAJOR < 11
  constexpr nvinfer1::TacticSources kOthers = 0b111;  // kCUBLAS, kCUBLAS_LT, kCUDNN: names that 10 deprecates
  if (!rtx) config.setTacticSources(config.getTacticSources() & ~kOthers);
#else
  static_cast<void>(config);
  static_cast<void>(rtx);
#endif
}

inline void allow_half(nvinfer1::IBuilderConfig& config) {
#if NV_TENSORRT_MAJOR < 10
  config.setFlag(nvinfer1::BuilderFlag::kFP16);
#else
  static_cast<void>(config);
#endif
}

inline void allow_engine_code(nvinfer1::IRuntime& runtime) {
#if VMEXPORT_TRT_AT_LEAST(8, 6)
  runtime.setEngineHostCodeAllowed(true);
#else
  static_cast<void>(runtime);
#endif
}

// Bytes of working memory that a context without its own needs.
inline uint64_t working_memory(const nvinfer1::ICudaEngine& engine) {
#if VMEXPORT_TRT_AT_LEAST(10, 1)
  return static_cast<uint64_t>(engine.getDeviceMemorySizeV2());
#else
  return engine.getDeviceMemorySize();
#endif
}

inline nvinfer1::IExecutionContext* create_context(nvinfer1::ICudaEngine& engine) {
#if NV_TENSORRT_MAJOR >= 10
  return engine.createExecutionContext(nvinfer1::ExecutionContextAllocationStrategy::kUSER_MANAGED);
#else
  return engine.createExecutionContextWithoutDeviceMemory();
#endif
}

inline void give_memory(nvinfer1::IExecutionContext& context, void* memory, uint64_t size) {
#if VMEXPORT_TRT_AT_LEAST(10, 1)
  context.setDeviceMemoryV2(memory, static_cast<int64_t>(size));
#else
  static_cast<void>(size);
  context.setDeviceMemory(memory);
#endif
}

// Loads a library that registers nothing by itself but lists its plugins. The function that it exports for that has
// another name from 10 on; nullptr where this TensorRT knows no such libraries.
inline const char* creator_list_symbol() {
#if NV_TENSORRT_MAJOR >= 10
  return "getCreators";
#elif VMEXPORT_TRT_AT_LEAST(8, 6)
  return "getPluginCreators";
#else
  return nullptr;
#endif
}

inline bool register_library(nvinfer1::IPluginRegistry& registry, const char* path) {
#if VMEXPORT_TRT_AT_LEAST(8, 6)
  return registry.loadLibrary(path) != nullptr;
#else
  static_cast<void>(registry);
  static_cast<void>(path);
  return false;
#endif
}

#if VMEXPORT_RUNNER_HAS_PARSER
// "node 17 (SelectiveScan, blocks.3.scan)"
inline std::string node_text(const nvonnxparser::IParserError& error) {
  std::string text = "node " + std::to_string(error.node());
#if NV_TENSORRT_MAJOR >= 10
  const char *name = error.nodeName(), *kind = error.nodeOperator();
  text += std::string(" (") + (kind != nullptr ? kind : "?") + (name != nullptr && *name != '\0' ? ", " : "") +
          (name != nullptr ? name : "") + ")";
#endif
  return text;
}
#endif

}  // namespace vmexport::runner

#endif  // VMEXPORT_RUNNER_TRT_VERSION_H
