// Where whole runs are tested: files of a small network, and runs on the fakes of TensorRT and CUDA.
#ifndef VMEXPORT_TESTS_RUNNER_WORLD_H
#define VMEXPORT_TESTS_RUNNER_WORLD_H

#include <string>
#include <vector>

#include "../../runner/run.h"
#include "../fake_tensorrt/control.h"

namespace checks {

using vmexport::runner::Array;
using vmexport::runner::Report;
using Words = std::vector<std::string>;

// An engine of the fake TensorRT, batches 1:2:4.
inline const std::string kDynamic = "fake engine -1 1 2 4 0 0 1 1\n";

// A file in this run's folder; `write` fills it and gives back where it is.
std::string path(const std::string& name);
std::string write(const std::string& name, const std::string& bytes);

// Clips, and what the fake engine computes of them, as arrays and as files.
Array clips(int64_t batch);
Array logits(const Array& of);
std::string clip_file(int64_t batch);
std::string expected_file(int64_t batch);

// An ONNX file of one node, with its function body where wanted.
std::string onnx_file(bool body);
// The same from before operators named their plugin's namespace.
std::string old_onnx_file();

// A run in a world of its own, after which nothing may be alive.
Report in(const fake::Scenario& scenario, const Words& words);

// What the last run told besides its report.
const std::string& notes();

// A world in which a function fails from one of its calls on.
fake::Scenario failing(const std::string& function, int at = 0, cudaError_t status = cudaErrorLaunchFailure);

// Tests of emulated_build_tests.cpp.
void test_building();
void test_build_memory();
void test_failed_builds();
void test_plugins();

}  // namespace checks

#endif  // VMEXPORT_TESTS_RUNNER_WORLD_H
