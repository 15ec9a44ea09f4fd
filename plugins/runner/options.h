// The command line.
#ifndef VMEXPORT_RUNNER_OPTIONS_H
#define VMEXPORT_RUNNER_OPTIONS_H

#include <stdint.h>

#include <optional>
#include <string>
#include <vector>

#include "comparison.h"

namespace vmexport::runner {

// Smallest, best served and largest batch of an engine.
struct BatchProfile {
  int64_t min = 1, opt = 1, max = 1;
};

std::string profile_text(const BatchProfile& profile);  // "1:4:8", or "4" where all are one

// The reverse; nothing where the text is no profile.
std::optional<BatchProfile> parse_profile(const std::string& text);

enum class Action { kRun, kHelp, kVersion };

struct Options {
  Action action = Action::kRun;
  std::string model, clip;
  bool is_onnx = false;  // by the model's suffix
  // Building.
  std::optional<BatchProfile> batch;
  std::optional<uint64_t> workspace_bytes;
  bool fp16 = false, own_kernels = false;
  std::string save_engine;
  // Libraries and device.
  std::string plugin, library_folder;
  bool rtx = false;
  bool allow_engine_code = false;
  int device = 0;
  // Running.
  std::string output, expect;
  std::optional<Tolerance> tolerance;
  int bench_runs = 0;  // 0: no benchmark
  int warmup_runs = 20;
  std::optional<bool> cuda_graph;
  bool json = false, verbose = false;

  bool build_only() const { return clip.empty() && bench_runs == 0; }
  bool uses_cuda_graph() const { return cuda_graph.value_or(bench_runs > 0); }
};

// Throws kUsage: an unknown or repeated option, a missing or bad value, words that do not fit together.
Options parse_options(const std::vector<std::string>& words);

// What --help prints.
std::string help_text();

}  // namespace vmexport::runner

#endif  // VMEXPORT_RUNNER_OPTIONS_H
