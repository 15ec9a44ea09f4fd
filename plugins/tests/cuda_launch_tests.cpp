// The CUDA entry points on an emulated runtime: threads, devices, captures, resets, and plans that are kept. The files
// are those that nvcc compiles.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

#include "../scan/conv.cu"
#include "../scan/cuda_status.cu"
#include "../scan/kernel_launch.cu"
#include "../scan/scan.cu"
#include "emulation/runtime/runtime.h"
#include "kernel_cases.h"

namespace {

using namespace cases;

alignas(16) unsigned char memory[64];

// A valid call whose kernel does not run.
vmexport_scan_params dry(int64_t batch, int64_t length, int32_t dtype = VMEXPORT_FLOAT16) {
  vmexport_scan_params p{};
  p.struct_size = sizeof p;
  p.dtype = dtype;
  p.batch = batch, p.length = length, p.channels = 768, p.states = 16;
  p.order = {length, 0, 2, {VMEXPORT_FORWARD, VMEXPORT_SPATIOTEMPORAL}};
  p.delta_softplus = 1, p.scale = 1.0f;
  p.u = p.delta = p.bc = p.z = memory;
  p.y = memory;
  p.a = p.d = p.delta_bias = reinterpret_cast<const float*>(memory);
  const int64_t rows[3] = {batch * length, length, 1};
  for (int i = 0; i < 3; ++i) {
    p.u_stride[i] = p.delta_stride[i] = rows[i] * p.channels;
    p.bc_stride[i] = rows[i] * 2 * p.states;
  }
  p.z_stride[0] = p.y_stride[0] = length * p.channels;
  p.z_stride[1] = p.y_stride[1] = p.channels;
  return p;
}

void expect_launch(const vmexport_scan_params& p, const std::string& what) {
  char message[VMEXPORT_MESSAGE_SIZE] = "";
  const vmexport_status status = vmexport::selective_scan_cuda(p, nullptr, message);
  expect(status == VMEXPORT_OK, what + ": " + message);
}

// A short clip's call runs as a whole between what a long one's does before its launch and the launch itself: with a
// grant of the size that each call needs, the long one is refused.
void two_shapes_in_two_threads() {
  std::atomic<bool> inside{false};
  emulation::set_before_launch([&] {
    if (inside.exchange(true)) return;
    std::thread([] { expect_launch(dry(1, 785), "the short clip"); }).join();
  });
  expect_launch(dry(1, 3137), "the long clip, with a short one's call in between");
  emulation::set_before_launch(nullptr);
  expect(inside, "the other thread ran");
}

// Many shapes, dtypes and devices at once, and nothing in turns.
void many_threads() {
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([t] {
      emulation::use_device(t % 2);
      for (int i = 0; i < 200; ++i) {
        const int64_t lengths[] = {785, 1569, 3137, 1, 17};
        expect_launch(dry(1 + i % 7, lengths[(i + t) % 5], i % 3), "eight threads");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

void granted_once() {
  emulation::reset_device();
  expect_launch(dry(1, 785), "first");
  const emulation::Counts before = emulation::counts();
  for (int i = 0; i < 20; ++i) expect_launch(dry(1, 785), "again");
  const emulation::Counts after = emulation::counts();
  expect(after.grants == before.grants, "a later call grants nothing");
  expect(after.device_questions == before.device_questions, "nor asks the device: its plan is kept");
  expect(after.launches == before.launches + 20, "and launches");
}

void after_a_reset() {
  expect_launch(dry(1, 3137), "before the reset");
  emulation::reset_device();
  expect_launch(dry(1, 3137), "after the reset");
}

// Nothing is loaded yet, and this thread's stream captures already.
void first_launch_in_a_capture() {
  std::thread([] {
    emulation::use_device(2);
    emulation::capture(true);
    for (int32_t dtype = 0; dtype < 3; ++dtype) expect_launch(dry(1, 1569, dtype), "the first launch, captured");
    expect(!emulation::relaxed(), "the thread's capture mode is what it was");
    emulation::capture(false);
  }).join();
}

void no_code_for_this_gpu() {
  std::thread([] {
    emulation::use_device(3);
    emulation::break_code(true);
    char message[VMEXPORT_MESSAGE_SIZE] = "";
    expect(vmexport::selective_scan_cuda(dry(1, 9), nullptr, message) == VMEXPORT_UNSUPPORTED, "no code");
    expect(std::strstr(message, "compute capability 9.0, the kernels were built for an emulation") != nullptr, message);
    emulation::break_code(false);
    expect(!emulation::relaxed(), "the capture mode after a failure");
    expect_launch(dry(1, 9), "the failure is not remembered");
  }).join();
}

bool same(const vmexport::ScanPlan& a, const vmexport::ScanPlan& b) {
  return a.lanes == b.lanes && a.channels == b.channels && a.directions == b.directions && a.threads == b.threads &&
         a.u_width == b.u_width && a.delta_width == b.delta_width && a.bc_width == b.bc_width &&
         a.z_width == b.z_width && a.grid == b.grid && a.jobs == b.jobs && a.groups == b.groups &&
         a.sum_tokens == b.sum_tokens && std::memcmp(&a.layout, &b.layout, sizeof a.layout) == 0 && a.cost == b.cost;
}

// More shapes than there is room for, each of which differs in one of the things that a plan depends on; and, of the
// same shapes, tensors that lie elsewhere.
void kept_plans_are_the_plans() {
  constexpr vmexport::DeviceLimits kDevices[] = {{132, 232448, 233472, 2048, 65536}, {16, 166912, 167936, 1536, 65536}};
  int kept = 0;
  const auto check = [&kept, &kDevices](const vmexport_scan_params& p, int device, const std::string& what) {
    vmexport::ScanPlan want{}, found{};
    expect(vmexport::plan_scan(p, kDevices[device], {}, &want), "a plan");
    if (vmexport::recall_plan(p, device, &found)) {
      ++kept;
      expect(same(found, want), "a kept plan is another: " + what);
    }
    return want;
  };
  for (int round = 0; round < 2; ++round) {
    for (int64_t length = 1; length < 40; ++length) {
      for (int device = 0; device < 2; ++device) {
        for (int variant = 0; variant < 7; ++variant) {
          vmexport_scan_params p = dry(1 + (variant == 1), 100 * length, variant == 2 ? 0 : 1);
          if (variant == 3) p.channels = 40;
          if (variant == 4) p.states = 24;
          if (variant == 5) p.z = nullptr;
          if (variant == 6) p.order.directions = 1;
          const std::string what = "length " + std::to_string(p.length) + ", variant " + std::to_string(variant);
          vmexport::keep_plan(p, device, check(p, device, what));
          const int before = kept;
          check(p, device, what);
          p.u = memory + 2, p.delta_stride[1] += 4, p.bc_stride[2] += 2, p.z_stride[0] += 1;
          check(p, device, what + ", elsewhere");
          expect(kept == before + 2, what + ": just kept, and not there");
        }
      }
    }
  }
}

double nanoseconds_of(int calls, const std::function<void()>& call) {
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < calls; ++i) call();
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count() / calls;
}

void tell_times() {
  const vmexport_scan_params p = dry(1, 1569);
  constexpr vmexport::DeviceLimits kH200{132, 232448, 233472, 2048, 65536};
  vmexport::ScanPlan plan{};
  const double whole = nanoseconds_of(2000, [&] { vmexport::plan_scan(p, kH200, {}, &plan); });
  vmexport::keep_plan(p, 0, plan);
  const double kept = nanoseconds_of(2000, [&] { vmexport::recall_plan(p, 0, &plan); });
  std::printf("a plan: %.0f ns found, %.0f ns recalled\n", whole, kept);
}

std::string run_kernel(const void* kernel, const emulation::Launch& launch, void** arguments) {
  for (int dtype = 0; dtype < 3; ++dtype) {
    for (int lanes = 1; lanes <= vmexport::kMaxLanes; lanes *= 2) {
      const vmexport::ScanKernel scan = vmexport::scan_kernel_of(dtype, lanes);
      if (kernel != reinterpret_cast<const void*>(scan)) continue;
      return emulation::launch(launch, [&] { scan(*static_cast<vmexport::ScanLaunch*>(arguments[0])); });
    }
    for (const int vector : {1, dtype == VMEXPORT_FLOAT32 ? 4 : 8}) {
      for (const bool fast : {false, true}) {
        vmexport::ConvPlan plan{};
        plan.vector = vector, plan.fast_taps = fast;
        const vmexport::ConvKernel conv = vmexport::conv_kernel_of(dtype, plan);
        if (conv == nullptr || kernel != reinterpret_cast<const void*>(conv)) continue;
        return emulation::launch(launch, [&] {
          conv(*static_cast<vmexport_conv_params*>(arguments[0]), *static_cast<vmexport::ConvPlan*>(arguments[1]));
        });
      }
    }
  }
  return "a kernel that nobody knows";
}

// Whole calls give right answers, from two threads with other shapes.
void answers() {
  emulation::set_run(run_kernel);
  const auto work = [](size_t first) {
    for (size_t i = first; i < kCases.size(); i += 2) {
      const Case& test = kCases[i];
      if (test.sizes.length * test.sizes.channels * test.sizes.directions > 3000) continue;
      const auto scan = [](const vmexport_scan_params& p, char* message) {
        return vmexport::selective_scan_cuda(p, nullptr, message);
      };
      ScanRun(test, static_cast<int32_t>(i / 2 % 3)).check(test, std::string("entry point, ") + test.name, scan);
      check_conv(test, static_cast<int32_t>(i / 2 % 3), std::string("entry point, conv, ") + test.name,
                 [](const vmexport_conv_params& p, char* message) {
                   return vmexport::causal_conv1d_cuda(p, nullptr, message);
                 });
    }
  };
  std::thread other(work, 1);
  work(0);
  other.join();
  emulation::set_run(nullptr);
}

}  // namespace

int main() {
  two_shapes_in_two_threads();
  many_threads();
  granted_once();
  after_a_reset();
  first_launch_in_a_capture();
  no_code_for_this_gpu();
  kept_plans_are_the_plans();
  tell_times();
  answers();
  std::printf(failures() == 0 ? "all launch tests passed\n" : "%d failures\n", failures());
  return failures() != 0;
}
