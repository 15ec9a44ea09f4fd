#include "kernel_cases.h"

#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "../scan/half.h"

namespace cases {

const char* const kDtypes[3] = {"float32", "float16", "bfloat16"};

const std::vector<Case> kCases = {
    {"one token", {1, 2, 1, 5, 4, 4}, {0}, 1, 0, true, true, true, true, 0, 1, 1.0f},
    {"one channel", {2, 1, 7, 1, 1, 1}, {0, 1}, 7, 0, true, true, true, true, 0, 1, 1.0f},
    {"tile - 1", {2, 1, 15, 16, 16, 4}, {0, 1}, 5, 0, true, true, true, true, 0, 1, 0.5f},
    {"tile", {2, 1, 16, 17, 16, 2}, {0, 1}, 5, 1, true, true, true, true, 3, 2, 1.0f},
    {"tile + 1", {2, 2, 17, 33, 17, 3}, {2, 3}, 4, 1, true, true, true, true, 0, 2, 1.0f},
    {"chunk + 1, three directions", {3, 2, 65, 40, 8, 4}, {0, 2, 3}, 16, 1, true, true, true, true, 5, 3, 0.25f},
    {"spatial", {2, 1, 48, 24, 16, 8}, {0, 2}, 12, 0, true, true, true, true, 0, 1, 1.0f},
    {"temporal", {2, 1, 48, 24, 16, 4}, {0, 3}, 12, 0, true, true, true, true, 0, 1, 1.0f},
    {"bare", {1, 1, 50, 16, 8, 4}, {1}, 50, 0, false, false, false, false, 0, 1, 1.0f},
    {"many states", {1, 1, 20, 9, 256, 4}, {0}, 20, 0, true, true, false, true, 0, 1, 1.0f},
    {"eight directions", {8, 1, 13, 6, 5, 5}, {0, 1, 2, 3, 0, 1, 2, 3}, 4, 1, true, true, true, true, 0, 1, 1.0f},
    {"directions apart", {2, 1, 600, 20, 16, 4}, {0, 1}, 600, 0, true, true, true, true, 0, 16, 1.0f},
    {"model", {2, 1, 197, 384, 16, 4}, {0, 1}, 196, 1, true, true, true, true, 0, 2, 1.0f},
};

std::vector<Case> cases_to_run() {
  const char* const largest = std::getenv("VMEXPORT_LARGEST_CASE");
  std::vector<Case> chosen;
  for (const Case& test : kCases) {
    const Sizes& n = test.sizes;
    const int64_t updates = n.directions * n.batch * n.length * n.channels * n.states;
    if (largest == nullptr || updates <= std::atoll(largest)) chosen.push_back(test);
  }
  return chosen;
}

namespace {

std::atomic<int> failed{0};
bool stop = false;

uint16_t bfloat(float x) {
  const uint32_t bits = bits_from_float(x);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

double tolerance(int32_t dtype) { return dtype == VMEXPORT_FLOAT32 ? 2e-6 : dtype == VMEXPORT_FLOAT16 ? 1e-3 : 8e-3; }

// The framework's pool, as an adapter would hand it in.
void two_threads(void*, int64_t count, vmexport_task task, void* context) {
  std::thread other([&] {
    for (int64_t i = 1; i < count; i += 2) task(context, i);
  });
  for (int64_t i = 0; i < count; i += 2) task(context, i);
  other.join();
}

}  // namespace

vmexport_token_order order_of(const Case& test) {
  vmexport_token_order order{};
  order.tokens_per_frame = test.tokens_per_frame;
  order.class_token = test.class_token;
  order.directions = static_cast<int32_t>(test.orders.size());
  for (size_t s = 0; s < test.orders.size(); ++s) order.orders[s] = test.orders[s];
  return order;
}

void strides3(int64_t* strides, const Sizes& n, const Tensor& tensor) {
  strides[0] = n.batch * n.length * tensor.stride;
  strides[1] = n.length * tensor.stride;
  strides[2] = tensor.stride;
}

int64_t sequences(const Case& test) { return test.sizes.directions * test.sizes.batch * test.sizes.length; }

int failures() { return failed; }
void stop_at_first_failure() { stop = true; }

void expect(bool holds, const std::string& what) {
  if (holds) return;
  ++failed;
  std::printf("FAILED %s\n", what.c_str());
  std::fflush(stdout);  // before a sanitizer has its say
  if (stop) std::exit(1);
}

Tensor::Tensor(int32_t type, int64_t rows, int64_t width, int64_t padding)
    : dtype(type),
      row(width),
      stride(width + padding),
      bytes(static_cast<size_t>(rows > 0 ? (rows - 1) * stride + width : 0) * (type == VMEXPORT_FLOAT32 ? 4 : 2)),
      values(static_cast<size_t>(rows * width)) {}

void Tensor::set(int64_t index, double value) {
  const int64_t at = index / row * stride + index % row;
  const float single = static_cast<float>(value);
  if (dtype == VMEXPORT_FLOAT32) std::memcpy(&bytes[at * 4], &single, 4);
  const uint16_t half = dtype == VMEXPORT_FLOAT16 ? to_float16(single).bits : bfloat(single);
  if (dtype != VMEXPORT_FLOAT32) std::memcpy(&bytes[at * 2], &half, 2);
  values[index] = get(index);
}

double Tensor::get(int64_t index) const {
  const int64_t at = index / row * stride + index % row;
  if (dtype == VMEXPORT_FLOAT32) {
    float value;
    std::memcpy(&value, &bytes[at * 4], 4);
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, &bytes[at * 2], 2);
  return dtype == VMEXPORT_FLOAT16 ? to_float(float16{bits}) : float_from_bits(uint32_t{bits} << 16);
}

void compare(const std::string& what, const Tensor& got, const std::vector<double>& expected, double slack) {
  double largest = 1e-3, worst = 0;
  for (const double value : expected) largest = std::fmax(largest, std::fabs(value));
  for (size_t i = 0; i < expected.size(); ++i) {
    const double value = got.get(static_cast<int64_t>(i));
    if (!std::isfinite(value)) return expect(false, what + ": not finite");
    worst = std::fmax(worst, std::fabs(value - expected[i]) / largest);
  }
  expect(worst <= slack * tolerance(got.dtype), what + ": error " + std::to_string(worst));
}

ScanRun::ScanRun(const Case& test, int32_t dtype)
    : u(dtype, sequences(test), test.sizes.channels, test.padding),
      delta(dtype, sequences(test), test.sizes.channels, test.padding),
      a(VMEXPORT_FLOAT32, test.sizes.directions * test.sizes.channels, test.sizes.states, 0),
      bc(dtype, sequences(test), 2 * test.sizes.states, test.padding),
      d(VMEXPORT_FLOAT32, test.sizes.directions, test.sizes.channels, 0),
      bias(VMEXPORT_FLOAT32, test.sizes.directions, test.sizes.channels, 0),
      z(dtype, test.sizes.batch * test.sizes.length, test.sizes.channels, test.padding),
      y(dtype, test.sizes.batch * test.sizes.length, test.sizes.channels, test.padding) {
  const Sizes& n = test.sizes;
  Random random;
  random.fill(u, 0, 1);
  random.fill(delta, test.softplus ? 0 : 0.5, test.softplus ? 1 : 0.1);
  random.fill(a, -3, 0.8);
  for (size_t i = 0; i < a.values.size(); ++i) a.set(static_cast<int64_t>(i), -std::fabs(a.values[i]));
  random.fill(bc, 0, 1);
  random.fill(d, 1, 0.2);
  random.fill(bias, -2, 1);
  random.fill(z, 0, 1);
  state.assign(static_cast<size_t>(n.directions * n.batch * n.channels * n.states), NAN);
  params.struct_size = sizeof params;
  params.dtype = dtype;
  params.batch = n.batch, params.length = n.length, params.channels = n.channels, params.states = n.states;
  params.order = order_of(test);
  params.delta_softplus = test.softplus;
  params.scale = test.scale;
  params.u = u.bytes.data(), params.delta = delta.bytes.data(), params.bc = bc.bytes.data();
  params.a = reinterpret_cast<const float*>(a.bytes.data());
  if (test.skip) params.d = reinterpret_cast<const float*>(d.bytes.data());
  if (test.bias) params.delta_bias = reinterpret_cast<const float*>(bias.bytes.data());
  if (test.gate) params.z = z.bytes.data();
  params.y = y.bytes.data();
  params.last_state = state.data();
  strides3(params.u_stride, n, u), strides3(params.delta_stride, n, delta), strides3(params.bc_stride, n, bc);
  params.z_stride[0] = params.y_stride[0] = n.length * z.stride;
  params.z_stride[1] = params.y_stride[1] = z.stride;
  params.executor.threads = test.threads;
  if (test.threads == 3) params.executor.parallel_for = two_threads;
}

reference::ScanInputs ScanRun::inputs(const Case& test) const {
  const std::vector<double> none;
  return {u.values,
          delta.values,
          a.values,
          bc.values,
          test.skip ? d.values : none,
          test.bias ? bias.values : none,
          test.gate ? z.values : none};
}

void ScanRun::check(const Case& test, const std::string& name, const ScanKernel& kernel) {
  char message[VMEXPORT_MESSAGE_SIZE] = "";
  const vmexport_status status = kernel(params, message);
  expect(status == VMEXPORT_OK, name + ": " + message);
  std::vector<double> last_state;
  const std::vector<double> expected =
      reference::scan(test.sizes, params.order, test.softplus, test.scale, inputs(test), &last_state);
  compare(name, y, expected);
  if (params.last_state == nullptr) return;
  Tensor states(VMEXPORT_FLOAT32, 1, static_cast<int64_t>(state.size()), 0);
  for (size_t i = 0; i < state.size(); ++i) states.set(static_cast<int64_t>(i), state[i]);
  compare(name + " last state", states, last_state);
}

ConvRun::ConvRun(const Case& test, int32_t dtype)
    : x(dtype, test.sizes.batch * test.sizes.length, test.sizes.channels, test.padding),
      weight(VMEXPORT_FLOAT32, test.sizes.directions * test.sizes.channels, test.sizes.taps, 0),
      bias(VMEXPORT_FLOAT32, test.sizes.directions, test.sizes.channels, 0),
      u(dtype, sequences(test), test.sizes.channels, test.padding) {
  const Sizes& n = test.sizes;
  Random random;
  random.fill(x, 0, 1), random.fill(weight, 0, 0.5), random.fill(bias, 0, 0.3);
  params.struct_size = sizeof params;
  params.dtype = dtype;
  params.batch = n.batch, params.length = n.length, params.channels = n.channels, params.taps = n.taps;
  params.order = order_of(test);
  params.x = x.bytes.data();
  params.weight = weight.floats();
  if (test.bias) params.bias = bias.floats();
  params.u = u.bytes.data();
  params.x_stride[0] = n.length * x.stride, params.x_stride[1] = x.stride;
  strides3(params.u_stride, n, u);
  params.executor.threads = test.threads;
  if (test.threads == 3) params.executor.parallel_for = two_threads;
}

void check_conv(const Case& test, int32_t dtype, const std::string& name, const ConvKernel& kernel) {
  ConvRun run(test, dtype);
  char message[VMEXPORT_MESSAGE_SIZE] = "";
  const vmexport_status status = kernel(run.params, message);
  expect(status == VMEXPORT_OK, name + ": " + message);
  compare(name, run.u,
          reference::conv(test.sizes, run.params.order, run.x.values, run.weight.values,
                          test.bias ? run.bias.values : std::vector<double>()));
}

// Each change must be refused with a message that holds the given words.
void check_refusals(const ScanKernel& kernel) {
  const auto refuse = [&kernel](const char* words, void (*change)(vmexport_scan_params&)) {
    ScanRun run(kCases[4], VMEXPORT_FLOAT32);
    change(run.params);
    char message[VMEXPORT_MESSAGE_SIZE] = "";
    const vmexport_status status = kernel(run.params, message);
    expect(status == VMEXPORT_INVALID_ARGUMENT && std::strstr(message, words) != nullptr,
           std::string("refusal of ") + words + ", got: " + message);
  };
  refuse("struct_size", [](vmexport_scan_params& p) { p.struct_size = 8; });
  refuse("dtype", [](vmexport_scan_params& p) { p.dtype = 3; });
  refuse("states (N): expected 1 to 256, got 257", [](vmexport_scan_params& p) { p.states = 257; });
  refuse("channels (D)", [](vmexport_scan_params& p) { p.channels = 0; });
  refuse("batch", [](vmexport_scan_params& p) { p.batch = -1; });
  refuse("too large", [](vmexport_scan_params& p) { p.length = INT64_MAX >> 17, p.order.tokens_per_frame = 1; });
  refuse("directions", [](vmexport_scan_params& p) { p.order.directions = 9; });
  refuse("directions[1]", [](vmexport_scan_params& p) { p.order.orders[1] = 4; });
  refuse("class_token", [](vmexport_scan_params& p) { p.order.class_token = 2; });
  refuse("length (L): expected at least 1, the class token, got 0",
         [](vmexport_scan_params& p) { p.length = 0, p.order.class_token = 1; });
  refuse("scale: expected a finite number", [](vmexport_scan_params& p) { p.scale = NAN; });
  refuse("scale: expected a finite number", [](vmexport_scan_params& p) { p.scale = -INFINITY; });
  refuse("tokens_per_frame", [](vmexport_scan_params& p) { p.order.tokens_per_frame = 5; });
  refuse("u: expected data", [](vmexport_scan_params& p) { p.u = nullptr; });
  refuse("BC: expected a token stride", [](vmexport_scan_params& p) { p.bc_stride[2] = 1; });
  ScanRun run(kCases[4], VMEXPORT_FLOAT32);
  run.params.batch = 0;
  char message[VMEXPORT_MESSAGE_SIZE];
  expect(kernel(run.params, message) == VMEXPORT_OK, "an empty batch is no error");
}

}  // namespace cases
