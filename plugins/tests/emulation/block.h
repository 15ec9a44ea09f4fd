// One thread block on the host: every device thread is a fiber that runs until its next barrier or shuffle, in an order
// chosen to hurt. What a kernel may not rely on is made visible: shared memory begins as NaN and is exactly as large
// as asked for, an asynchronous copy arrives at its wait and not before, threads that never meet are an error.
#ifndef VMEXPORT_TESTS_EMULATION_BLOCK_H
#define VMEXPORT_TESTS_EMULATION_BLOCK_H

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace emulation {

struct Index3 {
  unsigned x = 0, y = 0, z = 0;
};

// Which runnable thread goes on: the first, the last, or a random one (seeds from kRandom on).
enum Schedule : int { kForward = 0, kReverse = 1, kRandom = 2 };

// Faults planted on purpose, to prove that they are found.
struct Faults {
  int skip_barrier = -1;            // this barrier (0: __syncthreads) does not wait
  bool skip_async_wait = false;     // waits for asynchronous copies do nothing
  int async_wait_slack = 0;         // or leave this many groups more in flight
  size_t missing_shared_bytes = 0;  // dynamic shared memory is smaller than asked for
};

struct Launch {
  Index3 grid{1, 1, 1};
  Index3 block{1, 1, 1};
  size_t shared_bytes = 0;
  int schedule = kForward;
  std::vector<std::pair<size_t, size_t>> gaps;  // offset, bytes of dynamic shared memory that nobody may touch
  Faults faults;
};

// Runs the kernel's blocks one after the other. Returns what went wrong, or an empty string.
std::string launch(const Launch& launch, const std::function<void()>& kernel);

// What follows is called by device code, through device.h.
Index3 thread_index();
Index3 block_index();
Index3 block_size();
Index3 grid_size();
void* dynamic_shared();

void barrier(int id, int threads);  // threads: 0 for all of the block
void warp_barrier(uint32_t mask);
// The bits that lane `source` (-1: none such, own bits) of this warp gives in the same call.
uint64_t shuffle(uint32_t mask, uint64_t bits, int source, const char* kind);
uint32_t ballot(uint32_t mask, bool vote);
int lane();

void async_copy(void* shared, const void* global, size_t bytes);
void async_commit();
void async_wait(int groups);

// Report a fault of the running thread; the launch ends and returns `what`.
[[noreturn]] void fail(const std::string& what);

}  // namespace emulation

#endif  // VMEXPORT_TESTS_EMULATION_BLOCK_H
