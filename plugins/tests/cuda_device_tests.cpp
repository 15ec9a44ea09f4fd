// Both CUDA kernels on the first GPU over the one table of cases: first inside captures, so that no kernel's code is
// loaded yet, then as plain launches, aligned and not, then from several threads. compute-sanitizer watches this
// program too. With `--launch BATCH` only launches of a full-size layer in float16, unchecked, for a profiler.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "kernel_cases.h"
#include "on_device.h"

namespace {

using namespace cases;
using ScanParams = vmexport_scan_params;
using ConvParams = vmexport_conv_params;

vmexport_status plain_scan(const ScanParams& p, void* stream, char* message) {
  return vmexport::selective_scan_cuda(p, stream, message);
}
vmexport_status plain_conv(const ConvParams& p, void* stream, char* message) {
  return vmexport::causal_conv1d_cuda(p, stream, message);
}
vmexport_status captured_scan(const ScanParams& p, void* stream, char* message) {
  return on_device::in_graph(stream, message, [&] { return plain_scan(p, stream, message); });
}
vmexport_status captured_conv(const ConvParams& p, void* stream, char* message) {
  return on_device::in_graph(stream, message, [&] { return plain_conv(p, stream, message); });
}

cases::ScanKernel scan_at(int64_t offset, const on_device::Launch<ScanParams>& launch) {
  return [=](const ScanParams& p, char* message) { return on_device::selective_scan(p, offset, message, launch); };
}

// Every case in every dtype.
void check_table(const std::string& how, int64_t offset, const on_device::Launch<ScanParams>& scan,
                 const on_device::Launch<ConvParams>& conv) {
  const auto conv_kernel = [&](const ConvParams& p, char* message) {
    return on_device::causal_conv1d(p, offset, message, conv);
  };
  for (const Case& test : kCases) {
    for (int32_t dtype = 0; dtype < 3; ++dtype) {
      const std::string name = how + ", " + test.name + ", " + kDtypes[dtype];
      ScanRun(test, dtype).check(test, "scan, " + name, scan_at(offset, scan));
      check_conv(test, dtype, "conv, " + name, conv_kernel);
    }
  }
}

// A short and a long sequence at the same time: what one thread's call needs is not what the other's is left with.
void check_threads() {
  const auto work = [](int64_t length) {
    const Case test{"at the same time", {2, 1, length, 16, 16, 1}, {0, 1}, length, 0, true, true, true, true, 0, 1, 1};
    for (int i = 0; i < 20; ++i) {
      ScanRun(test, VMEXPORT_FLOAT16).check(test, "two threads, L " + std::to_string(length), scan_at(0, plain_scan));
    }
  };
  std::thread other(work, 40);
  work(1000);
  other.join();
}

// videomamba_small's scan at 16 frames, a few times.
int launch_full_size(int64_t batch) {
  const Case layer{"full size", {2, batch, 1569, 768, 16, 1}, {0, 1}, 196, 1, true, true, true, true, 0, 1, 1};
  const ScanRun run(layer, VMEXPORT_FLOAT16);
  char message[VMEXPORT_MESSAGE_SIZE] = "";
  const auto repeat = [](const ScanParams& p, void* stream, char* reason) {
    vmexport_status status = VMEXPORT_OK;
    for (int i = 0; i < 5 && status == VMEXPORT_OK; ++i) status = plain_scan(p, stream, reason);
    return status;
  };
  const vmexport_status status = on_device::selective_scan(run.params, 0, message, repeat);
  if (status != VMEXPORT_OK) std::fprintf(stderr, "%s\n", message);
  return status != VMEXPORT_OK;
}

}  // namespace

int main(int count, char** words) {
  if (const char* why = on_device::missing()) {
    std::fprintf(stderr, "there is no GPU to test on\nwhy: %s\nfix: run this where nvidia-smi lists a GPU\n", why);
    return 3;
  }
  if (count == 3 && std::strcmp(words[1], "--launch") == 0) return launch_full_size(std::atoll(words[2]));
  check_table("captured", 0, captured_scan, captured_conv);
  check_table("aligned", 0, plain_scan, plain_conv);
  check_table("misaligned", 1, plain_scan, plain_conv);
  check_refusals(scan_at(0, plain_scan));
  check_threads();
  std::printf(failures() == 0 ? "all device tests passed\n" : "%d failures\n", failures());
  return failures() != 0;
}
