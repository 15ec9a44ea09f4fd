// Runtime, engine and execution context of the fake TensorRT.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <cstring>

#include "../../scan/half.h"
#include "inference.h"

namespace fake {
namespace {

using nvinfer1::Dims;
using nvinfer1::OptProfileSelector;

float load(const void* data, bool half, int64_t index) {
  if (!half) return static_cast<const float*>(data)[index];
  return to_float(static_cast<const float16*>(data)[index]);
}

void store(void* data, bool half, int64_t index, float value) {
  if (half)
    static_cast<float16*>(data)[index] = to_float16(value);
  else
    static_cast<float*>(data)[index] = value;
}

// Class c of a clip is the sum of its elements times sin(c + 1 + 0.1 i): every element counts, each class in another
// way.
void compute(const Plan& plan, int64_t batch, const void* clips, void* logits) {
  const int run = record().runs++;
  if (scenario().silent) return;
  for (int64_t clip = 0; clip < batch; ++clip) {
    for (int64_t c = 0; c < kClasses; ++c) {
      double sum = run >= scenario().nan_from ? NAN : 0;
      for (int64_t i = 0; i < kClipElements; ++i)
        sum += load(clips, plan.half_input, clip * kClipElements + i) *
               sin(static_cast<double>(c + 1) + 0.1 * static_cast<double>(i));
      if (run >= scenario().wrong_from && c == 3) sum += 5;
      store(logits, plan.half_output, clip * kClasses + c, static_cast<float>(sum));
    }
  }
}

class Context : public nvinfer1::apiv::StubVExecutionContext {
 public:
  Context(const Plan& plan, nvinfer1::ILogger* logger) : plan_(plan), logger_(logger) {}

  void setDeviceMemory(void* memory) noexcept override { memory_ = is_device_memory(memory, kActivationBytes); }
#if NV_TENSORRT_MAJOR > 10 || (NV_TENSORRT_MAJOR == 10 && NV_TENSORRT_MINOR >= 1)
  void setDeviceMemoryV2(void* memory, int64_t size) noexcept override {
    memory_ = static_cast<uint64_t>(size) >= kActivationBytes && is_device_memory(memory, kActivationBytes);
  }
#endif

  bool setInputShape(char const* name, Dims const& shape) noexcept override {
    const Dims expected = dims({shape.d[0], kChannels, kFrames, kSize, kSize});
    batch_ = shape.d[0];
    return strcmp(name, "clips") == 0 && shape.nbDims == 5 && memcmp(shape.d, expected.d, 5 * sizeof shape.d[0]) == 0 &&
           batch_ >= plan_.min && batch_ <= plan_.max;
  }

  bool setTensorAddress(char const* name, void* data) noexcept override {
    if (strcmp(name, "clips") == 0)
      clips_ = data;
    else if (strcmp(name, "logits") == 0)
      logits_ = data;
    else
      return false;
    return true;
  }

  bool enqueueV3(cudaStream_t stream) noexcept override {
    const uint64_t count = static_cast<uint64_t>(batch_);
    const bool ready = memory_ && batch_ > 0 &&
                       is_device_memory(clips_, count * kClipElements * (plan_.half_input ? 2 : 4)) &&
                       is_device_memory(logits_, count * kClasses * (plan_.half_output ? 2 : 4));
    if (!ready || fails("enqueue")) return say(logger_, ready ? scenario().says : "something is not bound"), false;
    fake::enqueue(stream, [plan = plan_, batch = batch_, clips = clips_, logits = logits_] {
      compute(plan, batch, clips, logits);
    });
    return true;
  }

 private:
  Plan plan_;
  nvinfer1::ILogger* logger_;
  bool memory_ = false;
  int64_t batch_ = 0;
  void *clips_ = nullptr, *logits_ = nullptr;
};

class Engine : public nvinfer1::apiv::StubVCudaEngine {
 public:
  Engine(const Plan& plan, nvinfer1::ILogger* logger) : plan_(plan), logger_(logger) {}

  int32_t getNbIOTensors() const noexcept override { return plan_.inputs + plan_.outputs; }
  char const* getIOTensorName(int32_t index) const noexcept override {
    return index < plan_.inputs ? "clips" : "logits";
  }
  nvinfer1::TensorIOMode getTensorIOMode(char const* name) const noexcept override {
    return is_clips(name) ? nvinfer1::TensorIOMode::kINPUT : nvinfer1::TensorIOMode::kOUTPUT;
  }
  nvinfer1::DataType getTensorDataType(char const* name) const noexcept override {
    const int half = is_clips(name) ? plan_.half_input : plan_.half_output;
    return static_cast<nvinfer1::DataType>(half);  // 0 float32, 1 float16, 3 int32
  }
  Dims getTensorShape(char const* name) const noexcept override {
    return is_clips(name) ? dims({plan_.batch, kChannels, kFrames, kSize, kSize}) : dims({plan_.batch, kClasses});
  }
  Dims getProfileShape(char const*, int32_t, OptProfileSelector select) const noexcept override {
    const int64_t batch = select == OptProfileSelector::kMIN   ? plan_.min
                          : select == OptProfileSelector::kOPT ? plan_.opt
                                                               : plan_.max;
    return dims({batch, kChannels, kFrames, kSize, kSize});
  }
#if NV_TENSORRT_MAJOR > 10 || (NV_TENSORRT_MAJOR == 10 && NV_TENSORRT_MINOR >= 1)
  int64_t getDeviceMemorySizeV2() const noexcept override { return kActivationBytes; }
#else
  size_t getDeviceMemorySize() const noexcept override { return kActivationBytes; }
#endif
#if NV_TENSORRT_MAJOR >= 10
  nvinfer1::IExecutionContext* createExecutionContext(
      nvinfer1::ExecutionContextAllocationStrategy strategy) noexcept override {
    if (strategy != nvinfer1::ExecutionContextAllocationStrategy::kUSER_MANAGED) unexpected("another strategy");
#else
  nvinfer1::IExecutionContext* createExecutionContextWithoutDeviceMemory() noexcept override {
#endif
    if (fails("createExecutionContext")) return say(logger_, scenario().says), nullptr;
    return new Object<nvinfer1::IExecutionContext, Context>("execution context", plan_, logger_);
  }

 private:
  static bool is_clips(char const* name) { return strcmp(name, "clips") == 0; }

  Plan plan_;
  nvinfer1::ILogger* logger_;
};

class Runtime : public nvinfer1::apiv::StubVRuntime {
 public:
  explicit Runtime(nvinfer1::ILogger* logger) : logger_(logger) {}

#if NV_TENSORRT_MAJOR >= 10
  nvinfer1::ICudaEngine* deserializeCudaEngine(void const* blob, std::size_t size) noexcept override {
#else
  nvinfer1::ICudaEngine* deserializeCudaEngine(void const* blob, std::size_t size,
                                               nvinfer1::IPluginFactory*) noexcept override {
#endif
    Plan plan;
    if (!parse_plan(std::string(static_cast<const char*>(blob), size), &plan))
      return say(logger_, "Magic tag does not match"), nullptr;
    if (fails("deserialize")) return say(logger_, scenario().says), nullptr;
    return new Object<nvinfer1::ICudaEngine, Engine>("engine", plan, logger_);
  }
#if NV_TENSORRT_MAJOR > 8 || NV_TENSORRT_MINOR >= 6
  void setEngineHostCodeAllowed(bool allowed) noexcept override { record().engine_code_allowed = allowed; }
#endif

 private:
  nvinfer1::ILogger* logger_;
};

}  // namespace

void unexpected(const char* function) {
  fprintf(stderr, "fake TensorRT: nobody should call %s\n", function);
  abort();
}

std::string plan_text(const Plan& plan) {
  char text[160];
  snprintf(text, sizeof text, "fake engine %ld %ld %ld %ld %d %d %d %d\n", static_cast<long>(plan.batch),
           static_cast<long>(plan.min), static_cast<long>(plan.opt), static_cast<long>(plan.max), plan.half_input,
           plan.half_output, plan.inputs, plan.outputs);
  return text;
}

bool parse_plan(const std::string& text, Plan* plan) {
  long sizes[4];
  int end = 0;
  const int count = sscanf(text.c_str(), "fake engine %ld %ld %ld %ld %d %d %d %d\n%n", &sizes[0], &sizes[1], &sizes[2],
                           &sizes[3], &plan->half_input, &plan->half_output, &plan->inputs, &plan->outputs, &end);
  if (count != 8 || text.back() != '\n') return false;
  plan->batch = sizes[0], plan->min = sizes[1], plan->opt = sizes[2], plan->max = sizes[3];
  return true;
}

void say(nvinfer1::ILogger* logger, const std::string& words) {
  logger->log(nvinfer1::ILogger::Severity::kERROR, words.c_str());
}

Dims dims(const std::vector<int64_t>& sizes) {
  Dims result{};
  result.nbDims = static_cast<int32_t>(sizes.size());
  for (size_t i = 0; i < sizes.size(); ++i) result.d[i] = sizes[i];
  return result;
}

nvinfer1::IRuntime* create_runtime(nvinfer1::ILogger* logger) {
  return new Object<nvinfer1::IRuntime, Runtime>("runtime", logger);
}

}  // namespace fake
