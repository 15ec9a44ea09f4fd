// The description beside an engine, model.engine.json, which `vmexport trt` writes. An engine needs none here, but what
// is there has to be true: an engine of another GPU or version is refused with a reason before any of it is loaded.
#ifndef VMEXPORT_RUNNER_SIDECAR_H
#define VMEXPORT_RUNNER_SIDECAR_H

#include <stdint.h>

#include <string>
#include <vector>

namespace vmexport::runner {

struct Sidecar {
  bool present = false;
  bool rtx = false;                               // built by TensorRT-RTX
  std::string version;                            // of the library that built it, "10.3.0"
  bool version_compatible = false;                // newer libraries run it too
  std::vector<std::string> compute_capabilities;  // "8.7"
  bool ampere_or_newer = false;                   // every GPU from compute capability 8.0 on runs it
  std::string gpu;                                // it was built on; empty where it was built ahead of time
  bool needs_plugin = false;                      // and does not carry it
  bool old_names = false;                         // looks its plugins up as they were called without a namespace
  bool parity_failed = false;
  std::string precision = "fp32";
};

// This machine and this call.
struct Here {
  bool rtx = false;
  std::string version;             // of the library
  std::string compute_capability;  // of the GPU
  std::string gpu;
  bool has_plugin = false;
};

std::string sidecar_path(const std::string& engine);

// Throws kBadInput where it is damaged, of another format, or tells another size than the engine's.
Sidecar read_sidecar(const std::string& engine, uint64_t engine_bytes);

// Throws kEnvironment where the engine was built for something else than what is here.
void require_match(const Sidecar& sidecar, const Here& here, const std::string& engine);

// Removes the sidecar of an engine that was replaced by another one; whether there was one.
bool remove_sidecar(const std::string& engine);

}  // namespace vmexport::runner

#endif  // VMEXPORT_RUNNER_SIDECAR_H
