// Runs the vector tests of the tier VMEXPORT_TIER, where this processor has its instructions. Compiled for every
// machine of the architecture: the question must not be asked in instructions that are only there if the answer is yes.
#include <cstdio>
#include <cstring>

#include "../scan/cpu.h"
#include "vector_tests.h"

int main() {
  if (std::strcmp(VMEXPORT_TIER, "baseline") != 0 && !vmexport::set_cpu_tier(VMEXPORT_TIER)) {
    std::puts("skipped: this processor has no such instructions");
    return 77;
  }
  const int failures = vector_failures();
  std::printf(failures == 0 ? "all vector tests passed\n" : "%d failures\n", failures);
  return failures != 0;
}
