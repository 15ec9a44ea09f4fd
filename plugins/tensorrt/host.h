// TensorRT's own library within this process. The plugin is linked without it, so that it can be built from headers
// and loaded (by `vmexport doctor`, by tests) where no TensorRT is.
#ifndef VMEXPORT_TENSORRT_HOST_H
#define VMEXPORT_TENSORRT_HOST_H

#include "message.h"

namespace vmexport::trt {

enum class Load { kNever, kIfMissing };

// Address of a C function of the process's TensorRT, of the major version that this plugin was built for, or null with
// a message. It is found however the host loaded TensorRT, also with RTLD_LOCAL as Python does; kIfMissing loads
// libnvinfer.so.<major> where no TensorRT is loaded yet, as linking against it would.
void* host_symbol(const char* name, Load load, Message* message) noexcept;

}  // namespace vmexport::trt

#endif  // VMEXPORT_TENSORRT_HOST_H
