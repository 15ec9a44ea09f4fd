// An engine ready to run one batch size: device memory is held as long as this lives.
#ifndef VMEXPORT_RUNNER_SESSION_H
#define VMEXPORT_RUNNER_SESSION_H

#include <memory>

#include "cuda.h"
#include "engine.h"
#include "npy.h"
#include "statistics.h"

namespace vmexport::runner {

class Session {
 public:
  // Throws kBadInput for a batch outside the profile, kOutOfMemory, and kBuildFailed where a CUDA graph is wanted and
  // the engine cannot be recorded.
  Session(const Engine& engine, Log& log, int64_t batch, bool cuda_graph);

  // Clips of the engine's shape to logits (B, classes). Throws kBadInput for another shape.
  Array run(const Array& clips);

  // The last clips again, `runs` times after `warmup` untimed ones; each run is timed by itself on the device.
  // `transfers`: the copies from and to pinned host memory belong to a run.
  Latency time(int warmup, int runs, bool transfers);

  // The logits that the last run left on the device.
  Array logits();

  uint64_t activation_bytes() const { return activation_bytes_; }

 private:
  void prepare();
  void enqueue();
  void launch();
  void upload();
  void download();
  void synchronise();

  const Engine& engine_;
  Log& log_;
  const int64_t batch_;
  uint64_t activation_bytes_ = 0, input_bytes_ = 0, output_bytes_ = 0;
  // In this order: the context is destroyed before the memory that it works in.
  Stream stream_;
  DeviceMemory activations_, device_input_, device_output_;
  PinnedMemory host_input_, host_output_;
  std::unique_ptr<nvinfer1::IExecutionContext> context_;
  Graph graph_;
  Drained drained_{stream_};  // the first to go
};

}  // namespace vmexport::runner

#endif  // VMEXPORT_RUNNER_SESSION_H
