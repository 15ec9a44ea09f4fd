// Whole runs of vmexport-run on a fake TensorRT and a fake CUDA runtime: what it asks of them, in which order, what it
// makes of every failure, and that it gives everything back. The fakes run work only when it is waited for.
#include <math.h>

#include <cstdio>
#include <filesystem>
#include <stdexcept>

#include "../../runner/files.h"
#include "../../runner/run.h"
#include "../../runner/sidecar.h"
#include "../../runner/trt_version.h"
#include "../fake_tensorrt/control.h"
#include "checks.h"

namespace checks {
namespace {

using vmexport::runner::Array;
using vmexport::runner::Exit;
using vmexport::runner::format_npy;
using vmexport::runner::Options;
using vmexport::runner::Report;
using Words = std::vector<std::string>;

constexpr int64_t kElements = 3 * 2 * 4 * 4, kClasses = 7;
const std::string kDynamic = "fake engine -1 1 2 4 0 0 1 1\n";

std::string path(const std::string& name) { return folder() + "/" + name; }

std::string write(const std::string& name, const std::string& bytes) {
  vmexport::runner::write_file(path(name), bytes);
  return path(name);
}

Array clips(int64_t batch) {
  Array array{{batch, 3, 2, 4, 4}, {}};
  for (int64_t i = 0; i < batch * kElements; ++i) array.data.push_back(static_cast<float>((i * 37 % 101) - 50) / 64);
  return array;
}

// What the fake engine computes, written once more.
Array logits(const Array& of) {
  Array array{{of.shape[0], kClasses}, {}};
  for (int64_t clip = 0; clip < of.shape[0]; ++clip) {
    for (int64_t c = 0; c < kClasses; ++c) {
      double sum = 0;
      for (int64_t i = 0; i < kElements; ++i)
        sum += of.data[static_cast<size_t>(clip * kElements + i)] *
               sin(static_cast<double>(c + 1) + 0.1 * static_cast<double>(i));
      array.data.push_back(static_cast<float>(sum));
    }
  }
  return array;
}

std::string clip_file(int64_t batch) { return write("clip.npy", format_npy(clips(batch))); }
std::string expected_file(int64_t batch) { return write("expected.npy", format_npy(logits(clips(batch)))); }

// An ONNX file of one node, with its function body where wanted.
std::string onnx_file(bool body) {
  const std::string node = std::string("\x0a\x19\x22\x0dSelectiveScan\x3a\x08vmexport", 27);
  std::string model = std::string("\x3a\x1b", 2) + node;
  if (body) model += std::string("\xca\x01\x19\x0a\x0dSelectiveScan\x52\x08vmexport", 28);
  return write("model.onnx", model);
}

std::string notes;  // of the last run

Report run_words(Words words) {
  words.insert(words.end(), {"--lib-dir", VMEXPORT_FAKE_FOLDER});
  return run(vmexport::runner::parse_options(words), [](const std::string& note) { notes += note + "\n"; });
}

// A run in a world of its own, after which nothing may be alive.
Report in(const fake::Scenario& scenario, const Words& words) {
  fake::reset();
  notes.clear();
  fake::scenario() = scenario;
  const auto check_alive = [] {
    std::string names;
    for (const std::string& name : fake::alive()) names += name + " ";
    expect(names.empty(), "left alive: " + names);
  };
  try {
    const Report report = run_words(words);
    check_alive();
    return report;
  } catch (...) {
    check_alive();
    throw;
  }
}

fake::Scenario failing(const std::string& function, int at = 0, cudaError_t status = cudaErrorLaunchFailure) {
  fake::Scenario scenario;
  scenario.fails = function;
  scenario.fails_at = at;
  scenario.status = status;
  return scenario;
}

void test_running() {
  const std::string engine = write("model.engine", kDynamic);
  for (const int64_t batch : {1, 2, 4}) {
    for (const char* graph : {"on", "off"}) {
      const Report report = in(
          {}, {engine, clip_file(batch), "-o", path("y.npy"), "--expect", expected_file(batch), "--cuda-graph", graph});
      expect(report.batch == batch && report.agreement && report.agreement->max_abs < 1e-4, "logits");
      expect(report.profile.max == 4 && report.memory_bytes >= report.activation_bytes, "profile, memory");
      expect(vmexport::runner::read_logits(path("y.npy")).data == report.logits.data, "the file holds them");
      expect(!report.compute && fake::record().runs == (graph[1] == 'n' ? 2 : 1), "one run, and one before a graph");
    }
  }
  for (const char* plan :
       {"fake engine 2 2 2 2 1 0 1 1\n", "fake engine 2 2 2 2 0 1 1 1\n", "fake engine 2 2 2 2 1 1 1 1\n"}) {
    const Report report =
        in({}, {write("model.engine", plan), clip_file(2), "--expect", expected_file(2), "--tolerance", "fp16"});
    expect(report.agreement->max_rel < 2e-3, std::string("half precision ports, ") + plan);
  }
  in({}, {write("model.engine", kDynamic), clip_file(1), "--allow-engine-code"});
  expect(fake::record().engine_code_allowed == VMEXPORT_TRT_AT_LEAST(8, 6), "code in engines only where it is allowed");
  in({}, {engine, clip_file(1)});
  expect(!fake::record().engine_code_allowed, "code in engines only where it is allowed");
}

void test_timing() {
  const std::string engine = write("model.engine", kDynamic);
  const Report report = in({}, {engine, clip_file(2), "--expect", expected_file(2), "--bench", "30", "--warmup", "3"});
  expect(report.compute->runs == 30 && report.compute->median_ms == 0.5 && report.with_transfers->p99_ms == 0.5,
         "times");
  expect(report.cuda_graph && fake::record().graph_launches == 1 + 2 * 33, "every timed run is a launch of the graph");
  const Report noise = in({}, {engine, "--bench=5"});
  expect(noise.batch == 2 && noise.clips == "seeded noise" && !noise.agreement, "noise at the best served batch");
  const Report plain = in({}, {engine, clip_file(1), "--bench", "4", "--cuda-graph", "off", "--warmup", "0"});
  expect(fake::record().runs == 1 + 2 * 4 && fake::record().graph_launches == 0 && !plain.cuda_graph,
         "without a graph");
}

void test_proving() {
  const std::string engine = write("model.engine", kDynamic), clip = clip_file(2), expected = expected_file(2);
  const auto refuse = [&](const fake::Scenario& scenario, const std::string& words, const Words& more) {
    Words all = {engine, clip};
    all.insert(all.end(), more.begin(), more.end());
    refused(Exit::kParityFailed, words, words, [&] { in(scenario, all); });
  };
  fake::Scenario wrong, broken, silent, drifts;
  wrong.wrong_from = broken.nan_from = 0;
  silent.silent = true;
  drifts.wrong_from = 10;
  refuse(wrong, "does not compute what is expected", {"--expect", expected, "--bench", "5"});
  refuse(broken, "NaN or infinity", {});
  refuse(broken, "NaN or infinity", {"--bench", "5", "--expect", expected});
  refuse(silent, "NaN or infinity", {});
  refuse(drifts, "other logits while it was timed", {"--expect", expected, "--bench", "20"});
  refuse(fake::Scenario{}, "another shape",
         {"--expect", write("wide.npy", format_npy({{2, 8}, std::vector<float>(16)}))});
  refused(Exit::kBadInput, "belongs to other clips", "three",
          [&] { in({}, {engine, clip, "--expect", expected_file(3)}); });
}

void test_bad_engines() {
  const std::string clip = clip_file(2);
  const auto refuse = [&](Exit status, const std::string& words, const std::string& plan) {
    const std::string engine = write("model.engine", plan);
    refused(status, words, words, [&] { in({}, {engine, clip}); });
  };
  refuse(Exit::kBadInput, "Magic tag", "something else");
  refuse(Exit::kBadInput, "Magic tag", kDynamic.substr(0, 20));
  refuse(Exit::kBadInput, "expected 4 to 8 clips", "fake engine -1 4 6 8 0 0 1 1\n");
  refuse(Exit::kBadInput, "expected 1 to 1 clips", "fake engine 1 1 1 1 0 0 1 1\n");
  refuse(Exit::kBadInput, "one input and one output", "fake engine -1 1 2 4 0 0 2 1\n");
  refuse(Exit::kBadInput, "one input and one output", "fake engine -1 1 2 4 0 0 1 0\n");
  refuse(Exit::kBadInput, "got type 3", "fake engine -1 1 2 4 0 3 1 1\n");
  const std::string engine = write("model.engine", kDynamic);
  const std::string large = write("large.npy", format_npy({{1, 3, 2, 4, 5}, std::vector<float>(120)}));
  refused(Exit::kBadInput, "expected (1, 3, 2, 4, 4), got (1, 3, 2, 4, 5)", "clip", [&] { in({}, {engine, large}); });
  write("model.engine.json", "{}");
  refused(Exit::kBadInput, "does not describe", "sidecar", [&] { in({}, {engine, clip}); });
  vmexport::runner::remove_sidecar(engine);
}

// Every call of CUDA and TensorRT fails once, at its first time and later.
void test_failures() {
  const std::string engine = write("model.engine", kDynamic), clip = clip_file(2);
  const Words words = {engine, clip, "--bench", "3", "--warmup", "1", "-o", path("failed.npy")};
  for (const char* function :
       {"cudaSetDevice", "cudaMalloc", "cudaMallocHost", "cudaStreamCreateWithFlags", "cudaEventCreate",
        "cudaEventRecord", "cudaMemcpyAsync", "cudaStreamSynchronize", "cudaGraphLaunch"}) {
    for (const int at : {0, 1, 2, 3}) {
      const bool late =
          (std::string(function) == "cudaSetDevice" || std::string(function) == "cudaStreamCreateWithFlags" ||
           std::string(function).find("cudaMalloc") == 0 || std::string(function) == "cudaEventCreate");
      if (late && at >= 1) continue;
      refused(Exit::kBug, "CUDA failed while", function, [&] { in(failing(function, at), words); });
    }
  }
  for (const char* function : {"cudaStreamBeginCapture", "cudaStreamEndCapture", "cudaGraphInstantiateWithFlags"})
    refused(Exit::kBuildFailed, "--cuda-graph off", function, [&] { in(failing(function), words); });
  for (const char* function : {"enqueue", "createExecutionContext"})
    refused(Exit::kBug, "it failed", function, [&] { in(failing(function), words); });
  refused(Exit::kBug, "it failed", "enqueue while it is captured", [&] { in(failing("enqueue", 1), words); });
  refused(Exit::kEnvironment, "it failed", "runtime", [&] { in(failing("createInferRuntime"), words); });
  refused(Exit::kEnvironment, "does not fit this vmexport-run", "library", [&] { in(failing("oldLibrary"), words); });
}

void test_memory() {
  const std::string engine = write("model.engine", kDynamic), clip = clip_file(2);
  for (const int at : {0, 1, 2})
    refused(Exit::kOutOfMemory, "out of memory", "cudaMalloc",
            [&] { in(failing("cudaMalloc", at, cudaErrorMemoryAllocation), {engine, clip}); });
  fake::Scenario scenario = failing("deserialize");
  scenario.says = "[defaultAllocator.cpp] Cuda error 2: out of memory";
  refused(Exit::kOutOfMemory, "Cuda error 2", "engine", [&] { in(scenario, {engine, clip}); });
  scenario = failing("buildSerializedNetwork");
  scenario.says = "Requested amount of GPU memory could not be allocated: OutOfMemory";
  refused(Exit::kOutOfMemory, "--workspace", "build",
          [&] { in(scenario, {onnx_file(true), "-e", path("new.engine")}); });
  scenario = {};
  scenario.memory = uint64_t{100} << 20;
  refused(Exit::kOutOfMemory, "got 100 MiB", "too little", [&] { in(scenario, {onnx_file(true), clip}); });
  in(scenario, {onnx_file(true), clip_file(1), "--workspace", "64M"});
}

void test_no_gpu() {
  const std::string engine = write("model.engine", kDynamic), clip = clip_file(2);
  fake::Scenario none;
  none.devices = 0;
  refused(Exit::kEnvironment, "no GPU", "none", [&] { in(none, {engine, clip}); });
  refused(Exit::kEnvironment, "no GPU", "no driver",
          [&] { in(failing("cudaGetDeviceCount", 0, cudaErrorInsufficientDriver), {engine, clip}); });
  refused(Exit::kEnvironment, "shows 1", "device 3", [&] { in({}, {engine, clip, "--device", "3"}); });
}

void test_building() {
  const std::string engine = path("built.engine");
  const Report report = in({}, {onnx_file(true), "-e", engine, "--batch", "1:2:4"});
  expect(report.build_seconds && report.batch == 0 && vmexport::runner::read_file(engine, 1000) == kDynamic, "built");
  expect(fake::record().workspace == uint64_t{256} << 20, "a quarter of the free memory");
  expect(fake::record().builder_flags == 0, "no flag");
  const uint32_t flags = NV_TENSORRT_MAJOR >= 11 ? 0 : NV_TENSORRT_MAJOR >= 10 ? 2 : 1;
  expect(fake::record().network_flags == flags, "explicit batch, strong types");
  in({}, {onnx_file(true), "-e", engine, "--workspace", "1G"});
  expect(fake::record().workspace == uint64_t{1} << 30, "as asked");
  const Report ran = in({}, {onnx_file(true), clip_file(3), "--expect", expected_file(3), "--batch", "1:2:4"});
  expect(ran.agreement && ran.batch == 3, "built and run");
  fake::Scenario fixed;
  fixed.batch = 2;
  expect(in(fixed, {onnx_file(true), clip_file(2)}).profile.max == 2, "a fixed batch");
  refused(Exit::kUsage, "vmexport onnx --batch 1:2:4", "fixed",
          [&] { in(fixed, {onnx_file(true), "-e", engine, "--batch", "1:2:4"}); });
  const std::string half = onnx_file(true);
  if (vmexport::runner::kStronglyTyped) {
    refused(Exit::kUsage, "vmexport onnx MODEL --fp16", "fp16", [&] { in({}, {half, "-e", engine, "--fp16"}); });
  } else {
    in({}, {half, "-e", engine, "--fp16"});
    expect(fake::record().builder_flags == 1, "half precision where the builder decides");
  }
  fake::Scenario two_inputs;
  two_inputs.inputs = 2;
  refused(Exit::kBadInput, "got 2 and 1", "inputs", [&] { in(two_inputs, {half, "-e", engine}); });
}

void test_failed_builds() {
  const std::string engine = write("kept.engine", "the old engine"), model = onnx_file(true);
  const Words words = {model, "-e", engine};
  const auto refuse = [&](Exit status, const char* function, const std::string& reason) {
    refused(status, reason, function, [&] { in(failing(function), words); });
  };
  refuse(Exit::kBadInput, "parse", "node 17");
  refuse(Exit::kBadInput, "parse", "it failed");
  refuse(Exit::kBuildFailed, "buildSerializedNetwork", "it failed");
  refuse(Exit::kBuildFailed, "createNetwork", "it failed");
  refuse(Exit::kBuildFailed, "setDimensions", "batches");
  refuse(Exit::kEnvironment, "createInferBuilder", "it failed");
  expect(vmexport::runner::read_file(engine, 100) == "the old engine", "a failed build changes nothing");
  write("kept.engine.json", "{}");
  in({}, words);
  expect(vmexport::runner::read_file(engine, 100) != "the old engine", "a good one replaces it");
  expect(!std::filesystem::exists(engine + ".json"), "and what described it");
  expect(notes.find("kept.engine.json") != std::string::npos, "which is said");
  refused(Exit::kBadInput, "carries no function body", "no body", [&] { in({}, {onnx_file(false), "-e", engine}); });
}

void test_plugins() {
  const std::string engine = path("built.engine");
  const auto library = [](const std::string& kind) {
    return std::string(VMEXPORT_FAKE_FOLDER) + "/libfake_" + kind + ".so";
  };
  refused(Exit::kEnvironment, "registers no plugin SelectiveScan", "other",
          [&] { in({}, {onnx_file(true), "-e", engine, "--plugin", library("other")}); });
  refused(Exit::kEnvironment, "could not load", "no library",
          [&] { in({}, {onnx_file(true), "-e", engine, "--plugin", onnx_file(true)}); });
  refused(Exit::kBadInput, "No such file", "missing",
          [&] { in({}, {onnx_file(true), "-e", engine, "--plugin", path("none.so")}); });
#if VMEXPORT_TRT_AT_LEAST(8, 6)
  for (const bool body : {true, false}) {
    in({}, {onnx_file(body), "-e", engine, "--plugin", library("lists")});
    expect(fake::record().model.size() == 29, "function bodies are left out where the plugin serves");
    expect((notes.find("left out") != std::string::npos) == body, "which is said");
  }
  refused(Exit::kEnvironment, "does not take the plugins", "refused",
          [&] { in(failing("loadLibrary"), {onnx_file(true), "-e", engine, "--plugin", library("lists")}); });
#endif
  in({}, {onnx_file(false), "-e", engine, "--plugin", library("registers")});
  in({}, {onnx_file(true), "-e", engine});
  expect(fake::record().model.size() == 29 + 28, "and kept where there is none");
}

}  // namespace
}  // namespace checks

int main() {
  checks::test_running();
  checks::test_timing();
  checks::test_proving();
  checks::test_bad_engines();
  checks::test_failures();
  checks::test_memory();
  checks::test_no_gpu();
#if VMEXPORT_RUNNER_HAS_PARSER
  checks::test_building();
  checks::test_failed_builds();
  checks::test_plugins();
#endif
  return checks::finish();
}
