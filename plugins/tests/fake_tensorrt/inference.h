// A TensorRT whose engines are texts: the objects behind IBuilder, IRuntime and the rest, as far as vmexport-run uses
// them.
#ifndef VMEXPORT_TESTS_FAKE_TENSORRT_INFERENCE_H
#define VMEXPORT_TESTS_FAKE_TENSORRT_INFERENCE_H

#include <NvInfer.h>

#include <string>
#include <vector>

#include "control.h"
#include "stubs.h"

namespace fake {

constexpr int64_t kChannels = 3, kFrames = 2, kSize = 4, kClasses = 7;
constexpr int64_t kClipElements = kChannels * kFrames * kSize * kSize;
constexpr uint64_t kActivationBytes = 4096;

// What an engine's text says.
struct Plan {
  int64_t batch = -1, min = 1, opt = 1, max = 1;
  int half_input = 0, half_output = 0, inputs = 1, outputs = 1;
};

std::string plan_text(const Plan& plan);
bool parse_plan(const std::string& text, Plan* plan);

// Logs as TensorRT does before it gives back nothing.
VMEXPORT_FAKE void say(nvinfer1::ILogger* logger, const std::string& words);

nvinfer1::Dims dims(const std::vector<int64_t>& sizes);

// An interface of TensorRT and its implementation, born and dying together: TensorRT's classes are shells around one.
template <class Interface, class Implementation>
class Object : public Interface {
 public:
  template <class... Arguments>
  explicit Object(const char* name, Arguments&&... arguments) : implementation_(std::forward<Arguments>(arguments)...) {
    this->mImpl = &implementation_;
    born(this, name);
  }
  ~Object() override { died(this); }
  Implementation& implementation() { return implementation_; }

 private:
  Implementation implementation_;
};

nvinfer1::IRuntime* create_runtime(nvinfer1::ILogger* logger);
nvinfer1::IBuilder* create_builder(nvinfer1::ILogger* logger);

}  // namespace fake

#endif  // VMEXPORT_TESTS_FAKE_TENSORRT_INFERENCE_H
