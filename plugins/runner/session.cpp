#include "session.h"

#include <string.h>

#include <functional>
#include <numeric>

#include "../scan/half.h"
#include "error.h"

namespace vmexport::runner {
namespace {

uint64_t element_count(const std::vector<int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), uint64_t{1}, std::multiplies<uint64_t>());
}

uint64_t bytes_of(const Port& port, uint64_t batch) {
  uint64_t count = batch;
  for (size_t i = 1; i < port.shape.size(); ++i) count *= static_cast<uint64_t>(port.shape[i]);
  return count * (port.half ? sizeof(float16) : sizeof(float));
}

[[noreturn]] void fail(Log& log, const std::string& doing) {
  const std::string said = log.take_errors();
  throw Error(speaks_of_memory(said) ? Exit::kOutOfMemory : Exit::kBug, "TensorRT failed while " + doing, said);
}

}  // namespace

Session::Session(const Engine& engine, Log& log, int64_t batch, bool cuda_graph)
    : engine_(engine), log_(log), batch_(batch) {
  const BatchProfile& profile = engine.profile();
  if (batch < profile.min || batch > profile.max)
    throw Error(Exit::kBadInput, "the engine does not serve a batch of " + std::to_string(batch),
                "expected " + std::to_string(profile.min) + " to " + std::to_string(profile.max) + " clips",
                "give as many, or build an engine for them: vmexport-run model.onnx --batch MIN:OPT:MAX");
  stream_ = create_stream();
  prepare();
  if (!cuda_graph) return;
  // The first run may load code and set up its memory, which cannot be recorded.
  check_cuda(cudaMemsetAsync(device_input_.get(), 0, input_bytes_, stream_.get()), "clearing the input");
  enqueue();
  synchronise();
  graph_ = capture(stream_.get(), [this] { enqueue(); });
}

void Session::prepare() {
  nvinfer1::ICudaEngine& engine = engine_.get();
  const Port &input = engine_.input(), &output = engine_.output();
  activation_bytes_ = working_memory(engine);
  input_bytes_ = bytes_of(input, static_cast<uint64_t>(batch_));
  output_bytes_ = bytes_of(output, static_cast<uint64_t>(batch_));
  activations_ = allocate_device(activation_bytes_, "activations");
  device_input_ = allocate_device(input_bytes_, "the clips");
  device_output_ = allocate_device(output_bytes_, "the logits");
  host_input_ = allocate_pinned(input_bytes_, "the clips");
  host_output_ = allocate_pinned(output_bytes_, "the logits");
  context_.reset(create_context(engine));
  if (!context_) fail(log_, "creating an execution context");
  give_memory(*context_, activations_.get(), activation_bytes_);
  nvinfer1::Dims shape{};
  shape.nbDims = static_cast<int32_t>(input.shape.size());
  for (size_t i = 0; i < input.shape.size(); ++i) shape.d[i] = input.shape[i];
  shape.d[0] = batch_;
  if (!context_->setInputShape(input.name.c_str(), shape) ||
      !context_->setTensorAddress(input.name.c_str(), device_input_.get()) ||
      !context_->setTensorAddress(output.name.c_str(), device_output_.get()))
    fail(log_, "binding clips and logits");
}

void Session::enqueue() {
  if (!context_->enqueueV3(stream_.get())) fail(log_, "running the engine");
}

void Session::launch() {
  if (graph_.get() == nullptr) return enqueue();
  check_cuda(cudaGraphLaunch(graph_.get(), stream_.get()), "launching the CUDA graph");
}

void Session::upload() {
  check_cuda(
      cudaMemcpyAsync(device_input_.get(), host_input_.get(), input_bytes_, cudaMemcpyHostToDevice, stream_.get()),
      "copying the clips");
}

void Session::download() {
  check_cuda(
      cudaMemcpyAsync(host_output_.get(), device_output_.get(), output_bytes_, cudaMemcpyDeviceToHost, stream_.get()),
      "copying the logits");
}

void Session::synchronise() { check_cuda(cudaStreamSynchronize(stream_.get()), "running the engine"); }

Array Session::run(const Array& clips) {
  const std::vector<int64_t> expected = engine_.clip_shape(batch_);
  if (clips.shape != expected)
    throw Error(Exit::kBadInput, "the clips do not fit the engine",
                "expected " + shape_text(expected) + ", got " + shape_text(clips.shape));
  if (engine_.input().half) {
    float16* target = static_cast<float16*>(host_input_.get());
    for (size_t i = 0; i < clips.data.size(); ++i) target[i] = to_float16(clips.data[i]);
  } else {
    memcpy(host_input_.get(), clips.data.data(), input_bytes_);
  }
  // Bytes that are no result: an engine that wrote nothing would otherwise leave an earlier one.
  check_cuda(cudaMemsetAsync(device_output_.get(), 0xff, output_bytes_, stream_.get()), "clearing the logits");
  upload();
  launch();
  return logits();
}

Array Session::logits() {
  download();
  synchronise();
  Array array{{batch_, engine_.output().shape[1]}, {}};
  array.data.resize(element_count(array.shape));
  if (!engine_.output().half) {
    memcpy(array.data.data(), host_output_.get(), output_bytes_);
    return array;
  }
  const float16* source = static_cast<const float16*>(host_output_.get());
  for (size_t i = 0; i < array.data.size(); ++i) array.data[i] = to_float(source[i]);
  return array;
}

Latency Session::time(int warmup, int runs, bool transfers) {
  const Event begin = create_event(), end = create_event();
  std::vector<double> samples;
  samples.reserve(static_cast<size_t>(runs));
  for (int i = 0; i < warmup + runs; ++i) {
    check_cuda(cudaEventRecord(begin.get(), stream_.get()), "timing");
    if (transfers) upload();
    launch();
    if (transfers) download();
    check_cuda(cudaEventRecord(end.get(), stream_.get()), "timing");
    synchronise();
    if (i >= warmup) samples.push_back(elapsed_ms(begin, end));
  }
  return summarise(std::move(samples));
}

}  // namespace vmexport::runner
