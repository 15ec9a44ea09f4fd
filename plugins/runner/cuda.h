// The CUDA runtime as this program needs it: everything has an owner, every failure is an error with a reason.
#ifndef VMEXPORT_RUNNER_CUDA_H
#define VMEXPORT_RUNNER_CUDA_H

#include <cuda_runtime_api.h>
#include <stdint.h>

#include <functional>
#include <string>
#include <utility>

namespace vmexport::runner {

// Throws kOutOfMemory, kEnvironment (no driver, no device) or kBug; `doing` completes "while ...".
void check_cuda(cudaError_t status, const std::string& doing);

struct Device {
  std::string name;
  int compute_major = 0, compute_minor = 0;
};

// Makes a GPU the current one. Throws kEnvironment where there is none of this number.
Device select_device(int number);

// Bytes that are free on the current device.
uint64_t free_device_memory();

// Owns something that the CUDA runtime created; `Destroy` gives it back.
template <class T, cudaError_t (*Destroy)(T)>
class Owned {
 public:
  Owned() = default;
  explicit Owned(T value) : value_(value) {}
  ~Owned() {
    if (value_ != nullptr) Destroy(value_);
  }
  Owned(Owned&& other) noexcept : value_(std::exchange(other.value_, nullptr)) {}
  Owned& operator=(Owned&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  T get() const { return value_; }

 private:
  T value_ = nullptr;
};

using DeviceMemory = Owned<void*, cudaFree>;
using PinnedMemory = Owned<void*, cudaFreeHost>;  // host memory that transfers need not copy first
using Stream = Owned<cudaStream_t, cudaStreamDestroy>;
using Event = Owned<cudaEvent_t, cudaEventDestroy>;
using Graph = Owned<cudaGraphExec_t, cudaGraphExecDestroy>;

// At its end it waits for a stream: after an error there may be work left on it that uses what is given back next.
class Drained {
 public:
  explicit Drained(const Stream& stream) : stream_(stream) {}
  ~Drained() {
    if (stream_.get() != nullptr) cudaStreamSynchronize(stream_.get());
  }
  Drained(const Drained&) = delete;
  Drained& operator=(const Drained&) = delete;

 private:
  const Stream& stream_;
};

// At least one byte is allocated, so that the address is never null; `what` is for the error.
DeviceMemory allocate_device(uint64_t bytes, const std::string& what);
PinnedMemory allocate_pinned(uint64_t bytes, const std::string& what);
Stream create_stream();
Event create_event();

// Records what `enqueue` puts on the stream. Throws kBuildFailed where it cannot be recorded.
Graph capture(cudaStream_t stream, const std::function<void()>& enqueue);

// Milliseconds on the device between two events that were reached.
double elapsed_ms(const Event& begin, const Event& end);

}  // namespace vmexport::runner

#endif  // VMEXPORT_RUNNER_CUDA_H
