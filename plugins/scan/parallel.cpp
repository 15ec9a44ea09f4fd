#include "parallel.h"

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>
#include <vector>
#if defined(__linux__)
#include <sched.h>
#endif

namespace vmexport {
namespace {

constexpr double kWorthAThreadNs = 100e3;  // starting a thread costs about a tenth of this

int64_t usable_cores() noexcept {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace

int64_t useful_threads(const vmexport_executor& executor, double nanoseconds) noexcept {
  const int64_t limit = executor.threads > 0 ? executor.threads : usable_cores();
  const int64_t worth = static_cast<int64_t>(std::min(nanoseconds / kWorthAThreadNs, 1e6));
  return std::clamp<int64_t>(worth, 1, limit);
}

void run_tasks(const vmexport_executor& executor, int64_t threads, int64_t count, vmexport_task task,
               void* context) noexcept {
  if (executor.parallel_for != nullptr && threads > 1 && count > 1) {
    executor.parallel_for(executor.executor, count, task, context);
    return;
  }
  std::atomic<int64_t> next{0};
  const auto worker = [&]() noexcept {
    for (int64_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) task(context, i);
  };
  // Threads live for one call only: nothing to corrupt in a forked child, nothing to join at exit.
  std::vector<std::thread> helpers;
  try {
    for (int64_t i = 1; i < std::min(threads, count); ++i) helpers.emplace_back(worker);
  } catch (const std::exception&) {
    // No more threads or memory: those that did start and this one share the work.
  }
  worker();
  for (std::thread& helper : helpers) helper.join();
}

}  // namespace vmexport
