// The creators, which live as long as the library does: registries refer to them.
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
  CreatorInterface* const* list;  // in the order of kIdentities
  int32_t count;
  const char* its_namespace;
};

Creators creators() noexcept;
// The same plugins under the names of before they had a namespace, for old files and engines.
Creators old_creators() noexcept;

}  // namespace vmexport::trt

#endif  // VMEXPORT_TENSORRT_CREATORS_H
