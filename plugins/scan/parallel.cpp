#include "parallel.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <new>
#include <thread>
#if defined(__linux__)
#include <sched.h>
#endif

namespace vmexport {
namespace {

constexpr double kWorthAThreadNs = 100e3;  // starting a thread costs about half of this

int64_t usable_cores() noexcept {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

// Start helpers on other cores than this thread's: left to itself the scheduler at times puts a new thread behind
// its busy parent, where it waits for milliseconds.
void keep_off_this_core(pthread_attr_t* attributes) noexcept {
#if defined(__linux__) && defined(__GLIBC__)
  cpu_set_t set;
  const int here = sched_getcpu();
  if (here < 0 || here >= CPU_SETSIZE || sched_getaffinity(0, sizeof set, &set) != 0) return;
  CPU_CLR(here, &set);
  if (CPU_COUNT(&set) > 0) pthread_attr_setaffinity_np(attributes, sizeof set, &set);
#else
  (void)attributes;
#endif
}

// The tasks of one call, drawn one after the other by whoever is free.
struct Queue {
  std::atomic<int64_t> next{0};
  int64_t count;
  vmexport_task task;
  void* context;

  void work() noexcept {
    for (int64_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) task(context, i);
  }
  static void* entry(void* queue) noexcept {
    static_cast<Queue*>(queue)->work();
    return nullptr;
  }
};

// Threads that live for one call only: nothing to corrupt in a forked child, nothing to join at exit.
class Helpers {
 public:
  Helpers(Queue* queue, int64_t wanted) noexcept : threads_(new (std::nothrow) pthread_t[wanted]) {
    pthread_attr_t attributes;
    if (threads_ == nullptr || pthread_attr_init(&attributes) != 0) return;
    keep_off_this_core(&attributes);
    while (started_ < wanted && pthread_create(&threads_[started_], &attributes, &Queue::entry, queue) == 0) ++started_;
    pthread_attr_destroy(&attributes);
  }
  ~Helpers() {
    for (int64_t i = 0; i < started_; ++i) pthread_join(threads_[i], nullptr);
  }
  Helpers(const Helpers&) = delete;
  Helpers& operator=(const Helpers&) = delete;

 private:
  std::unique_ptr<pthread_t[]> threads_;
  int64_t started_ = 0;  // fewer than wanted where the system has no more: the others do their share
};

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
  Queue queue;
  queue.count = count;
  queue.task = task;
  queue.context = context;
  const int64_t wanted = std::min(threads, count) - 1;
  if (wanted <= 0) return queue.work();
  const Helpers helpers(&queue, wanted);
  queue.work();
}

}  // namespace vmexport
