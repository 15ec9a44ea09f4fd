// The TensorRT plugins with the real kernels on the first GPU: every case of the one table through `enqueue`, in a CUDA
// graph. No TensorRT is needed; compute-sanitizer watches this program.
#include <cstdio>
#include <string>

#include "on_device.h"
#include "trt_cases.h"

namespace {

using namespace cases;

// Enqueues a node where a kernel would be launched.
template <class Params>
on_device::Launch<Params> through(trt_host::Node& node, const Case& test) {
  return [&node, &test](const Params& params, void* stream, char* message) {
    return on_device::in_graph(stream, message, [&] { return trt_cases::run(node, test, params, stream); });
  };
}

void check_case(const Case& test, int32_t dtype, int64_t offset) {
  const std::string name = std::string(offset == 0 ? "aligned, " : "misaligned, ") + test.name + ", " + kDtypes[dtype];
  if (const auto node = trt_cases::ready("SelectiveScan", test, dtype)) {
    ScanRun run(test, dtype);
    run.params.last_state = nullptr;
    run.check(test, "plugin scan, " + name, [&](const vmexport_scan_params& params, char* message) {
      return on_device::selective_scan(params, offset, message, through<vmexport_scan_params>(*node, test));
    });
  }
  if (const auto node = trt_cases::ready("CausalConv1d", test, dtype)) {
    check_conv(test, dtype, "plugin conv, " + name, [&](const vmexport_conv_params& params, char* message) {
      return on_device::causal_conv1d(params, offset, message, through<vmexport_conv_params>(*node, test));
    });
  }
}

}  // namespace

int main() {
  if (const char* why = on_device::missing()) {
    std::fprintf(stderr, "there is no GPU to test on\nwhy: %s\nfix: run this where nvidia-smi lists a GPU\n", why);
    return 3;
  }
  trt_host::Logger logger;
  trt_host::process_logger = &logger;
  for (const int64_t offset : {0, 1}) {
    for (const Case& test : kCases) {
      for (const int32_t dtype : trt_cases::dtypes()) {
        if (trt_cases::applies(test)) check_case(test, dtype, offset);
      }
    }
  }
  const std::string refused = logger.take();
  expect(refused.empty(), "nothing is refused: " + refused);
  std::printf(failures() == 0 ? "all TensorRT plugin tests passed on the GPU\n" : "%d failures\n", failures());
  return failures() != 0;
}
