#include "exports.h"
#include "version.h"

const char* vmexport_trt_build_info() noexcept {
  return "{\"version\": \"" VMEXPORT_VERSION "\", \"tensorrt\": \"" VMEXPORT_TENSORRT_VERSION
         "\", \"interface\": \""
#if VMEXPORT_TENSORRT_V3
         "IPluginV3"
#else
         "IPluginV2DynamicExt"
#endif
         "\", \"architectures\": \"" VMEXPORT_CUDA_ARCHITECTURES "\"}";
}
