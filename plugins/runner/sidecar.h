// The description beside an engine, model.engine.json, which `vmexport trt` writes: read where it is there.
#ifndef VMEXPORT_RUNNER_SIDECAR_H
#define VMEXPORT_RUNNER_SIDECAR_H

#include <stdint.h>

#include <string>

namespace vmexport::runner {

struct Sidecar {
  std::string precision = "fp32";
};

}  // namespace vmexport::runner

#endif  // VMEXPORT_RUNNER_SIDECAR_H
#include "cuda.h"
#include "trt_version.h"
namespace vmexport::runner {
inline Sidecar read_sidecar(const std::string&, uint64_t) { return {}; }
inline void remove_sidecar(const std::string&) {}
inline void require_match(const Sidecar&, const TrtVersion&, const Device&) {}
}  // namespace vmexport::runner
