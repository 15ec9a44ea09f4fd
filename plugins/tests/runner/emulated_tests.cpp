// Whole runs of vmexport-run on a fake TensorRT and a fake CUDA runtime: what it asks of them, in which order, what it
// makes of every failure, and that it gives everything back. The fakes run work only when it is waited for.
#include "../../runner/files.h"
#include "../../runner/sidecar.h"
#include "../../runner/trt_version.h"
#include "checks.h"
#include "world.h"

namespace checks {
namespace {

using vmexport::runner::Exit;
using vmexport::runner::format_npy;

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
  checks::test_build_memory();
  checks::test_failed_builds();
  checks::test_plugins();
#endif
  return checks::finish();
}
