// The CUDA provider's adapter without a GPU and without ONNX Runtime: a table of four API functions, and the two
// kernels and the device guard replaced. Which stream, device and parameters arrive, and what becomes of failures.
#include <cstdio>
#include <cstring>

#include "../onnxruntime/cuda_device.h"

namespace {

struct Seen {
  const void* params = nullptr;
  void* stream = nullptr;
  int device = -1, calls = 0, released = 0;
} seen;

int failures = 0;
int stream_memory = 0, value_memory = 0, info_memory = 0, status_memory = 0;
bool stream_fails = false, device_fails = false;
vmexport_status kernel_status = VMEXPORT_OK;

template <class T>
T* fake(int& memory) {
  return reinterpret_cast<T*>(&memory);
}

void expect(bool holds, const char* what) {
  if (holds) return;
  ++failures;
  std::printf("FAILED %s\n", what);
}

OrtApi make_api() {
  OrtApi api{};
  api.KernelContext_GetGPUComputeStream = [](const OrtKernelContext*, void** out) noexcept -> OrtStatusPtr {
    *out = &stream_memory;
    return stream_fails ? fake<OrtStatus>(status_memory) : nullptr;
  };
  api.KernelContext_GetInput = [](const OrtKernelContext*, size_t index,
                                  const OrtValue** out) noexcept -> OrtStatusPtr {
    *out = index == 0 ? fake<const OrtValue>(value_memory) : nullptr;
    return nullptr;
  };
  api.GetTensorMemoryInfo = [](const OrtValue* value, const OrtMemoryInfo** out) noexcept -> OrtStatusPtr {
    *out = value != nullptr ? fake<const OrtMemoryInfo>(info_memory) : nullptr;
    return nullptr;
  };
  api.MemoryInfoGetId = [](const OrtMemoryInfo* info, int* out) noexcept -> OrtStatusPtr {
    *out = info != nullptr ? 3 : 0;
    return nullptr;
  };
  api.GetErrorMessage = [](const OrtStatus*) noexcept -> const char* { return "not a GPU session"; };
  api.ReleaseStatus = [](OrtStatus*) noexcept { ++seen.released; };
  return api;
}

template <class Params>
vmexport_status record(const Params& params, void* stream) {
  ++seen.calls;
  seen.params = &params;
  seen.stream = stream;
  return kernel_status;
}

template <class Params>
void check_device(const char* name) {
  const OrtApi api = make_api();
  OrtKernelContext* context = nullptr;
  Params params{};
  char message[VMEXPORT_MESSAGE_SIZE] = "";
  seen = Seen{};
  expect(vmexport::ort::CudaDevice::run(api, context, &params, message) == VMEXPORT_OK, name);
  expect(seen.params == &params && seen.stream == &stream_memory, "the session's stream reaches the kernel");
  expect(seen.device == 3, "the device of the first input is made current");

  kernel_status = VMEXPORT_UNSUPPORTED;
  expect(vmexport::ort::CudaDevice::run(api, context, &params, message) == VMEXPORT_UNSUPPORTED, "statuses come back");
  kernel_status = VMEXPORT_OK;

  seen = Seen{};
  stream_fails = true;
  expect(vmexport::ort::CudaDevice::run(api, context, &params, message) == VMEXPORT_LAUNCH_FAILED, "no stream");
  expect(std::strstr(message, "not a GPU session") != nullptr, "the runtime's own words are passed on");
  expect(seen.calls == 0 && seen.released == 1, "nothing is launched and the status is released");
  stream_fails = false;

  device_fails = true;
  expect(vmexport::ort::CudaDevice::run(api, context, &params, message) == VMEXPORT_LAUNCH_FAILED, "no device");
  expect(std::strstr(message, "CUDA device 3: gone") != nullptr, "the device is named");
  expect(seen.calls == 0, "nothing is launched on another device");
  device_fails = false;
}

}  // namespace

namespace vmexport {

vmexport_status selective_scan_cuda(const vmexport_scan_params& params, void* stream, char*) noexcept {
  return record(params, stream);
}

vmexport_status causal_conv1d_cuda(const vmexport_conv_params& params, void* stream, char*) noexcept {
  return record(params, stream);
}

namespace ort {

CurrentDevice::CurrentDevice(int device) noexcept : problem_(device_fails ? "gone" : nullptr) { seen.device = device; }
CurrentDevice::~CurrentDevice() = default;

}  // namespace ort
}  // namespace vmexport

int main() {
  check_device<vmexport_scan_params>("a scan runs");
  check_device<vmexport_conv_params>("a convolution runs");
  std::printf(failures == 0 ? "all tests of the CUDA provider's adapter passed\n" : "%d failures\n", failures);
  return failures != 0;
}
