// Memory of a call beside its tensors, without exceptions.
#ifndef VMEXPORT_SCAN_WORKSPACE_H
#define VMEXPORT_SCAN_WORKSPACE_H

#include <cstdio>
#include <cstdlib>
#include <memory>

#include "params.h"

namespace vmexport {

struct Free {
  void operator()(float* data) const noexcept { std::free(data); }
};
using Buffer = std::unique_ptr<float[], Free>;

// Aligned to 64 bytes, not set to anything; null where there is no memory left.
inline Buffer allocate(int64_t floats) noexcept {
  const size_t bytes = (static_cast<size_t>(floats) * sizeof(float) + 63) / 64 * 64;
  return Buffer(static_cast<float*>(std::aligned_alloc(64, bytes)));
}

inline vmexport_status out_of_memory(char* message) noexcept {
  std::snprintf(message, VMEXPORT_MESSAGE_SIZE, "workspace: the host has no memory left for it");
  return VMEXPORT_OUT_OF_MEMORY;
}

}  // namespace vmexport

#endif  // VMEXPORT_SCAN_WORKSPACE_H
