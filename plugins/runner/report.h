// What a run found out, for people and for programs.
#ifndef VMEXPORT_RUNNER_REPORT_H
#define VMEXPORT_RUNNER_REPORT_H

#include <optional>
#include <string>

#include "comparison.h"
#include "options.h"
#include "statistics.h"

namespace vmexport::runner {

struct Report {
  std::string library, gpu;  // "TensorRT 10.3.0"; "Orin, compute capability 8.7", empty where none was needed
  std::string model;
  uint64_t engine_bytes = 0;
  std::optional<double> build_seconds;
  BatchProfile profile;
  size_t warnings = 0;

  // Where it ran:
  int64_t batch = 0;  // 0 where it was only built
  std::string clips;  // the file, or what was taken in its place
  Array logits;
  std::optional<Tolerance> tolerance;
  std::optional<Agreement> agreement;
  bool cuda_graph = false;
  std::optional<Latency> compute, with_transfers;
  uint64_t memory_bytes = 0, activation_bytes = 0;
  std::string output, saved_engine;
};

std::string report_text(const Report& report);
std::string report_json(const Report& report);

}  // namespace vmexport::runner

#endif  // VMEXPORT_RUNNER_REPORT_H
