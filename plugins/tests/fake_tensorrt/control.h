// What the tests tell the fake CUDA runtime and the fake TensorRT, which share it.
#ifndef VMEXPORT_TESTS_FAKE_TENSORRT_CONTROL_H
#define VMEXPORT_TESTS_FAKE_TENSORRT_CONTROL_H

#include <cuda_runtime_api.h>
#include <stdint.h>

#include <functional>
#include <set>
#include <string>
#include <vector>

#define VMEXPORT_FAKE __attribute__((visibility("default")))

namespace fake {

// How the machine and the network behave; the default works.
struct Scenario {
  int devices = 1;
  uint64_t memory = uint64_t{1} << 30;
  std::string fails;                            // name of the function that fails ...
  int fails_at = 0;                             // ... at its call of this number, counted from 0
  cudaError_t status = cudaErrorLaunchFailure;  // of a CUDA function that fails
  std::string says = "it failed";               // logged by a function of TensorRT that fails
  std::string foreign;                          // a plugin that is another library's: "vmexport::SelectiveScan"
  // The network that the fake parser reads:
  int64_t batch = -1;  // -1: dynamic
  int inputs = 1, outputs = 1;
  bool half_input = false, half_output = false;
  // What an engine computes:
  int nan_from = 1 << 30, wrong_from = 1 << 30;  // from this run on, counted from 0
  bool silent = false;                           // writes no logits at all
};

// What happened.
struct Record {
  uint64_t workspace = 0;
  uint32_t network_flags = 0, builder_flags = 0;
  std::string model;  // that was parsed
  int runs = 0, graph_launches = 0;
  bool engine_code_allowed = false;
  bool tf32 = true;  // as TensorRT begins
  uint32_t tactic_sources = 31;
  uint64_t peak_memory = 0;
  std::set<std::string> plugins;  // that are registered: "vmexport::SelectiveScan"
};

VMEXPORT_FAKE Scenario& scenario();
VMEXPORT_FAKE Record& record();

// A new scenario and an empty record. Throws std::logic_error where something of the last one is still alive.
VMEXPORT_FAKE void reset();

// Objects of CUDA and TensorRT that are alive, one name each; empty where all was given back.
VMEXPORT_FAKE std::vector<std::string> alive();
VMEXPORT_FAKE void born(const void* object, const std::string& name);
VMEXPORT_FAKE void died(const void* object);

// What a library does when it is loaded, once a process: both plugins are registered now and in all worlds to come.
VMEXPORT_FAKE void register_plugins();

// Whether this call of `function` has to fail; counts the calls.
VMEXPORT_FAKE bool fails(const std::string& function);

// Whether memory of the device from here on is allocated.
VMEXPORT_FAKE bool is_device_memory(const void* address, uint64_t bytes);

// Puts work on a stream, where it waits until somebody waits for the stream, as on a GPU: a result that is read too
// early is an old one. While the stream is captured the work goes into the graph.
VMEXPORT_FAKE void enqueue(cudaStream_t stream, std::function<void()> work);

}  // namespace fake

#endif  // VMEXPORT_TESTS_FAKE_TENSORRT_CONTROL_H
