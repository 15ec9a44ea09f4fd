// The functions of the CUDA runtime that vmexport-run calls, on host memory, with queues that run when they are waited
// for.
#include <cuda_runtime_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <map>
#include <memory>
#include <stdexcept>
#include <utility>

#include "control.h"

namespace {

using Work = std::vector<std::function<void()>>;

struct Stream {
  Work queue;
  Work* captured = nullptr;
};

// A recorded event may be destroyed before the stream gets to it.
struct Moment {
  bool reached = false;
  double milliseconds = 0;
};

struct Event {
  std::shared_ptr<Moment> moment = std::make_shared<Moment>();
};

fake::Scenario current;
fake::Record happened;
std::set<std::string> registered;
std::map<const void*, std::string> objects;
std::map<const char*, uint64_t> device_memory;
std::map<std::string, int> calls;
double clock_ms = 0;

uint64_t used() {
  uint64_t total = 0;
  for (const auto& [address, size] : device_memory) total += size;
  return total;
}

Stream& of(cudaStream_t stream) { return *reinterpret_cast<Stream*>(stream); }

template <class T, class Handle>
cudaError_t create(const char* function, const char* name, Handle* handle) {
  if (fake::fails(function)) return current.status;
  T* object = new T;
  fake::born(object, name);
  *handle = reinterpret_cast<Handle>(object);
  return cudaSuccess;
}

template <class T, class Handle>
cudaError_t destroy(Handle handle) {
  fake::died(handle);
  delete reinterpret_cast<T*>(handle);
  return cudaSuccess;
}

void run_queue(Stream& stream) {
  const Work queue = std::move(stream.queue);
  stream.queue.clear();
  for (const auto& work : queue) work();
}

}  // namespace

namespace fake {

Scenario& scenario() { return current; }
Record& record() { return happened; }

void reset() {
  if (!objects.empty()) throw std::logic_error("something is alive: " + objects.begin()->second);
  current = {};
  happened = {};
  happened.plugins = registered;
  calls.clear();
}

void register_plugins() {
  registered = {"vmexport::SelectiveScan", "vmexport::CausalConv1d"};
  happened.plugins.insert(registered.begin(), registered.end());
}

std::vector<std::string> alive() {
  std::vector<std::string> names;
  for (const auto& [object, name] : objects) names.push_back(name);
  return names;
}

void born(const void* object, const std::string& name) { objects[object] = name; }

void died(const void* object) {
  if (objects.erase(object) == 0) {
    fprintf(stderr, "fake: something was destroyed that is not alive\n");
    abort();
  }
}

bool fails(const std::string& function) {
  const int call = calls[function]++;
  return function == current.fails && call >= current.fails_at;
}

bool is_device_memory(const void* address, uint64_t bytes) {
  const char* first = static_cast<const char*>(address);
  auto block = device_memory.upper_bound(first);
  if (block == device_memory.begin()) return false;
  --block;
  return first + bytes <= block->first + block->second;
}

void enqueue(cudaStream_t stream, std::function<void()> work) {
  (of(stream).captured != nullptr ? *of(stream).captured : of(stream).queue).push_back(std::move(work));
}

}  // namespace fake

#pragma GCC visibility push(default)

cudaError_t cudaGetDeviceCount(int* count) {
  if (fake::fails("cudaGetDeviceCount")) return current.status;
  *count = current.devices;
  return current.devices > 0 ? cudaSuccess : cudaErrorNoDevice;
}

cudaError_t cudaSetDevice(int) { return fake::fails("cudaSetDevice") ? current.status : cudaSuccess; }

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {};
  strcpy(properties->name, "Fake GPU");
  properties->major = 8;
  properties->minor = 7;
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *total = current.memory;
  *free = current.memory - used();
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** address, size_t bytes) {
  if (fake::fails("cudaMalloc")) return current.status;
  if (used() + bytes > current.memory) return cudaErrorMemoryAllocation;
  *address = malloc(bytes);
  memset(*address, 0xcd, bytes);
  device_memory[static_cast<char*>(*address)] = bytes;
  happened.peak_memory = std::max(happened.peak_memory, used());
  fake::born(*address, "device memory");
  return cudaSuccess;
}

cudaError_t cudaFree(void* address) {
  if (address == nullptr) return cudaSuccess;
  fake::died(address);
  device_memory.erase(static_cast<char*>(address));
  free(address);
  return cudaSuccess;
}

cudaError_t cudaMallocHost(void** address, size_t bytes) {
  if (fake::fails("cudaMallocHost")) return current.status;
  *address = malloc(bytes);
  fake::born(*address, "pinned memory");
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void* address) {
  fake::died(address);
  free(address);
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  return create<Stream>("cudaStreamCreateWithFlags", "stream", stream);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  if (current.fails != "cudaStreamSynchronize") run_queue(of(stream));  // work is done even if nobody waits
  return destroy<Stream>(stream);
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (fake::fails("cudaStreamSynchronize")) return current.status;
  run_queue(of(stream));
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* target, const void* source, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  if (fake::fails("cudaMemcpyAsync")) return current.status;
  const void* on_device = kind == cudaMemcpyHostToDevice ? target : source;
  if (!fake::is_device_memory(on_device, bytes)) return cudaErrorInvalidValue;
  fake::enqueue(stream, [=] { memcpy(target, source, bytes); });
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* target, int value, size_t bytes, cudaStream_t stream) {
  if (!fake::is_device_memory(target, bytes)) return cudaErrorInvalidValue;
  fake::enqueue(stream, [=] { memset(target, value, bytes); });
  return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t* event) { return create<Event>("cudaEventCreate", "event", event); }
cudaError_t cudaEventDestroy(cudaEvent_t event) { return destroy<Event>(event); }

// Every event comes 0.5 ms after the one before.
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (fake::fails("cudaEventRecord")) return current.status;
  const auto moment = reinterpret_cast<Event*>(event)->moment;
  moment->reached = false;
  fake::enqueue(stream, [moment] { *moment = {true, clock_ms += 0.5}; });
  return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  const Moment first = *reinterpret_cast<Event*>(begin)->moment, last = *reinterpret_cast<Event*>(end)->moment;
  if (!first.reached || !last.reached) return cudaErrorNotReady;
  *milliseconds = static_cast<float>(last.milliseconds - first.milliseconds);
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (fake::fails("cudaStreamBeginCapture")) return current.status;
  if (of(stream).captured != nullptr) return cudaErrorIllegalState;
  of(stream).captured = new Work;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  Work* captured = std::exchange(of(stream).captured, nullptr);
  fake::born(captured, "graph");
  *graph = reinterpret_cast<cudaGraph_t>(captured);
  if (!fake::fails("cudaStreamEndCapture")) return cudaSuccess;
  *graph = nullptr;
  destroy<Work>(captured);
  return current.status;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return destroy<Work>(graph); }

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  const cudaError_t status = create<Work>("cudaGraphInstantiateWithFlags", "executable graph", executable);
  if (status == cudaSuccess) *reinterpret_cast<Work*>(*executable) = *reinterpret_cast<Work*>(graph);
  return status;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) { return destroy<Work>(executable); }

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  if (fake::fails("cudaGraphLaunch")) return current.status;
  ++happened.graph_launches;
  for (const auto& work : *reinterpret_cast<Work*>(executable)) fake::enqueue(stream, work);
  return cudaSuccess;
}

cudaError_t cudaGetLastError() { return cudaSuccess; }
const char* cudaGetErrorName(cudaError_t) { return "cudaErrorFake"; }
const char* cudaGetErrorString(cudaError_t) { return "a fake error"; }

#pragma GCC visibility pop
