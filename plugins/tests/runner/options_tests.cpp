// The command line: every option, every refusal.
#include "../../runner/options.h"
#include "checks.h"

namespace checks {
namespace {

using vmexport::runner::Action;
using vmexport::runner::Exit;
using vmexport::runner::Options;
using vmexport::runner::parse_options;
using Words = std::vector<std::string>;

std::string joined(const Words& words) {
  std::string text;
  for (const std::string& word : words) text += word + " ";
  return text;
}

void refuse(const Words& words, const std::string& reason) {
  refused(Exit::kUsage, reason, joined(words), [&] { parse_options(words); });
}

void test_taken() {
  const Options run = parse_options({"m.engine", "clip.npy", "-o", "y.npy", "--expect=e.npy", "--tolerance", "1e-3"});
  expect(run.model == "m.engine" && run.clip == "clip.npy" && run.output == "y.npy" && run.expect == "e.npy", "files");
  expect(!run.is_onnx && run.tolerance->relative == 1e-3 && !run.uses_cuda_graph() && !run.build_only(), "run");
  const Options build =
      parse_options({"--fp16", "m.onnx", "--batch", "1:4:8", "-e", "m.engine", "--workspace", "512M"});
  expect(build.is_onnx && build.fp16 && build.build_only() && build.save_engine == "m.engine", "build");
  expect(build.batch->min == 1 && build.batch->opt == 4 && build.batch->max == 8, "batch");
  expect(*build.workspace_bytes == uint64_t{512} << 20, "workspace");
  expect(parse_options({"m.onnx", "-e", "e", "--batch=4"}).batch->min == 4, "one batch");
  const Options bench = parse_options({"m.plan", "--bench", "--json", "-v", "--device", "1", "--warmup", "0"});
  expect(bench.bench_runs == 200 && bench.uses_cuda_graph() && bench.json && bench.verbose, "bench");
  expect(bench.device == 1 && bench.warmup_runs == 0, "device, warmup");
  expect(parse_options({"m.trt", "--bench", "50", "c.npy"}).bench_runs == 50, "bench 50");
  expect(parse_options({"m.trt", "--bench", "c.npy"}).clip == "c.npy", "bench before a file");
  expect(parse_options({"m.trt", "--bench=7", "--cuda-graph", "off"}).uses_cuda_graph() == false, "cuda-graph off");
  expect(parse_options({"c.engine", "c.npy", "--cuda-graph=on"}).uses_cuda_graph(), "cuda-graph on");
  expect(parse_options({"--", "-m.onnx", "-c.npy"}).clip == "-c.npy", "names that begin with a dash");
  expect(parse_options({"--help", "--whatever"}).action == Action::kHelp, "help");
  expect(parse_options({"-h"}).action == Action::kHelp && parse_options({"--version"}).action == Action::kVersion,
         "-h");
  expect(parse_options({"m.onnx", "c.npy", "--lib-dir", "/x", "--rtx"}).library_folder == "/x", "lib-dir");
  expect(parse_options({"m.onnx", "c.npy", "--plugin", "p.so", "--allow-engine-code"}).allow_engine_code, "code");
  expect(parse_options({"m.onnx", "c.npy", "--rtx", "--plugin", "p.so"}).plugin == "p.so",
         "the plugin in TensorRT-RTX");
  expect(parse_options({"m.onnx", "-e", "m.engine", "--own-kernels"}).own_kernels, "own kernels");
  expect(*parse_options({"m.onnx", "-e", "e", "--workspace=2GiB"}).workspace_bytes == uint64_t{2} << 30, "GiB");
}

void test_refused() {
  refuse({}, "no model");
  refuse({"m.onnx"}, "nothing to do");
  refuse({"m.engine"}, "nothing to do");
  refuse({"m.pth", "c.npy"}, ".onnx, .engine");
  refuse({".onnx", "c.npy"}, ".onnx, .engine");
  refuse({"m.onnx", "c.mp4"}, "named .npy");
  refuse({"m.onnx", "c.npy", "d.npy"}, "d.npy");
  refuse({"m.onnx", "c.npy", "--fp8"}, "unknown option --fp8");
  refuse({"m.onnx", "c.npy", "-x"}, "unknown option -x");
  refuse({"m.onnx", "c.npy", "-o"}, "needs a value");
  refuse({"m.onnx", "c.npy", "-o", "--json"}, "got --json");
  refuse({"m.onnx", "c.npy", "--output="}, "needs a value");
  refuse({"m.onnx", "c.npy", "--json=yes"}, "takes no value");
  refuse({"m.onnx", "c.npy", "-o", "a", "--output", "b"}, "given twice");
  refuse({"m.engine", "c.npy", "--fp16"}, "belongs to building");
  refuse({"m.engine", "c.npy", "--own-kernels"}, "belongs to building");
  refuse({"m.engine", "c.npy", "--batch", "1"}, "belongs to building");
  refuse({"m.engine", "c.npy", "-e", "n.engine"}, "belongs to building");
  refuse({"m.engine", "--bench", "-o", "y.npy"}, "needs clips");
  refuse({"m.engine", "--bench", "--expect", "y.npy"}, "needs clips");
  refuse({"m.engine", "c.npy", "--warmup", "3"}, "belongs to --bench");
  refuse({"m.engine", "c.npy", "--tolerance", "fp16"}, "belongs to --expect");
  refuse({"m.onnx", "-e", "e", "--cuda-graph", "on"}, "something to run");
  refuse({"m.onnx", "c.npy", "--rtx", "--fp16"}, "exclude");
  refuse({"m.engine", "c.npy", "-o", "c.npy"}, "used otherwise");
  refuse({"m.onnx", "c.npy", "-o", "x", "-e", "x"}, "used otherwise");
  refuse({"m.onnx", "-e", "m.onnx"}, "used otherwise");
  for (const char* batch : {"0", "1:2", "1:2:3:4", "4:2:1", "1::2", "a", "1:2:", "", "-1", "1:2:99999999", "+1"})
    refuse({"m.onnx", "-e", "e", std::string("--batch=") + batch},
           batch[0] == '\0' ? "needs a value" : "--batch: expected");
  for (const char* size : {"0", "M", "1T", "-1", "1.5G", "9999999999", "12 M"})
    refuse({"m.onnx", "-e", "e", std::string("--workspace=") + size}, "--workspace: expected");
  for (const char* limit : {"fp8", "1", "-1", "nan", "inf", "1e-3x"})
    refuse({"m.onnx", "c.npy", "--expect", "x", std::string("--tolerance=") + limit}, "--tolerance: expected");
  for (const char* runs : {"0", "-3", "x", "1000001", "99999999999999999999999"})
    refuse({"m.engine", std::string("--bench=") + runs}, "--bench: expected");
  refuse({"m.engine", "--bench="}, "--bench: expected");
  refuse({"m.engine", "c.npy", "--cuda-graph", "maybe"}, "on or off");
}

// Each option of the help is known to the parser, so that the help cannot promise what is not there.
void test_help() {
  const std::string help = vmexport::runner::help_text();
  int options = 0;
  for (size_t at = help.find("--"); at != std::string::npos; at = help.find("--", at + 2)) {
    const size_t end = help.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-", at);
    const std::string name = help.substr(at, end - at);
    ++options;
    try {
      parse_options({name});
    } catch (const vmexport::runner::Error& error) {
      expect(std::string(error.what()).find("unknown option") == std::string::npos, name + " of the help is unknown");
    }
  }
  expect(options >= 18, "the help names its options");
}

}  // namespace

void test_options() {
  test_taken();
  test_refused();
  test_help();
}

}  // namespace checks
