#include <cuda_runtime.h>

#include <cstdio>
#include <vector>

#include "../scan/validate.h"
#include "on_device.h"

namespace on_device {
namespace {

// Copies in, one launch on a stream of its own, copies back. The first CUDA error is kept and stops all later work.
class Call {
 public:
  explicit Call(int64_t offset) : offset_(static_cast<size_t>(offset)) {
    keep(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  ~Call() {
    for (const Copy& copy : copies_) cudaFree(copy.memory);
    cudaStreamDestroy(stream_);
  }

  // Device memory with the contents of `host`; null, and what has no element, stays as it is.
  template <class T>
  T* in(T* host, int64_t elements, size_t size) {
    if (host == nullptr || elements <= 0 || error_ != cudaSuccess) return host;
    Copy copy{};
    copy.host = const_cast<void*>(static_cast<const void*>(host));
    copy.bytes = static_cast<size_t>(elements) * size;
    keep(cudaMalloc(&copy.memory, copy.bytes + offset_ * size));
    copy.device = static_cast<unsigned char*>(copy.memory) + offset_ * size;
    copies_.push_back(copy);
    if (error_ == cudaSuccess) keep(cudaMemcpyAsync(copy.device, copy.host, copy.bytes, cudaMemcpyDefault, stream_));
    return reinterpret_cast<T*>(copy.device);
  }

  template <class Params>
  vmexport_status run(const Launch<Params>& kernel, const Params& params, char* message,
                      std::initializer_list<const void*> outputs) {
    vmexport_status status = VMEXPORT_OK;
    if (error_ == cudaSuccess) status = kernel(params, stream_, message);
    keep(cudaStreamSynchronize(stream_));
    for (const void* output : outputs) {
      for (const Copy& copy : copies_) {
        if (copy.device == output) keep(cudaMemcpy(copy.host, copy.device, copy.bytes, cudaMemcpyDefault));
      }
    }
    if (error_ == cudaSuccess) return status;
    std::snprintf(message, VMEXPORT_MESSAGE_SIZE, "CUDA: %s", cudaGetErrorString(error_));
    return VMEXPORT_LAUNCH_FAILED;
  }

 private:
  struct Copy {
    void* host;
    void* memory;
    unsigned char* device;  // behind the offset
    size_t bytes;
  };

  void keep(cudaError_t error) {
    if (error_ == cudaSuccess) error_ = error;
  }

  size_t offset_;  // elements
  cudaStream_t stream_ = nullptr;
  cudaError_t error_ = cudaSuccess;
  std::vector<Copy> copies_;
};

// Elements from the first to the last one of a tensor with rows of `width`; 0 where it holds none.
int64_t extent(const int64_t (&stride)[3], int64_t directions, int64_t batch, int64_t length, int64_t width) {
  if (directions < 1 || batch < 1 || length < 1) return 0;
  return (directions - 1) * stride[0] + (batch - 1) * stride[1] + (length - 1) * stride[2] + width;
}

int64_t extent(const int64_t (&stride)[2], int64_t batch, int64_t length, int64_t width) {
  const int64_t strides[3] = {0, stride[0], stride[1]};
  return extent(strides, 1, batch, length, width);
}

size_t size_of(int32_t dtype) { return dtype == VMEXPORT_FLOAT32 ? 4 : 2; }

}  // namespace

const char* missing() noexcept {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) return cudaGetErrorString(error);
  return count > 0 ? nullptr : "no CUDA device";
}

// What the kernels refuse has sizes that nobody could copy; they get it as it is and must not touch it.
vmexport_status selective_scan(const vmexport_scan_params& host, int64_t offset, char* message,
                               const Launch<vmexport_scan_params>& launch) noexcept {
  if (vmexport::validate(host, message) != VMEXPORT_OK) return launch(host, nullptr, message);
  Call call(offset);
  vmexport_scan_params p = host;
  const int64_t S = p.order.directions, B = p.batch, L = p.length, D = p.channels, N = p.states;
  const size_t size = size_of(p.dtype);
  p.u = call.in(p.u, extent(p.u_stride, S, B, L, D), size);
  p.delta = call.in(p.delta, extent(p.delta_stride, S, B, L, D), size);
  p.a = call.in(p.a, S * D * N, sizeof(float));
  p.bc = call.in(p.bc, extent(p.bc_stride, S, B, L, 2 * N), size);
  p.d = call.in(p.d, S * D, sizeof(float));
  p.delta_bias = call.in(p.delta_bias, S * D, sizeof(float));
  p.z = call.in(p.z, extent(p.z_stride, B, L, D), size);
  p.y = call.in(p.y, extent(p.y_stride, B, L, D), size);
  p.last_state = call.in(p.last_state, S * B * D * N, sizeof(float));
  return call.run(launch, p, message, {p.y, p.last_state});
}

vmexport_status causal_conv1d(const vmexport_conv_params& host, int64_t offset, char* message,
                              const Launch<vmexport_conv_params>& launch) noexcept {
  if (vmexport::validate(host, message) != VMEXPORT_OK) return launch(host, nullptr, message);
  Call call(offset);
  vmexport_conv_params p = host;
  const int64_t S = p.order.directions, B = p.batch, L = p.length, D = p.channels, K = p.taps;
  const size_t size = size_of(p.dtype);
  p.x = call.in(p.x, extent(p.x_stride, B, L, D), size);
  p.weight = call.in(p.weight, S * D * K, sizeof(float));
  p.bias = call.in(p.bias, S * D, sizeof(float));
  p.u = call.in(p.u, extent(p.u_stride, S, B, L, D), size);
  return call.run(launch, p, message, {p.u});
}

vmexport_status in_graph(void* given, char* message, const std::function<vmexport_status()>& work) noexcept {
  const cudaStream_t stream = static_cast<cudaStream_t>(given);
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  cudaError_t error = cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal);
  vmexport_status status = error == cudaSuccess ? work() : VMEXPORT_OK;
  if (error == cudaSuccess) error = cudaStreamEndCapture(stream, &graph);
  if (error == cudaSuccess) error = cudaGraphInstantiateWithFlags(&executable, graph, 0);
  if (error == cudaSuccess && status == VMEXPORT_OK) error = cudaGraphLaunch(executable, stream);
  if (error == cudaSuccess) error = cudaStreamSynchronize(stream);
  if (executable != nullptr) cudaGraphExecDestroy(executable);
  if (graph != nullptr) cudaGraphDestroy(graph);
  if (error == cudaSuccess) return status;
  std::snprintf(message, VMEXPORT_MESSAGE_SIZE, "CUDA graph: %s", cudaGetErrorString(error));
  return VMEXPORT_LAUNCH_FAILED;
}

}  // namespace on_device
