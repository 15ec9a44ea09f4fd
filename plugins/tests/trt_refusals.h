// What the plugins must refuse, each with a logged message that says what was expected.
#ifndef VMEXPORT_TESTS_TRT_REFUSALS_H
#define VMEXPORT_TESTS_TRT_REFUSALS_H

#include <string>

#include "kernel_cases.h"
#include "trt_host.h"

namespace trt_refusals {

constexpr char kScan[] = "SelectiveScan";
constexpr char kConv[] = "CausalConv1d";

// Two directions, class token, tokens_per_frame 4, L = 17, D = 33, N = 17.
inline const cases::Case& plain() { return cases::kCases[4]; }

// Fails where `refused` is not so, or where `words` are not in what was logged.
void told(trt_host::Logger& logger, bool refused, const std::string& words, const std::string& of = "");

// `logger` is the process's.
void check_inputs(trt_host::Logger& logger);  // sizes, types and numbers of tensors
void check(trt_host::Logger& logger);         // everything

}  // namespace trt_refusals

#endif  // VMEXPORT_TESTS_TRT_REFUSALS_H
