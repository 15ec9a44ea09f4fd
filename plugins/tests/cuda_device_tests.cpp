// Both CUDA kernels on the first GPU over the one table of cases; compute-sanitizer watches this program.
#include <cstdio>
#include <string>

#include "kernel_cases.h"
#include "on_device.h"

int main() {
  using namespace cases;
  if (const char* why = on_device::missing()) {
    std::fprintf(stderr, "there is no GPU to test on\nwhy: %s\nfix: run this where nvidia-smi lists a GPU\n", why);
    return 3;
  }
  for (const int64_t offset : {0, 1}) {
    const auto scan = [offset](const vmexport_scan_params& params, char* message) {
      return on_device::selective_scan(params, offset, message);
    };
    const auto conv = [offset](const vmexport_conv_params& params, char* message) {
      return on_device::causal_conv1d(params, offset, message);
    };
    for (const Case& test : kCases) {
      for (int32_t dtype = 0; dtype < 3; ++dtype) {
        const std::string name =
            std::string(offset == 0 ? "aligned, " : "misaligned, ") + test.name + ", " + kDtypes[dtype];
        ScanRun(test, dtype).check(test, "scan, " + name, scan);
        check_conv(test, dtype, "conv, " + name, conv);
      }
    }
    check_refusals(scan);
  }
  std::printf(failures() == 0 ? "all device tests passed\n" : "%d failures\n", failures());
  return failures() != 0;
}
