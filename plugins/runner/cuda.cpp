#include "cuda.h"

#include "error.h"

namespace vmexport::runner {
namespace {

bool is_environment(cudaError_t status) {
  switch (status) {
    case cudaErrorNoDevice:
    case cudaErrorInsufficientDriver:
    case cudaErrorInvalidDevice:
    case cudaErrorDevicesUnavailable:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorSystemNotReady:
    case cudaErrorInitializationError:
    case cudaErrorStubLibrary:
    case cudaErrorCompatNotSupportedOnDevice: return true;
    default: return false;
  }
}

std::string reason(cudaError_t status) {
  return std::string(cudaGetErrorString(status)) + " (" + cudaGetErrorName(status) + ")";
}

}  // namespace

void check_cuda(cudaError_t status, const std::string& doing) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // or the next call reports it again
  const std::string what = "CUDA failed while " + doing;
  if (status == cudaErrorMemoryAllocation)
    throw Error(Exit::kOutOfMemory, "out of memory while " + doing, reason(status),
                "close other programs on this device, or give a smaller batch");
  if (is_environment(status))
    throw Error(Exit::kEnvironment, what, reason(status),
                "check the driver and the device: nvidia-smi (Jetson: tegrastats)");
  throw Error(Exit::kBug, what, reason(status), "run it again under compute-sanitizer to see where");
}

Device select_device(int number) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  // A machine without any driver says that its driver is too old.
  if (is_environment(status))
    throw Error(Exit::kEnvironment, "no GPU that CUDA can use", reason(status),
                "install or update the NVIDIA driver, or run this on a machine with a GPU (nvidia-smi shows both)");
  check_cuda(status, "looking for a GPU");
  if (number >= count)
    throw Error(Exit::kEnvironment, "no GPU number " + std::to_string(number),
                "this machine shows " + std::to_string(count) + ", counted from 0", "choose another one: --device 0");
  check_cuda(cudaSetDevice(number), "choosing the GPU");
  cudaDeviceProp properties;
  check_cuda(cudaGetDeviceProperties(&properties, number), "reading the GPU's properties");
  check_cuda(cudaFree(nullptr), "preparing the GPU");  // creates the context, so that later figures leave it out
  return {properties.name, properties.major, properties.minor};
}

uint64_t free_device_memory() {
  size_t free = 0, total = 0;
  check_cuda(cudaMemGetInfo(&free, &total), "reading the free memory");
  return free;
}

DeviceMemory allocate_device(uint64_t bytes, const std::string& what) {
  void* memory = nullptr;
  check_cuda(cudaMalloc(&memory, bytes > 0 ? bytes : 1),
             "allocating " + std::to_string(bytes >> 20) + " MiB of device memory for " + what);
  return DeviceMemory(memory);
}

PinnedMemory allocate_pinned(uint64_t bytes, const std::string& what) {
  void* memory = nullptr;
  check_cuda(cudaMallocHost(&memory, bytes > 0 ? bytes : 1),
             "allocating " + std::to_string(bytes >> 20) + " MiB of host memory for " + what);
  return PinnedMemory(memory);
}

Stream create_stream() {
  cudaStream_t stream = nullptr;
  check_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "creating a stream");
  return Stream(stream);
}

Event create_event() {
  cudaEvent_t event = nullptr;
  check_cuda(cudaEventCreate(&event), "creating an event");
  return Event(event);
}

Graph capture(cudaStream_t stream, const std::function<void()>& enqueue) {
  const auto check = [](cudaError_t status) {
    if (status == cudaSuccess) return;
    cudaGetLastError();
    throw Error(Exit::kBuildFailed, "the engine could not be recorded as a CUDA graph", reason(status),
                "run it without one: --cuda-graph off");
  };
  cudaGraph_t recorded = nullptr;
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  try {
    enqueue();
  } catch (...) {
    cudaStreamEndCapture(stream, &recorded);
    if (recorded != nullptr) cudaGraphDestroy(recorded);
    throw;
  }
  check(cudaStreamEndCapture(stream, &recorded));
  const Owned<cudaGraph_t, cudaGraphDestroy> owner(recorded);
  cudaGraphExec_t graph = nullptr;
  check(cudaGraphInstantiateWithFlags(&graph, recorded, 0));
  return Graph(graph);
}

double elapsed_ms(const Event& begin, const Event& end) {
  float milliseconds = 0;
  check_cuda(cudaEventElapsedTime(&milliseconds, begin.get(), end.get()), "reading the time");
  return milliseconds;
}

}  // namespace vmexport::runner
