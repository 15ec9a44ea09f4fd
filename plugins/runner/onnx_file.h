// What has to be known of an ONNX file before TensorRT parses it.
#ifndef VMEXPORT_RUNNER_ONNX_FILE_H
#define VMEXPORT_RUNNER_ONNX_FILE_H

#include <stdint.h>

#include <optional>
#include <set>
#include <string>

#include "options.h"

namespace vmexport::runner {

struct OnnxFacts {
  std::set<std::string> operators;      // of the domain vmexport, in the graph
  std::set<std::string> functions;      // of the domain vmexport: function bodies in standard operators
  bool old_names = false;               // an operator names no plugin namespace: from before the plugins had one
  int64_t operator_version = 0;         // imported version of the domain vmexport; 0 where it is not imported
  std::string precision = "fp32";       // of the weights: "fp32", "fp16" or "bf16"
  std::optional<BatchProfile> profile;  // what vmexport onnx --batch was given
  bool parity_failed = false;           // by the file's own record
};

// Walks a serialised ModelProto. Throws kBadInput where it is damaged, has no graph, or imports a version of the domain
// vmexport that is newer than 1; `name` is the file's.
OnnxFacts read_onnx(const std::string& model, const std::string& name);

// The model without the function bodies of the domain vmexport. TensorRT before 10.7 would take them in place of a
// plugin of the same name.
std::string without_function_bodies(const std::string& model);

}  // namespace vmexport::runner

#endif  // VMEXPORT_RUNNER_ONNX_FILE_H
