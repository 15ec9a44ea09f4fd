// Entry points of libvmexport_trt.so, which IPluginRegistry::loadLibrary calls: the only ones with vmexport_*.
#include "creators.h"
#include "exports.h"
#include "log.h"

#if VMEXPORT_TENSORRT_V3
VMEXPORT_TENSORRT_API nvinfer1::IPluginCreatorInterface* const* getCreators(int32_t& count) {
#else
VMEXPORT_TENSORRT_API nvinfer1::IPluginCreator* const* getPluginCreators(int32_t& count) {
#endif
  const vmexport::trt::Creators creators = vmexport::trt::creators();
  count = creators.count;
  return creators.list;
}

#if VMEXPORT_TENSORRT_LOGGER_FINDER
VMEXPORT_TENSORRT_API void setLoggerFinder(nvinfer1::ILoggerFinder* finder) {
  vmexport::trt::set_logger_finder(finder);
}
#endif
