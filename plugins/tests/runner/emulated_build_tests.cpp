// Building, on a fake TensorRT: what the builder is asked for, what becomes of its failures, and plugins.
#include <cstdlib>
#include <filesystem>

#include "../../runner/files.h"
#include "../../runner/trt_version.h"
#include "checks.h"
#include "world.h"

namespace checks {

using vmexport::runner::Exit;

void test_building() {
  const std::string engine = path("built.engine");
  const Report report = in({}, {onnx_file(true), "-e", engine, "--batch", "1:2:4"});
  expect(report.build_seconds && report.batch == 0 && vmexport::runner::read_file(engine, 1000) == kDynamic, "built");
  expect(fake::record().workspace == uint64_t{256} << 20, "a quarter of the free memory");
  expect(fake::record().builder_flags == 0 && !fake::record().tf32, "no flag, and float32 stays float32");
  const uint32_t flags = NV_TENSORRT_MAJOR >= 11 ? 0 : NV_TENSORRT_MAJOR >= 10 ? 2 : 1;
  expect(fake::record().network_flags == flags, "explicit batch, strong types");
  expect(fake::record().tactic_sources == 31, "TensorRT's own choice of kernels");
  in({}, {onnx_file(true), "-e", engine, "--own-kernels"});
  const uint32_t own = NV_TENSORRT_MAJOR >= 11 ? 31 : 24;
  expect(fake::record().tactic_sources == own, "neither cuBLAS nor cuDNN");
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

void test_build_memory() {
  fake::Scenario scenario = failing("buildSerializedNetwork");
  scenario.says = "Requested amount of GPU memory could not be allocated: OutOfMemory";
  refused(Exit::kOutOfMemory, "--workspace", "build",
          [&] { in(scenario, {onnx_file(true), "-e", path("new.engine")}); });
  scenario = {};
  scenario.memory = uint64_t{100} << 20;
  refused(Exit::kOutOfMemory, "got 100 MiB", "too little", [&] { in(scenario, {onnx_file(true), clip_file(2)}); });
  in(scenario, {onnx_file(true), clip_file(1), "--workspace", "64M"});
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
  expect(notes().find("kept.engine.json") != std::string::npos, "which is said");
  refused(Exit::kBadInput, "carries no function body", "no body", [&] { in({}, {onnx_file(false), "-e", engine}); });
}

namespace {

// Files and engines of before the plugins had a namespace.
void test_old_files(const std::string& plugin) {
  const std::string engine = path("built.engine");
  in({}, {old_onnx_file(), "-e", engine, "--plugin", plugin});
  expect(fake::record().plugins.count("::SelectiveScan") == 1, "an old file is served");
  refused(Exit::kEnvironment, "serves no old files", "another library answers",
          [&] { in(failing("serveOldFiles"), {old_onnx_file(), "-e", engine, "--plugin", plugin}); });
  in({}, {onnx_file(false), "-e", engine, "--plugin", plugin});
  expect(fake::record().plugins.count("::SelectiveScan") == 0, "only where it is asked for");
  setenv("VMEXPORT_TRT_OLD_FILES", "1", 1);
  in({}, {engine, clip_file(1), "--plugin", plugin});
  unsetenv("VMEXPORT_TRT_OLD_FILES");
  expect(fake::record().plugins.count("::SelectiveScan") == 1, "an engine without a description, by the environment");
}

// Another library's plugin answers to our name.
void test_foreign(const std::string& plugin, const std::string& without) {
  const Words words = {onnx_file(false), "-e", path("built.engine"), "--plugin"};
  const auto with = [&](const std::string& library, const std::string& foreign) {
    fake::Scenario scenario;
    scenario.foreign = foreign;
    Words all = words;
    all.push_back(library);
    return [scenario, all] { in(scenario, all); };
  };
  refused(Exit::kEnvironment, "another library's plugin answers to SelectiveScan", "foreign",
          with(without, "vmexport::SelectiveScan"));
  with(plugin, "::SelectiveScan")();
  fake::Scenario scenario;
  scenario.foreign = "::SelectiveScan";
  refused(Exit::kEnvironment, "another library's plugin answers to SelectiveScan", "foreign, old file",
          [&] { in(scenario, {old_onnx_file(), "-e", path("built.engine"), "--plugin", plugin}); });
}

}  // namespace

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
    expect(fake::record().model.size() == 59, "function bodies are left out where the plugin serves");
    expect((notes().find("left out") != std::string::npos) == body, "which is said");
  }
  refused(Exit::kEnvironment, "does not take the plugins", "refused",
          [&] { in(failing("loadLibrary"), {onnx_file(true), "-e", engine, "--plugin", library("lists")}); });
#endif
  in({}, {onnx_file(false), "-e", engine, "--plugin", library("registers")});
  expect(fake::record().plugins.count("::SelectiveScan") == 0, "the name that others use is left to them");
  test_old_files(library("registers"));
  test_foreign(library("registers"), library("other"));
  in({}, {onnx_file(true), "-e", engine});
  expect(fake::record().model.size() == 59 + 28, "and kept where there is none");
}

}  // namespace checks
