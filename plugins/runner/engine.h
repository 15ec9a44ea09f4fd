// A deserialised engine, and what it takes and gives.
#ifndef VMEXPORT_RUNNER_ENGINE_H
#define VMEXPORT_RUNNER_ENGINE_H

#include <memory>
#include <string>
#include <vector>

#include "libraries.h"

namespace vmexport::runner {

// One tensor that goes in or comes out.
struct Port {
  std::string name;
  bool half = false;           // float16, else float32
  std::vector<int64_t> shape;  // -1 where the batch is dynamic
};

class Engine {
 public:
  // `bytes` are a serialised engine, `name` is for errors. Throws kBadInput where TensorRT does not take it (another
  // version, another GPU, damaged) or where it is no network from clips to logits, kOutOfMemory.
  Engine(const Libraries& libraries, Log& log, const std::string& bytes, const std::string& name, bool allow_code);

  const Port& input() const { return input_; }    // (B, 3, T, H, W)
  const Port& output() const { return output_; }  // (B, classes)
  const BatchProfile& profile() const { return profile_; }
  std::vector<int64_t> clip_shape(int64_t batch) const;

  nvinfer1::ICudaEngine& get() const { return *engine_; }

 private:
  Port read_port(const char* name) const;
  void read_ports(const std::string& name);

  std::unique_ptr<nvinfer1::IRuntime> runtime_;  // has to live longer than the engine
  std::unique_ptr<nvinfer1::ICudaEngine> engine_;
  Port input_, output_;
  BatchProfile profile_;
};

}  // namespace vmexport::runner

#endif  // VMEXPORT_RUNNER_ENGINE_H
