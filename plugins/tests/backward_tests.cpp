// Runs both backward passes over the table of cases, every dtype and every instruction tier of this machine, against
// the double-precision reference; each gradient alone and with another number of threads must be the same to the bit.
#include <cmath>
#include <cstdio>
#include <cstring>

#include "../scan/cpu.h"
#include "kernel_cases.h"
#include "reference_backward.h"

namespace {

using namespace cases;
using vmexport::causal_conv1d_backward_cpu;
using vmexport::selective_scan_backward_cpu;

float* floats(Tensor& tensor) { return reinterpret_cast<float*>(tensor.bytes.data()); }

// Tensors filled with NaN: whatever a kernel leaves out is seen.
Tensor unset(const Tensor& like) {
  Tensor tensor(like.dtype, static_cast<int64_t>(like.values.size()) / like.row, like.row, like.stride - like.row);
  for (size_t i = 0; i < tensor.values.size(); ++i) tensor.set(static_cast<int64_t>(i), NAN);
  return tensor;
}

// One call of the scan's backward pass; `only` is the position of the one gradient that is wanted, -1 stands for all.
struct ScanBackward {
  ScanRun forward;
  Tensor grad_y, grad_state;
  Tensor grads[7];  // u, delta, A, BC, D, bias, z
  vmexport_scan_backward_params params{};

  ScanBackward(const Case& test, int32_t dtype, int only)
      : forward(test, dtype),
        grad_y(dtype, test.sizes.batch * test.sizes.length, test.sizes.channels, test.padding),
        grad_state(VMEXPORT_FLOAT32, test.sizes.directions * test.sizes.batch * test.sizes.channels, test.sizes.states,
                   0),
        grads{unset(forward.u), unset(forward.delta), unset(forward.a), unset(forward.bc),
              unset(forward.d), unset(forward.bias),  unset(forward.z)} {
    Random random;
    random.engine.seed(11);
    random.fill(grad_y, 0, 1), random.fill(grad_state, 0, 1);
    params.struct_size = sizeof params;
    params.scan = forward.params;
    params.scan.y = nullptr, params.scan.last_state = nullptr;
    params.grad_y = grad_y.bytes.data();
    if (test.gate) params.grad_last_state = grad_state.floats();
    const auto wanted = [only](int position) { return only < 0 || only == position; };
    if (wanted(0)) params.grad_u = grads[0].bytes.data();
    if (wanted(1)) params.grad_delta = grads[1].bytes.data();
    if (wanted(2)) params.grad_a = floats(grads[2]);
    if (wanted(3)) params.grad_bc = grads[3].bytes.data();
    if (wanted(4) && test.skip) params.grad_d = floats(grads[4]);
    if (wanted(5) && test.bias) params.grad_delta_bias = floats(grads[5]);
    if (wanted(6) && test.gate) params.grad_z = grads[6].bytes.data();
    const vmexport_scan_params& scan = params.scan;
    std::memcpy(params.grad_y_stride, scan.y_stride, sizeof params.grad_y_stride);
    std::memcpy(params.grad_u_stride, scan.u_stride, sizeof params.grad_u_stride);
    std::memcpy(params.grad_delta_stride, scan.delta_stride, sizeof params.grad_delta_stride);
    std::memcpy(params.grad_bc_stride, scan.bc_stride, sizeof params.grad_bc_stride);
    std::memcpy(params.grad_z_stride, scan.z_stride, sizeof params.grad_z_stride);
  }

  void run(const std::string& name) {
    char message[VMEXPORT_MESSAGE_SIZE] = "";
    expect(selective_scan_backward_cpu(params, message) == VMEXPORT_OK, name + ": " + message);
  }
};

// Where a state hardly decays, the roundings of its exponentials add up in the gradient of A, over all that it
// remembers.
constexpr double kSlackOfA = 5;

bool has_gradient(const Case& test, int position) {
  return (position != 4 || test.skip) && (position != 5 || test.bias) && (position != 6 || test.gate);
}

void check_scan(const Case& test, int32_t dtype, const std::string& name) {
  static const char* const kNames[] = {"u", "delta", "A", "BC", "D", "delta_bias", "z"};
  ScanBackward all(test, dtype, -1);
  all.run(name);
  const reference::ScanGradients want =
      reference::scan_backward(test.sizes, all.params.scan.order, test.softplus, test.scale, all.forward.inputs(test),
                               all.grad_y.values, test.gate ? all.grad_state.values : std::vector<double>());
  const std::vector<double>* const wants[] = {&want.u, &want.delta, &want.a, &want.bc, &want.d, &want.bias, &want.z};
  for (int i = 0; i < 7; ++i) {
    if (!has_gradient(test, i)) continue;
    compare(name + ", gradient of " + kNames[i], all.grads[i], *wants[i], i == 2 ? kSlackOfA : 1);
    if (dtype != VMEXPORT_FLOAT32) continue;  // what is left out does not depend on it
    ScanBackward alone(test, dtype, i);
    alone.params.scan.executor = {nullptr, nullptr, i + 1};  // 1 to 7 threads
    alone.run(name);
    expect(alone.grads[i].bytes == all.grads[i].bytes, name + ", alone and on other threads, " + kNames[i]);
  }
}

// The same of the convolution: gradients of x, weight and bias.
struct ConvBackward {
  ConvRun forward;
  Tensor grad_u;
  Tensor grads[3];
  vmexport_conv_backward_params params{};

  ConvBackward(const Case& test, int32_t dtype, int only)
      : forward(test, dtype),
        grad_u(dtype, sequences(test), test.sizes.channels, test.padding),
        grads{unset(forward.x), unset(forward.weight), unset(forward.bias)} {
    Random random;
    random.engine.seed(13);
    random.fill(grad_u, 0, 1);
    params.struct_size = sizeof params;
    params.conv = forward.params;
    params.conv.u = nullptr;
    params.grad_u = grad_u.bytes.data();
    if (only < 0 || only == 0) params.grad_x = grads[0].bytes.data();
    if (only < 0 || only == 1) params.grad_weight = floats(grads[1]);
    if ((only < 0 || only == 2) && test.bias) params.grad_bias = floats(grads[2]);
    std::memcpy(params.grad_u_stride, params.conv.u_stride, sizeof params.grad_u_stride);
    std::memcpy(params.grad_x_stride, params.conv.x_stride, sizeof params.grad_x_stride);
  }

  void run(const std::string& name) {
    char message[VMEXPORT_MESSAGE_SIZE] = "";
    expect(causal_conv1d_backward_cpu(params, message) == VMEXPORT_OK, name + ": " + message);
  }
};

void check_conv(const Case& test, int32_t dtype, const std::string& name) {
  static const char* const kNames[] = {"x", "weight", "bias"};
  ConvBackward all(test, dtype, -1);
  all.run(name);
  const reference::ConvGradients want =
      reference::conv_backward(test.sizes, all.params.conv.order, all.forward.x.values, all.forward.weight.values,
                               test.bias ? all.forward.bias.values : std::vector<double>(), all.grad_u.values);
  const std::vector<double>* const wants[] = {&want.x, &want.weight, &want.bias};
  for (int i = 0; i < (test.bias ? 3 : 2); ++i) {
    compare(name + ", gradient of " + kNames[i], all.grads[i], *wants[i]);
    if (dtype != VMEXPORT_FLOAT32) continue;
    ConvBackward alone(test, dtype, i);
    alone.params.conv.executor = {nullptr, nullptr, i + 1};
    alone.run(name);
    expect(alone.grads[i].bytes == all.grads[i].bytes, name + ", alone and on other threads, " + kNames[i]);
  }
}

template <class Call, class Run>
void refuse(const char* words, const Call& call, Run run) {
  char message[VMEXPORT_MESSAGE_SIZE] = "";
  const vmexport_status status = call(run.params, message);
  expect(status == VMEXPORT_INVALID_ARGUMENT && std::strstr(message, words) != nullptr,
         std::string("refusal of ") + words + ", got: " + message);
}

void check_refusals() {
  const auto scan = [](const char* words, void (*change)(vmexport_scan_backward_params&)) {
    ScanBackward run(kCases[4], VMEXPORT_FLOAT32, -1);
    change(run.params);
    refuse<decltype(selective_scan_backward_cpu), ScanBackward&>(words, selective_scan_backward_cpu, run);
  };
  scan("struct_size", [](vmexport_scan_backward_params& p) { p.struct_size = sizeof(vmexport_scan_params); });
  scan("struct_size", [](vmexport_scan_backward_params& p) { p.scan.struct_size = 8; });
  scan("states (N)", [](vmexport_scan_backward_params& p) { p.scan.states = 257; });
  scan("u: expected data", [](vmexport_scan_backward_params& p) { p.scan.u = nullptr; });
  scan("grad_y: expected data", [](vmexport_scan_backward_params& p) { p.grad_y = nullptr; });
  scan("grad_BC: expected a token stride", [](vmexport_scan_backward_params& p) { p.grad_bc_stride[2] = 1; });
  scan("grad_D: expected a null pointer", [](vmexport_scan_backward_params& p) { p.scan.d = nullptr; });
  scan("grad_delta_bias: expected a null", [](vmexport_scan_backward_params& p) { p.scan.delta_bias = nullptr; });
  scan("grad_z: expected a null pointer", [](vmexport_scan_backward_params& p) { p.scan.z = nullptr; });
  const auto conv = [](const char* words, void (*change)(vmexport_conv_backward_params&)) {
    ConvBackward run(kCases[4], VMEXPORT_FLOAT32, -1);
    change(run.params);
    refuse<decltype(causal_conv1d_backward_cpu), ConvBackward&>(words, causal_conv1d_backward_cpu, run);
  };
  conv("struct_size", [](vmexport_conv_backward_params& p) { p.struct_size = 0; });
  conv("taps (K)", [](vmexport_conv_backward_params& p) { p.conv.taps = 9; });
  conv("grad_u: expected data", [](vmexport_conv_backward_params& p) { p.grad_u = nullptr; });
  conv("grad_x: expected a token stride", [](vmexport_conv_backward_params& p) { p.grad_x_stride[1] = 1; });
  conv("grad_bias: expected a null pointer", [](vmexport_conv_backward_params& p) { p.conv.bias = nullptr; });
}

// Nothing was computed, so nothing depends on the parameters.
void check_empty() {
  ScanBackward scan(kCases[4], VMEXPORT_FLOAT32, -1);
  scan.params.scan.batch = 0;
  scan.run("an empty batch");
  for (const int i : {2, 4, 5}) {
    for (size_t k = 0; k < scan.grads[i].values.size(); ++k) {
      expect(scan.grads[i].get(static_cast<int64_t>(k)) == 0, "no gradient from an empty batch");
    }
  }
  ConvBackward conv(kCases[4], VMEXPORT_FLOAT32, -1);
  conv.params.conv.length = 0;
  conv.params.conv.order.tokens_per_frame = 1, conv.params.conv.order.class_token = 0;
  conv.run("no tokens");
  for (const int i : {1, 2}) {
    for (size_t k = 0; k < conv.grads[i].values.size(); ++k) {
      expect(conv.grads[i].get(static_cast<int64_t>(k)) == 0, "no gradient from no tokens");
    }
  }
}

}  // namespace

int main() {
  for (const char* tier : {"avx512", "avx2", "baseline", "neon"}) {
    if (!vmexport::set_cpu_tier(tier)) continue;
    for (const Case& test : cases_to_run()) {
      for (int32_t dtype = 0; dtype < 3; ++dtype) {
        const std::string name = std::string(tier) + ", " + test.name + ", " + kDtypes[dtype];
        check_scan(test, dtype, "scan, " + name);
        check_conv(test, dtype, "conv, " + name);
      }
    }
    std::printf("%s: done\n", tier);
  }
  check_refusals();
  check_empty();
  std::printf(failures() == 0 ? "all backward tests passed\n" : "%d failures\n", failures());
  return failures() != 0;
}
