// What the plugins must refuse, each with a logged message that says what was expected.
#ifndef VMEXPORT_TESTS_TRT_REFUSALS_H
#define VMEXPORT_TESTS_TRT_REFUSALS_H

#include "trt_host.h"

namespace trt_refusals {

// `logger` is the process's.
void check(trt_host::Logger& logger);

}  // namespace trt_refusals

#endif  // VMEXPORT_TESTS_TRT_REFUSALS_H
