// Refusals, told through TensorRT's logger: nothing is thrown across the plugin's boundary.
#ifndef VMEXPORT_TENSORRT_LOG_H
#define VMEXPORT_TENSORRT_LOG_H

#include "operators.h"
#include "version.h"

namespace vmexport::trt {

#if VMEXPORT_TENSORRT_LOGGER_FINDER
// What the registry hands to a library that it loads itself; it outlives the library.
void set_logger_finder(nvinfer1::ILoggerFinder* finder) noexcept;
#endif

// Logs "vmexport::<operator>: <message>" as an error. The logger is the finder's, else the one that the host gave to
// TensorRT (getLogger); where there is neither, standard error gets it, rather than nobody.
void refuse(const char* operator_name, const char* message) noexcept;
// The same for one node, which the message names.
void refuse_node(const Operator& op, const char* node, const char* message) noexcept;

}  // namespace vmexport::trt

#endif  // VMEXPORT_TENSORRT_LOG_H
