// The two creators, which live as long as the library does: registries refer to them.
#ifndef VMEXPORT_TENSORRT_CREATORS_H
#define VMEXPORT_TENSORRT_CREATORS_H

#include "version.h"

#if VMEXPORT_TENSORRT_V3
#include "plugin_v3.h"
#else
#include "plugin_v2.h"
#endif

namespace vmexport::trt {

#if VMEXPORT_TENSORRT_V3
using CreatorInterface = nvinfer1::IPluginCreatorInterface;
#else
using CreatorInterface = nvinfer1::IPluginCreator;
#endif

struct Creators {
  CreatorInterface* const* list;
  int32_t count;
};

Creators creators() noexcept;

}  // namespace vmexport::trt

#endif  // VMEXPORT_TENSORRT_CREATORS_H
