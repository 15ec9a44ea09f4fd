// Runs the CUDA convolution's own source, compiled for the host, over the table of cases and what only it has: vectors,
// unaligned tensors, the walk through an order. Then launches it wrongly on purpose, each of which must be found.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstring>

#include "emulated_conv.h"
#include "kernel_cases.h"

namespace {

using namespace cases;

using emulated::Change;

cases::ConvKernel with(int schedule, Change change = nullptr) {
  return [schedule, change](const vmexport_conv_params& params, char* message) {
    return emulated::conv(params, message, schedule, change);
  };
}

// Channels for whole vectors of every dtype, in rows that begin at whole vectors, and every number of taps.
const Case kMore[] = {
    {"vectors, one step", {2, 1, 1, 8, 1, 4}, {0, 1}, 1, 0, true, true, true, true, 0, 1, 1.0f},
    {"vectors, chunk - 1", {2, 1, 7, 16, 1, 4}, {0, 1}, 7, 0, true, true, true, true, 8, 1, 1.0f},
    {"vectors, chunk", {2, 2, 8, 24, 1, 4}, {1, 0}, 8, 0, true, true, true, true, 0, 1, 1.0f},
    {"vectors, chunk + 1", {2, 1, 9, 40, 1, 4}, {2, 3}, 4, 1, true, true, false, true, 16, 1, 1.0f},
    {"vectors, all orders", {4, 2, 43, 16, 1, 4}, {0, 1, 2, 3}, 6, 1, true, true, true, true, 8, 1, 1.0f},
    {"frames of one token", {4, 1, 20, 8, 1, 4}, {0, 1, 2, 3}, 1, 1, true, true, true, true, 0, 1, 1.0f},
    {"odd padding", {2, 1, 20, 16, 1, 4}, {0, 1}, 20, 0, true, true, true, true, 3, 1, 1.0f},
    {"one tap", {2, 1, 20, 16, 1, 1}, {0, 2}, 5, 0, true, true, true, true, 0, 1, 1.0f},
    {"six taps", {2, 1, 20, 9, 1, 6}, {1, 3}, 19, 1, true, true, true, true, 1, 1, 1.0f},
    {"seven taps", {1, 3, 5, 16, 1, 7}, {1}, 5, 0, true, true, false, true, 0, 1, 1.0f},
    {"eight taps", {2, 1, 33, 16, 1, 8}, {0, 2}, 8, 1, true, true, true, true, 0, 1, 1.0f},
};

void check_table() {
  int turn = 0;
  const auto run = [&turn](const Case& test) {
    for (int32_t dtype = 0; dtype < 3; ++dtype) {
      const std::string name = std::string("emulated conv, ") + test.name + ", " + kDtypes[dtype];
      check_conv(test, dtype, name, with(turn++ % 4));
    }
  };
  for (const Case& test : kCases) run(test);
  for (const Case& test : kMore) run(test);
}

// Both widths must have run, or the table proves less than it says.
void check_widths() {
  vmexport_conv_params params{};
  params.dtype = VMEXPORT_FLOAT16, params.batch = 1, params.length = 8, params.channels = 16, params.taps = 4;
  params.order.directions = 1;
  params.x_stride[1] = params.u_stride[2] = 16;
  expect(vmexport::conv_plan(params).vector == 8, "aligned float16: vectors of 8");
  const auto scalar = [](vmexport_conv_params changed, const char* what) {
    expect(vmexport::conv_plan(changed).vector == 1, std::string("one channel a thread: ") + what);
  };
  const auto off = [](size_t bytes) { return reinterpret_cast<void*>(bytes); };
  vmexport_conv_params changed = params;
  scalar((changed.x = off(2), changed), "x is not aligned");
  changed = params;
  scalar((changed.u = off(8), changed), "u is not aligned");
  changed = params;
  scalar((changed.weight = static_cast<float*>(off(4)), changed), "weight is not aligned");
  changed = params;
  scalar((changed.x_stride[1] = 20, changed), "rows of x are not aligned");
  changed = params;
  scalar((changed.u_stride[1] = 4, changed), "batches of u are not aligned");
  changed = params;
  scalar((changed.channels = 12, changed), "channels are no whole vectors");
  changed = params;
  scalar((changed.taps = 3, changed), "three taps");
  changed = params;
  changed.dtype = VMEXPORT_FLOAT32;
  expect(vmexport::conv_plan(changed).vector == 4, "aligned float32: vectors of 4");
}

// Walk gives what token_at gives, from every first step.
void check_walk() {
  for (const int64_t frame : {1, 2, 5}) {
    for (const int32_t class_token : {0, 1}) {
      for (int32_t order = 0; order < 4; ++order) {
        vmexport_token_order tokens{};
        tokens.tokens_per_frame = frame, tokens.class_token = class_token, tokens.directions = 1;
        tokens.orders[0] = order;
        const int64_t length = 4 * frame + class_token;
        for (int64_t first = 0; first < length; ++first) {
          vmexport::Walk walk(tokens, 0, length, first);
          for (int64_t step = first; step < length; ++step, walk.next()) {
            expect(walk.token == vmexport::token_at(order, step, length, frame, class_token),
                   "walk, order " + std::to_string(order) + ", step " + std::to_string(step));
          }
        }
      }
    }
  }
  const int64_t length = (int64_t{1} << 40) + 1;
  vmexport_token_order tokens{length - 1, 1, 1, {VMEXPORT_SPATIAL}};
  vmexport::Walk walk(tokens, 0, length, length - 3);
  for (int64_t step = length - 3; step < length; ++step, walk.next()) {
    expect(walk.token == vmexport::token_at(VMEXPORT_SPATIAL, step, length, length - 1, 1), "walk of 2^40 tokens");
  }
}

// Rows further apart than 32 bits count, x backwards, in memory that is mostly not there.
void check_enormous_strides() {
  const Case test{"enormous strides", {2, 1, 3, 8, 1, 4}, {0, 1}, 3, 0, true, true, true, true, 0, 1, 1.0f};
  const size_t region = size_t{1} << 38;
  void* const memory =
      mmap(nullptr, region, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  expect(memory != MAP_FAILED, "256 GiB of address space");
  if (memory == MAP_FAILED) return;
  float* const base = static_cast<float*>(memory);
  const int64_t token = (int64_t{1} << 32) + 40, direction = int64_t{3} << 33;
  check_conv(test, VMEXPORT_FLOAT32, test.name, [&](auto params, char* message) {
    float* const x = base + 2 * token;
    for (int64_t t = 0; t < 3; ++t) {
      std::memcpy(x - t * token, static_cast<const float*>(params.x) + t * 8, 8 * sizeof(float));
    }
    float* const u = static_cast<float*>(params.u);
    float* const far = base + 4096;
    params.x = x, params.x_stride[1] = -token;
    params.u = far, params.u_stride[0] = direction, params.u_stride[2] = token;
    const vmexport_status status = emulated::conv(params, message, 0, nullptr);
    for (int64_t row = 0; row < 6; ++row) {
      std::memcpy(u + row * 8, far + row / 3 * direction + row % 3 * token, 8 * sizeof(float));
    }
    return status;
  });
  munmap(memory, region);
}

// NaN and infinity come out where the reference has them, and nowhere else.
void check_wild_values() {
  for (const double value : {double{NAN}, double{INFINITY}, -double{INFINITY}}) {
    for (const int64_t taps : {4, 3}) {
      std::vector<float> x(12 * 8, 0.5f), weight(2 * 8 * taps, 0.25f), bias(2 * 8, 0.125f), u(2 * 12 * 8);
      x[5 * 8 + 3] = static_cast<float>(value);
      vmexport_conv_params params{};
      params.struct_size = sizeof params;
      params.batch = 1, params.length = 12, params.channels = 8, params.taps = taps;
      params.order = {6, 0, 2, {VMEXPORT_FORWARD, VMEXPORT_SPATIAL}};
      params.x = x.data(), params.weight = weight.data(), params.bias = bias.data(), params.u = u.data();
      params.x_stride[0] = 96, params.x_stride[1] = 8;
      params.u_stride[0] = params.u_stride[1] = 96, params.u_stride[2] = 8;
      char message[VMEXPORT_MESSAGE_SIZE] = "";
      expect(emulated::conv(params, message, 0, nullptr) == VMEXPORT_OK, message);
      const std::vector<double> expected = reference::conv({2, 1, 12, 8, 1, taps}, params.order, {x.begin(), x.end()},
                                                           {weight.begin(), weight.end()}, {bias.begin(), bias.end()});
      int different = 0;
      for (size_t i = 0; i < expected.size(); ++i) {
        const double a = expected[i], b = u[i];
        different += std::isnan(a) ? !std::isnan(b) : std::isinf(a) ? a != b : std::fabs(a - b) > 1e-5;
      }
      expect(different == 0, "value " + std::to_string(value) + ": " + std::to_string(different) + " differ");
    }
  }
}

// Runs some cases with a wrong launch in a process of its own: that must not end well.
void must_fail(const char* fault, Change change) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    if (std::freopen("/dev/null", "w", stdout) == nullptr || std::freopen("/dev/null", "w", stderr) == nullptr) {
      _exit(0);
    }
    for (const Case& test : {kMore[3], kMore[4], kMore[8]}) {
      check_conv(test, VMEXPORT_FLOAT16, test.name, with(0, change));
    }
    _exit(failures() != 0);
  }
  int status = 0;
  expect(child > 0 && waitpid(child, &status, 0) == child && status != 0, std::string("not found: ") + fault);
}

void check_planted_faults() {
  must_fail("the last block is missing", [](vmexport::ConvPlan& plan) { --plan.blocks; });
  must_fail("the last item is missing", [](vmexport::ConvPlan& plan) { --plan.items; });
  must_fail("a column too few", [](vmexport::ConvPlan& plan) { --plan.columns; });
  must_fail("a chunk too few", [](vmexport::ConvPlan& plan) { --plan.chunks; });
  must_fail("four taps where there are others", [](vmexport::ConvPlan& plan) { plan.fast_taps = !plan.fast_taps; });
#if defined(__SANITIZE_ADDRESS__)
  must_fail("a column too many", [](vmexport::ConvPlan& plan) { ++plan.columns; });
  must_fail("an item beyond the last sequence", [](vmexport::ConvPlan& plan) { ++plan.items; });
#endif
}

}  // namespace

int main() {
  check_planted_faults();
  check_widths();
  check_walk();
  check_table();
  check_enormous_strides();
  check_wild_values();
  std::printf(failures() == 0 ? "all emulated convolution tests passed\n" : "%d failures\n", failures());
  return failures() != 0;
}
