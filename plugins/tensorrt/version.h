// What differs between the TensorRT versions that the plugin is built for (8.5, 8.6, 10.x, 11.x), and nothing else.
#ifndef VMEXPORT_TENSORRT_VERSION_H
#define VMEXPORT_TENSORRT_VERSION_H

#include "../scan/params.h"
#include "identity.h"

// A library that the registry loads itself (8.6 and newer) is handed a logger finder.
#define VMEXPORT_TENSORRT_LOGGER_FINDER (NV_TENSORRT_MAJOR > 8 || (NV_TENSORRT_MAJOR == 8 && NV_TENSORRT_MINOR >= 6))

namespace vmexport::trt {

// A vmexport_dtype, or -1 for a type that no kernel has. bfloat16 is a TensorRT type since 9.
inline int32_t dtype_of(nvinfer1::DataType type) noexcept {
  switch (type) {
    case nvinfer1::DataType::kFLOAT: return VMEXPORT_FLOAT32;
    case nvinfer1::DataType::kHALF: return VMEXPORT_FLOAT16;
#if VMEXPORT_TENSORRT_V3
    case nvinfer1::DataType::kBF16: return VMEXPORT_BFLOAT16;
#endif
    default: return -1;
  }
}

// Bytes of an integer of this type, or 0 for other types. 64-bit fields exist since TensorRT 10.
inline int integer_size(nvinfer1::PluginFieldType type) noexcept {
  switch (type) {
    case nvinfer1::PluginFieldType::kINT32: return 4;
#if VMEXPORT_TENSORRT_V3
    case nvinfer1::PluginFieldType::kINT64: return 8;
#endif
    default: return 0;
  }
}

// The types of T that a message may promise.
#if VMEXPORT_TENSORRT_V3
constexpr const char* kTypes = "float32, float16 or bfloat16";
#else
constexpr const char* kTypes = "float32 or float16";
#endif

// getInferLibVersion() counts 8601 for 8.6.1, 101303 for 10.13.3, and 10701 for TensorRT-RTX 1.7.1.
constexpr int32_t major_of(int32_t library_version) noexcept {
  return library_version >= 10000 ? library_version / 10000 : library_version / 1000;
}

// TensorRT-RTX has the IPluginV3 of TensorRT 10 and 11, to the byte.
constexpr int32_t kRtxMajor = 1;
constexpr bool serves(int32_t major) noexcept {
  return major == NV_TENSORRT_MAJOR || (VMEXPORT_TENSORRT_V3 && major == kRtxMajor);
}

}  // namespace vmexport::trt

#endif  // VMEXPORT_TENSORRT_VERSION_H
