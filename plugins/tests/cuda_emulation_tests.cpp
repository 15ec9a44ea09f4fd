// Runs the CUDA kernel's own source, compiled for the host, over the table of cases and what only it has: lane splits,
// ranges, passes, schedules. Then plants faults, each of which must be found.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "emulated_scan.h"
#include "kernel_cases.h"

namespace {

using namespace cases;

using emulated::Setting;

cases::ScanKernel with(const Setting& setting) {
  return
      [setting](const vmexport_scan_params& params, char* message) { return emulated::scan(params, message, setting); };
}

// The runs of the table and of the settings are dealt out to parts, so that ctest can give each a core of its own.
struct {
  int number = 0, of = 1, turn = 0;
} part;

void run(const Case& test, int32_t dtype, const Setting& setting) {
  if (part.turn++ % part.of != part.number) return;
  const std::string name = std::string("emulated, ") + test.name + ", " + kDtypes[dtype] + ", lanes " +
                           std::to_string(setting.request.lanes) + ", schedule " + std::to_string(setting.schedule);
  ScanRun(test, dtype).check(test, name, with(setting));
}

// Sizes around tiles and passes, which only this kernel has.
const Case kMore[] = {
    {"two tokens", {2, 1, 2, 3, 16, 1}, {0, 1}, 2, 0, true, true, true, true, 0, 1, 1.0f},
    {"31", {2, 1, 31, 8, 16, 1}, {0, 1}, 31, 0, true, true, true, true, 1, 1, 1.0f},
    {"33, class token", {2, 1, 33, 9, 16, 1}, {3, 2}, 8, 1, true, true, true, true, 0, 1, 2.0f},
    {"130", {2, 1, 130, 10, 16, 1}, {0, 1}, 130, 0, true, true, true, true, 2, 1, 1.0f},
    {"one direction", {1, 3, 100, 20, 16, 1}, {1}, 100, 0, true, true, true, true, 0, 1, 1.0f},
    {"four directions", {4, 1, 50, 12, 16, 1}, {0, 1, 2, 3}, 7, 1, true, true, true, true, 0, 1, 1.0f},
    {"same order twice", {2, 1, 40, 6, 16, 1}, {1, 1}, 40, 0, true, true, true, true, 0, 1, 1.0f},
    {"one state", {2, 1, 20, 5, 1, 1}, {0, 1}, 20, 0, true, false, true, true, 0, 1, 1.0f},
    {"three states", {1, 1, 37, 4, 3, 1}, {0}, 37, 0, true, true, true, false, 0, 1, 1.0f},
    {"33 states", {2, 1, 37, 7, 33, 1}, {0, 2}, 37, 0, true, true, true, true, 1, 1, 1.0f},
    {"48 states", {1, 1, 21, 8, 48, 1}, {1}, 21, 0, false, true, false, true, 0, 1, 1.0f},
};

bool small(const Case& test) { return test.sizes.length * test.sizes.channels * test.sizes.directions < 20000; }

void check_table() {
  int turn = 0;
  for (int32_t dtype = 0; dtype < 3; ++dtype) {
    for (const int lanes : {1, 2, 4, 8, 16}) {
      const bool odd = lanes == 2 || lanes == 8;
      if ((dtype == VMEXPORT_FLOAT32 && odd) || (dtype == VMEXPORT_BFLOAT16 && !odd)) continue;  // float16: all
      Setting setting;
      setting.request.lanes = lanes;
      for (const Case& test : kCases) {
        setting.schedule = turn++ % 4;
        if (small(test)) run(test, dtype, setting);
      }
      for (const Case& test : kMore) {
        setting.schedule = turn++ % 4;
        run(test, dtype, setting);
      }
    }
  }
  for (const Case& test : kCases) {  // as the plan would have it
    if (!small(test)) run(test, VMEXPORT_FLOAT16, {});
  }
  const Case clip{"a clip", {2, 1, 1569, 8, 16, 1}, {0, 1}, 196, 1, true, true, true, true, 0, 1, 1.0f};
  run(clip, VMEXPORT_FLOAT16, {});
}

// Every schedule; sums over ranges of tokens, directions in turn, several jobs a block.
void check_settings() {
  for (const Case& test : {kMore[3], kMore[5], kMore[6], kMore[9], kCases[5], kCases[10]}) {
    for (int schedule = 0; schedule < 3; ++schedule) {
      Setting setting;
      setting.schedule = schedule;
      run(test, VMEXPORT_FLOAT32, setting);
      setting.request.grid = 2;
      setting.request.lanes = 8;
      setting.request.channels = 4;
      run(test, VMEXPORT_FLOAT16, setting);
      setting.request.sum_tokens = test.sizes.length / 3 + 1;
      run(test, VMEXPORT_FLOAT32, setting);
      setting.request.directions = 1;
      run(test, VMEXPORT_BFLOAT16, setting);
    }
  }
  ScanRun without(kMore[3], VMEXPORT_FLOAT32);
  without.params.last_state = nullptr;
  char message[VMEXPORT_MESSAGE_SIZE] = "";
  const vmexport_status status = emulated::scan(without.params, message, {});
  expect(status == VMEXPORT_OK, std::string("no last state: ") + message);
}

// Every tensor `bytes` off the alignment that the widest copies need.
void check_misaligned() {
  const Case& test = kMore[3];
  for (int32_t dtype = 0; dtype < 3; ++dtype) {
    for (const size_t bytes : {2, 4, 8}) {
      if (dtype == VMEXPORT_FLOAT32 && bytes == 2) continue;
      ScanRun(test, dtype).check(test, "misaligned by " + std::to_string(bytes), [&](auto params, char* message) {
        std::vector<std::vector<unsigned char>> moved;
        const auto move = [&](const void* data, int64_t row, const int64_t* strides, int count) {
          const int64_t rows = (count == 3 ? 2 : 1) * test.sizes.length;
          const size_t size = static_cast<size_t>((rows - 1) * strides[count - 1] + row) * (dtype == 0 ? 4 : 2);
          moved.emplace_back(size + bytes);
          std::memcpy(moved.back().data() + bytes, data, size);
          return moved.back().data() + bytes;
        };
        params.u = move(params.u, test.sizes.channels, params.u_stride, 3);
        params.delta = move(params.delta, test.sizes.channels, params.delta_stride, 3);
        params.bc = move(params.bc, 2 * test.sizes.states, params.bc_stride, 3);
        params.z = move(params.z, test.sizes.channels, params.z_stride, 2);
        void* const y = params.y;
        unsigned char* const own = move(y, test.sizes.channels, params.y_stride, 2);
        params.y = own;
        const vmexport_status status = emulated::scan(params, message, {});
        std::memcpy(y, own, moved.back().size() - bytes);
        return status;
      });
    }
  }
}

// Rows further apart than 32 bits count, some backwards, in memory that is mostly not there.
void check_enormous_strides() {
  const Case test{"enormous strides", {2, 1, 3, 8, 16, 1}, {0, 1}, 3, 0, true, true, true, true, 0, 1, 1.0f};
  const size_t region = size_t{1} << 38;
  void* const memory =
      mmap(nullptr, region, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  expect(memory != MAP_FAILED, "256 GiB of address space");
  if (memory == MAP_FAILED) return;
  float* const base = static_cast<float*>(memory);
  const int64_t token = (int64_t{1} << 32) + 40, direction = int64_t{3} << 33;
  ScanRun(test, VMEXPORT_FLOAT32).check(test, test.name, [&](auto params, char* message) {
    // Tokens forward from 0; directions backwards from the middle.
    const auto spread = [&](const void* data, int64_t* strides, int64_t row, int64_t offset, int directions) {
      const float* from = static_cast<const float*>(data);
      float* const to = base + offset + (directions == 2 ? direction : 0);
      for (int64_t s = 0; s < directions; ++s) {
        for (int64_t t = 0; t < test.sizes.length; ++t, from += row) {
          std::memcpy(to - s * direction + t * token, from, static_cast<size_t>(row) * sizeof(float));
        }
      }
      if (directions == 2) strides[0] = -direction;
      strides[directions == 2 ? 2 : 1] = token;
      return to;
    };
    params.u = spread(params.u, params.u_stride, 8, 0, 2);
    params.delta = spread(params.delta, params.delta_stride, 8, 1024, 2);
    params.bc = spread(params.bc, params.bc_stride, 32, 2048, 2);
    params.z = spread(params.z, params.z_stride, 8, 4096, 1);
    float* const y = static_cast<float*>(params.y);
    const float* const end = base + 8192 + 2 * token;
    params.y = const_cast<float*>(end), params.y_stride[1] = -token;
    const vmexport_status status = emulated::scan(params, message, {});
    for (int64_t t = 0; t < 3; ++t) std::memcpy(y + t * 8, end - t * token, 8 * sizeof(float));
    return status;
  });
  munmap(memory, region);
}

// NaN and infinity come out where the reference has them, and nowhere else. With one state no difference of two
// infinities hides a NaN that should not be there.
void check_wild_values() {
  const Case& test = kMore[1];
  const double values[] = {NAN, INFINITY, -INFINITY};
  for (const double value : values) {
    for (int tensor = 0; tensor < 4; ++tensor) {
      for (const int64_t states : {16, 5, 1}) {
        Case changed = test;
        changed.sizes.states = states;
        ScanRun run(changed, VMEXPORT_FLOAT32);
        Tensor* const tensors[] = {&run.u, &run.delta, &run.bc, &run.z};
        tensors[tensor]->set(tensor == 2 ? 10 * 2 * states + 3 : 10 * 8 + 3, value);
        char message[VMEXPORT_MESSAGE_SIZE] = "";
        const vmexport_status status = emulated::scan(run.params, message, {});
        expect(status == VMEXPORT_OK, message);
        std::vector<double> last_state;
        const std::vector<double> expected = reference::scan(
            changed.sizes, run.params.order, true, 1.0,
            {run.u.values, run.delta.values, run.a.values, run.bc.values, run.d.values, run.bias.values, run.z.values},
            &last_state);
        int different = 0;
        const auto alike = [](double a, double b) {
          return std::isnan(a) ? std::isnan(b) : std::isinf(a) || std::isinf(b) ? a == b : !std::isnan(b);
        };
        for (size_t i = 0; i < expected.size(); ++i) {
          different += !alike(expected[i], run.y.get(static_cast<int64_t>(i)));
        }
        for (size_t i = 0; i < last_state.size(); ++i) different += !alike(last_state[i], run.state[i]);
        expect(different == 0, "value " + std::to_string(value) + " in tensor " + std::to_string(tensor) + ", " +
                                   std::to_string(states) + " states: " + std::to_string(different) + " differ");
      }
    }
  }
}

// Runs some cases with a fault in a process of its own: that must not end well.
void must_fail(const char* fault, const emulation::Faults& faults) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    if (std::freopen("/dev/null", "w", stdout) == nullptr || std::freopen("/dev/null", "w", stderr) == nullptr) {
      _exit(0);
    }
    for (const Case& test : {kMore[3], kMore[5], kMore[6]}) {
      for (int schedule = 0; schedule < 4; ++schedule) {
        Setting setting;
        setting.schedule = schedule, setting.faults = faults;
        run(test, VMEXPORT_FLOAT16, setting);
      }
    }
    _exit(failures() != 0);
  }
  int status = 0;
  expect(child > 0 && waitpid(child, &status, 0) == child && status != 0, std::string("not found: ") + fault);
}

void check_planted_faults() {
  emulation::Faults faults;
  faults.skip_barrier = vmexport::kTileBarrier;
  must_fail("no barrier between tiles", faults);
  faults.skip_barrier = vmexport::kFinishBarrier;
  must_fail("no barrier between the sums of two directions", faults);
  faults = {};
  faults.skip_async_wait = true;
  must_fail("no wait for asynchronous copies", faults);
  faults = {};
  faults.async_wait_slack = 1;
  must_fail("a wait for one group too few", faults);
#if defined(__SANITIZE_ADDRESS__)
  faults = {};
  faults.missing_shared_bytes = 4;
  must_fail("shared memory too small", faults);
#endif
}

}  // namespace

// With --stop the first failure ends the run: mutations.py needs no more. With --part 0 2 only half is run; what is not
// dealt out is in part 0.
int main(int count, char** arguments) {
  auto timed = [start = std::clock()](const char* what) mutable {
    std::printf("%s: %.1f s\n", what, static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
    start = std::clock();
  };
  const bool stop = count > 1 && std::strcmp(arguments[1], "--stop") == 0;
  if (count > 3 && std::strcmp(arguments[1], "--part") == 0) {
    part.number = std::atoi(arguments[2]);
    part.of = std::max(1, std::atoi(arguments[3]));
  }
  if (stop) stop_at_first_failure();
  if (!stop && part.number == 0) {
    check_planted_faults();
    timed("planted faults");
  }
  check_table();
  timed("table");
  check_settings();
  timed("settings");
  if (part.number == 0) {
    check_misaligned();
    timed("misaligned");
    check_enormous_strides();
    timed("enormous strides");
    check_wild_values();
    timed("wild values");
    check_refusals(with({}));
  }
  std::printf(failures() == 0 ? "all emulated CUDA tests passed\n" : "%d failures\n", failures());
  return failures() != 0;
}
