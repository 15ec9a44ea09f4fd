#include "run.h"

#include <algorithm>
#include <cstdlib>
#include <random>

#include "builder.h"
#include "cuda.h"
#include "engine.h"
#include "error.h"
#include "files.h"
#include "session.h"
#include "sidecar.h"

namespace vmexport::runner {
namespace {

constexpr uint64_t kMostOnnx = uint64_t{2} << 30;  // a message of Protocol Buffers cannot be longer
constexpr uint64_t kMostEngine = uint64_t{16} << 30;
constexpr uint64_t kMostWorkspace = uint64_t{2} << 30;
constexpr uint64_t kLeastFree = uint64_t{256} << 20;
constexpr unsigned kSeed = 0;

// What the user gave, read and found sound.
struct Inputs {
  std::string model;  // bytes
  OnnxFacts facts;    // of an ONNX file
  Sidecar sidecar;    // of an engine
  std::optional<Array> clips, expected;
};

std::string capability_of(const Device& device) {
  return std::to_string(device.compute_major) + "." + std::to_string(device.compute_minor);
}

// A model whose check failed once is only run to be compared again.
void require_not_failed(const Options& options, bool failed) {
  if (!failed || !options.expect.empty()) return;
  throw Error(Exit::kParityFailed, options.model + " is marked: its parity check failed when it was made",
              "it does not compute what the network computes",
              "export or build it again, or compare it with known logits: --expect logits.npy");
}

Inputs read_inputs(const Options& options) {
  Inputs inputs;
  for (const std::string& path : {options.output, options.save_engine})
    if (!path.empty()) require_writable(path);
  if (!options.clip.empty()) inputs.clips = read_clips(options.clip);
  if (!options.expect.empty()) inputs.expected = read_logits(options.expect);
  if (inputs.expected && inputs.expected->shape[0] != inputs.clips->shape[0])
    throw Error(Exit::kBadInput, options.expect + " belongs to other clips",
                "expected logits of " + std::to_string(inputs.clips->shape[0]) + " clips, got " +
                    std::to_string(inputs.expected->shape[0]));
  if (options.is_onnx) {
    inputs.model = read_file(options.model, kMostOnnx);
    inputs.facts = read_onnx(inputs.model, options.model);
  } else {
    require_trusted_engine(options.model);
    inputs.model = read_file(options.model, kMostEngine);
    inputs.sidecar = read_sidecar(options.model, inputs.model.size());
  }
  require_not_failed(options, inputs.facts.parity_failed || inputs.sidecar.parity_failed);
  return inputs;
}

// An engine without a description may be of either kind; the environment says so then, as for trtexec.
bool uses_old_names(const Options& options, const Inputs& inputs) {
  const char* const wanted = std::getenv("VMEXPORT_TRT_OLD_FILES");
  if (wanted != nullptr && std::string(wanted) == "1") return true;
  return options.is_onnx ? inputs.facts.old_names : inputs.sidecar.old_names;
}

// On a Jetson the host's memory is the GPU's, and a build that takes all of it takes the desktop down with it.
uint64_t workspace(const Options& options, bool has_device) {
  if (options.workspace_bytes) return *options.workspace_bytes;
  if (!has_device) return kMostWorkspace;
  const uint64_t free = free_device_memory();
  if (free < kLeastFree)
    throw Error(Exit::kOutOfMemory, "too little device memory to build an engine",
                "expected 256 MiB free, got " + std::to_string(free >> 20) + " MiB",
                "close other programs, or build with --workspace 64M");
  return std::min(kMostWorkspace, free / 4);
}

void build(const Libraries& libraries, Log& log, const Options& options, bool has_device, const Notify& notify,
           Inputs* inputs, Report* report) {
  notify("building an engine from " + options.model + ", which may take minutes");
  BuiltEngine built =
      build_engine(libraries, log, options, inputs->model, inputs->facts, workspace(options, has_device));
  if (built.bodies_dropped) notify("the plugin serves the operators, their function bodies were left out");
  report->build_seconds = built.seconds;
  report->profile = built.profile;
  inputs->model = std::move(built.bytes);
  if (options.save_engine.empty()) return;
  write_file(options.save_engine, inputs->model);
  if (remove_sidecar(options.save_engine))
    notify(sidecar_path(options.save_engine) + " described the engine that was replaced, and was removed");
  report->saved_engine = options.save_engine;
}

Array noise(const std::vector<int64_t>& shape) {
  Array clips{shape, {}};
  size_t count = 1;
  for (const int64_t size : shape) count *= static_cast<size_t>(size);
  std::mt19937 generator(kSeed);
  std::normal_distribution<float> distribution;
  clips.data.resize(count);
  for (float& value : clips.data) value = distribution(generator);
  return clips;
}

Tolerance tolerance(const Options& options, const Inputs& inputs) {
  if (options.tolerance) return *options.tolerance;
  const std::string precision = options.fp16      ? "fp16"
                                : options.is_onnx ? inputs.facts.precision
                                                  : inputs.sidecar.precision;
  return *find_tolerance(precision);
}

// Throws kParityFailed: no figure is printed of an engine that computes something else.
void prove(const Inputs& inputs, Report* report) {
  if (!all_finite(report->logits))
    throw Error(Exit::kParityFailed, report->model + " gives NaN or infinity", "a logit is not finite",
                "half precision may overflow in this model: try float32, or vmexport check --bisect");
  if (!inputs.expected) return;
  report->agreement = compare_logits(*inputs.expected, report->logits);
  if (!within(*report->agreement, *report->tolerance))
    throw Error(Exit::kParityFailed, report->model + " does not compute what is expected",
                describe(*report->agreement, *report->tolerance),
                "vmexport check model.onnx MODEL --bisect names the first block that differs");
}

void time_it(Session& session, const Options& options, Report* report) {
  report->compute = session.time(options.warmup_runs, options.bench_runs, false);
  report->with_transfers = session.time(options.warmup_runs, options.bench_runs, true);
  // What was timed has to be what was proven.
  const Agreement agreement = compare_logits(report->logits, session.logits());
  if (!within(agreement, *report->tolerance))
    throw Error(Exit::kParityFailed, report->model + " gave other logits while it was timed",
                describe(agreement, *report->tolerance), "run it under compute-sanitizer --tool racecheck");
}

void execute(const Libraries& libraries, Log& log, const Options& options, Inputs* inputs, Report* report) {
  const uint64_t free_before = free_device_memory();
  const Engine engine(libraries, log, inputs->model, options.model, options.allow_engine_code);
  inputs->model.clear();
  inputs->model.shrink_to_fit();
  report->profile = engine.profile();
  if (!inputs->clips) inputs->clips = noise(engine.clip_shape(engine.profile().opt));
  report->clips = options.clip.empty() ? "seeded noise" : options.clip;
  report->batch = inputs->clips->shape[0];
  report->tolerance = tolerance(options, *inputs);
  report->cuda_graph = options.uses_cuda_graph();
  Session session(engine, log, report->batch, report->cuda_graph);
  report->logits = session.run(*inputs->clips);
  const uint64_t free_after = free_device_memory();
  report->memory_bytes = free_before > free_after ? free_before - free_after : 0;
  report->activation_bytes = session.activation_bytes();
  if (!options.output.empty()) write_file(options.output, format_npy(report->logits));
  report->output = options.output;
  prove(*inputs, report);
  if (options.bench_runs > 0) time_it(session, options, report);
}

}  // namespace

Report run(const Options& options, const Notify& notify) {
  Inputs inputs = read_inputs(options);
  Report report;
  report.model = options.model;
  const Libraries libraries(options);
  report.library = libraries.name();
  Log log(options.verbose);
  const bool has_device = !(options.rtx && options.build_only());  // TensorRT-RTX builds without one
  Device device;
  if (has_device) {
    device = select_device(options.device);
    report.gpu = device.name + ", compute capability " + capability_of(device);
  }
  require_match(
      inputs.sidecar,
      {options.rtx, version_text(libraries.version()), capability_of(device), device.name, !options.plugin.empty()},
      options.model);
  if (!options.plugin.empty()) libraries.load_plugins(options.plugin, uses_old_names(options, inputs), log);
  if (options.is_onnx) build(libraries, log, options, has_device, notify, &inputs, &report);
  report.engine_bytes = inputs.model.size();
  if (!options.build_only()) execute(libraries, log, options, &inputs, &report);
  report.warnings = log.warnings();
  return report;
}

}  // namespace vmexport::runner
