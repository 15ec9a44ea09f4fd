// Runs both CPU kernels over the table of cases, every dtype and every instruction tier of this machine, against the
// double-precision reference.
#include <cstdio>

#include "../scan/cpu.h"
#include "kernel_cases.h"

int main() {
  using namespace cases;
  for (const char* tier : {"avx512", "avx2", "baseline", "neon"}) {
    if (!vmexport::set_cpu_tier(tier)) continue;
    for (const Case& test : cases_to_run()) {
      for (int32_t dtype = 0; dtype < 3; ++dtype) {
        const std::string name = std::string(tier) + ", " + test.name + ", " + kDtypes[dtype];
        ScanRun(test, dtype).check(test, "scan, " + name, vmexport::selective_scan_cpu);
        check_conv(test, dtype, "conv, " + name, vmexport::causal_conv1d_cpu);
      }
    }
    std::printf("%s: done\n", tier);
  }
  check_refusals(vmexport::selective_scan_cpu);
  std::printf(failures() == 0 ? "all kernel tests passed\n" : "%d failures\n", failures());
  return failures() != 0;
}
