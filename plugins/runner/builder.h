// From an ONNX file to the bytes of an engine.
#ifndef VMEXPORT_RUNNER_BUILDER_H
#define VMEXPORT_RUNNER_BUILDER_H

#include <string>

#include "libraries.h"
#include "onnx_file.h"

namespace vmexport::runner {

struct BuiltEngine {
  std::string bytes;
  BatchProfile profile;
  double seconds = 0;  // parsing and building
  bool bodies_dropped = false;
};

// `model` are the file's bytes, `workspace_bytes` the memory that building may use on the device.
// Throws kUsage (--fp16 of a float32 file where the file decides, a profile that a fixed batch cannot serve), kBadInput
// (no parser in this program, operators that nobody serves, parser errors), kBuildFailed and kOutOfMemory, each with
// what TensorRT said.
BuiltEngine build_engine(const Libraries& libraries, Log& log, const Options& options, const std::string& model,
                         const OnnxFacts& facts, uint64_t workspace_bytes);

}  // namespace vmexport::runner

#endif  // VMEXPORT_RUNNER_BUILDER_H
