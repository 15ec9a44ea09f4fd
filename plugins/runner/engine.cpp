#include "engine.h"

#include <algorithm>

#include "error.h"
#include "npy.h"

namespace vmexport::runner {
namespace {

std::vector<int64_t> sizes_of(const nvinfer1::Dims& shape) {
  return std::vector<int64_t>(shape.d, shape.d + std::max<int>(0, shape.nbDims));
}

[[noreturn]] void not_ours(const std::string& name, const std::string& why) {
  throw Error(Exit::kBadInput, name + " is no engine from clips to logits", why,
              "build it from a file of vmexport onnx");
}

}  // namespace

Engine::Engine(const Libraries& libraries, Log& log, const std::string& bytes, const std::string& name, bool allow_code)
    : runtime_(libraries.create_runtime(log)) {
  if (allow_code) allow_engine_code(*runtime_);
  engine_.reset(runtime_->deserializeCudaEngine(bytes.data(), bytes.size()));
  if (!engine_) {
    const std::string said = log.take_errors();
    if (speaks_of_memory(said))
      throw Error(Exit::kOutOfMemory, "out of memory while loading " + name, said,
                  "close other programs on this device");
    throw Error(Exit::kBadInput, libraries.name() + " does not take " + name,
                said.empty() ? "it gave no reason; --verbose shows all that it says" : said,
                "build it on this machine, with this TensorRT and this GPU: vmexport-run model.onnx -e " + name);
  }
  read_ports(name);
}

Port Engine::read_port(const char* name) const {
  const nvinfer1::DataType type = engine_->getTensorDataType(name);
  if (type != nvinfer1::DataType::kFLOAT && type != nvinfer1::DataType::kHALF)
    not_ours(name, "expected float32 or float16, got type " + std::to_string(static_cast<int>(type)));
  return {name, type == nvinfer1::DataType::kHALF, sizes_of(engine_->getTensorShape(name))};
}

void Engine::read_ports(const std::string& name) {
  int inputs = 0, outputs = 0;
  for (int i = 0; i < engine_->getNbIOTensors(); ++i) {
    const char* tensor = engine_->getIOTensorName(i);
    const bool is_input = engine_->getTensorIOMode(tensor) == nvinfer1::TensorIOMode::kINPUT;
    (is_input ? input_ : output_) = read_port(tensor);
    ++(is_input ? inputs : outputs);
  }
  if (inputs != 1 || outputs != 1)
    not_ours(name,
             "expected one input and one output, got " + std::to_string(inputs) + " and " + std::to_string(outputs));
  const auto dynamic = [](int64_t size) { return size < 0; };
  if (input_.shape.size() != 5 || input_.shape[1] != 3 ||
      std::any_of(input_.shape.begin() + 1, input_.shape.end(), dynamic))
    not_ours(name, "expected an input (B, 3, T, H, W), got " + shape_text(input_.shape));
  if (output_.shape.size() != 2 || output_.shape[1] < 1)
    not_ours(name, "expected an output (B, classes), got " + shape_text(output_.shape));
  const auto batch = [this](nvinfer1::OptProfileSelector which) {
    return static_cast<int64_t>(engine_->getProfileShape(input_.name.c_str(), 0, which).d[0]);
  };
  profile_ = {batch(nvinfer1::OptProfileSelector::kMIN), batch(nvinfer1::OptProfileSelector::kOPT),
              batch(nvinfer1::OptProfileSelector::kMAX)};
}

std::vector<int64_t> Engine::clip_shape(int64_t batch) const {
  std::vector<int64_t> shape = input_.shape;
  shape[0] = batch;
  return shape;
}

}  // namespace vmexport::runner
