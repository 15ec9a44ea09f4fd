// Entering creators into the registry of this process's TensorRT, never in silence beside another library's.
#ifndef VMEXPORT_TENSORRT_REGISTRATION_H
#define VMEXPORT_TENSORRT_REGISTRATION_H

#include "creators.h"
#include "host.h"

namespace vmexport::trt {

// Registers all creators. One that is there already serves where it is vmexport's; false with a message where it is
// not, and where there is no TensorRT.
bool register_creators(const Creators& creators, Load load, Message* problem) noexcept;

}  // namespace vmexport::trt

#endif  // VMEXPORT_TENSORRT_REGISTRATION_H
