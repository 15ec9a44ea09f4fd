#include "runtime.h"

#include <map>
#include <mutex>
#include <utility>

namespace emulation {
namespace {

constexpr int kDefaultShared = 48 * 1024;  // what a kernel may have without a grant

std::mutex guard;
std::mutex running;                                  // the emulated block is one
std::map<std::pair<int, const void*>, int> granted;  // by device and kernel; no entry: not loaded
Counts counted;
bool broken = false;
std::function<void()> before_launch;
std::function<std::string(const void*, const Launch&, void**)> run;

thread_local int current = 0;
thread_local bool captures = false;
thread_local cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;

// Under `guard`.
cudaError_t load(const void* kernel) {
  if (kernel == nullptr) return cudaErrorInvalidDeviceFunction;
  if (broken) return cudaErrorNoKernelImageForDevice;
  const auto key = std::make_pair(current, kernel);
  if (granted.count(key) != 0) return cudaSuccess;
  if (captures && mode != cudaStreamCaptureModeRelaxed) return cudaErrorStreamCaptureUnsupported;
  granted[key] = kDefaultShared;
  return cudaSuccess;
}

}  // namespace

Counts counts() {
  const std::lock_guard<std::mutex> lock(guard);
  return counted;
}
void use_device(int device) { current = device; }
void capture(bool on) { captures = on; }
bool relaxed() { return mode == cudaStreamCaptureModeRelaxed; }
void break_code(bool on) { broken = on; }
void set_before_launch(std::function<void()> hook) { before_launch = std::move(hook); }
void set_run(std::function<std::string(const void*, const Launch&, void**)> function) { run = std::move(function); }
void reset_device() {
  const std::lock_guard<std::mutex> lock(guard);
  for (auto at = granted.begin(); at != granted.end();) at = at->first.first == current ? granted.erase(at) : ++at;
}

}  // namespace emulation

using namespace emulation;

cudaError_t cudaGetDevice(int* device) {
  *device = current;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  const std::lock_guard<std::mutex> lock(guard);
  ++counted.device_questions;
  switch (attribute) {  // an H200
    case cudaDevAttrMultiProcessorCount: *value = 132; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = 227 * 1024; break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor: *value = 228 * 1024; break;
    case cudaDevAttrMaxThreadsPerMultiProcessor: *value = 2048; break;
    case cudaDevAttrMaxRegistersPerMultiprocessor: *value = 65536; break;
    case cudaDevAttrComputeCapabilityMajor: *value = 9; break;
    case cudaDevAttrComputeCapabilityMinor: *value = 0; break;
  }
  return cudaSuccess;
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* kernel) {
  const std::lock_guard<std::mutex> lock(guard);
  attributes->sharedSizeBytes = 0;
  return load(kernel);
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute, int value) {
  const std::lock_guard<std::mutex> lock(guard);
  const cudaError_t error = load(kernel);
  if (error != cudaSuccess) return error;
  if (value < 0 || value > 227 * 1024) return cudaErrorInvalidValue;
  ++counted.grants;
  granted[{current, kernel}] = value;
  return cudaSuccess;
}

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* given) {
  std::swap(*given, mode);
  return cudaSuccess;
}

cudaError_t cudaLaunchKernel(const void* kernel, dim3 grid, dim3 block, void** arguments, size_t shared_bytes,
                             cudaStream_t) {
  if (before_launch) before_launch();
  {
    const std::lock_guard<std::mutex> lock(guard);
    const cudaError_t error = load(kernel);
    if (error != cudaSuccess) return error;
    if (shared_bytes > static_cast<size_t>(granted[{current, kernel}])) return cudaErrorInvalidValue;
    ++counted.launches;
  }
  if (!run) return cudaSuccess;
  Launch launch;
  launch.grid.x = grid.x, launch.block.x = block.x;
  launch.shared_bytes = shared_bytes;
  const std::lock_guard<std::mutex> lock(running);
  return run(kernel, launch, arguments).empty() ? cudaSuccess : cudaErrorInvalidDeviceFunction;
}

cudaError_t cudaGetLastError() { return cudaSuccess; }
const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorStreamCaptureUnsupported: return "operation not permitted when stream is capturing";
    default: return "another error";
  }
}
