#include "block.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>

#include "fiber.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

namespace emulation {
namespace {

constexpr int kWarp = 32;
constexpr int kBarriers = 16;
constexpr int kPoison = 0xff;  // NaN in every float type

struct Copy {
  void* shared;
  const void* global;
  size_t bytes;
};

struct Thread {
  Index3 index;
  int number;
  std::vector<std::vector<Copy>> groups;  // committed, oldest first
  std::vector<Copy> open;                 // not committed
  const char* waits = nullptr;            // at what; null: can run
};

// Lanes of a warp that meet in one shuffle, ballot or __syncwarp. Two buffers, since a lane that is still reading
// one cannot be overtaken by more than one meeting.
struct Meeting {
  const char* kind = nullptr;
  uint32_t mask = 0, arrived = 0;
  uint64_t bits[kWarp];
};
struct Warp {
  Meeting meetings[2];
  uint64_t turn[kWarp] = {};
};

struct Barrier {
  int expected = 0;
  std::vector<int> waiting;
};

struct Block {
  const Launch* launch = nullptr;
  const std::function<void()>* kernel = nullptr;
  Index3 index;
  std::vector<std::unique_ptr<Fiber>> fibers;
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  Barrier barriers[kBarriers];
  unsigned char* shared = nullptr;
  int running = -1;
  std::string failure;
};

Block block;

Thread& self() { return block.threads[block.running]; }

// Stop until someone clears `waits`.
void wait_at(const char* what) {
  self().waits = what;
  Fiber& fiber = *block.fibers[block.running];
  fiber.suspend();
}

void deliver(const std::vector<Copy>& group) {
  for (const Copy& copy : group) std::memcpy(copy.shared, copy.global, copy.bytes);
}

void thread_main(void*) { (*block.kernel)(); }

std::string where() {
  const Thread& thread = self();
  return " (block " + std::to_string(block.index.x) + ", thread " + std::to_string(thread.number) + ")";
}

// The meeting that this lane joins now; complains where lanes come for different things.
Meeting& join(uint32_t mask, const char* kind, uint64_t bits) {
  const int own = lane();
  Warp& warp = block.warps[self().number / kWarp];
  Meeting& meeting = warp.meetings[warp.turn[own] % 2];
  if (!(mask >> own & 1)) fail(std::string(kind) + ": the calling lane is not in its own mask");
  if (meeting.arrived == 0) meeting.kind = kind, meeting.mask = mask;
  if (meeting.kind != kind || meeting.mask != mask) {
    fail(std::string(kind) + ": other lanes of the warp are at " + meeting.kind + " or name another mask");
  }
  meeting.bits[own] = bits;
  meeting.arrived |= 1u << own;
  ++warp.turn[own];
  if (meeting.arrived != mask) {
    wait_at(kind);
    return meeting;
  }
  meeting.arrived = 0;
  const int first = self().number - own;
  for (int other = 0; other < kWarp && first + other < static_cast<int>(block.threads.size()); ++other) {
    if (mask >> other & 1) block.threads[first + other].waits = nullptr;
  }
  return meeting;
}

// The next thread to run, or -1 where none can.
int choose(std::mt19937& random) {
  const int count = static_cast<int>(block.threads.size());
  const auto can_run = [](int t) { return !block.fibers[t]->done() && block.threads[t].waits == nullptr; };
  const int schedule = block.launch->schedule;
  const int start = schedule >= kRandom ? static_cast<int>(random() % count) : 0;
  for (int i = 0; i < count; ++i) {
    const int t = schedule == kReverse ? count - 1 - i : (start + i) % count;
    if (can_run(t)) return t;
  }
  return -1;
}

void run_block(std::mt19937& random) {
  const Launch& launch = *block.launch;
  const size_t bytes = launch.shared_bytes - std::min(launch.shared_bytes, launch.faults.missing_shared_bytes);
  // Exactly as large as asked for; 16-byte aligned by malloc.
  const std::unique_ptr<unsigned char, decltype(&std::free)> shared(static_cast<unsigned char*>(std::malloc(bytes)),
                                                                    &std::free);
  std::memset(shared.get(), kPoison, bytes);
  block.shared = shared.get();
  for (const auto& gap : launch.gaps) ASAN_POISON_MEMORY_REGION(block.shared + gap.first, gap.second);
  for (Barrier& barrier : block.barriers) barrier = {};
  for (Warp& warp : block.warps) warp = {};
  for (size_t t = 0; t < block.threads.size(); ++t) {
    const unsigned x = launch.block.x, y = launch.block.y;
    const unsigned n = static_cast<unsigned>(t);
    block.threads[t] = {};
    block.threads[t].index = {n % x, n / x % y, n / x / y};
    block.threads[t].number = static_cast<int>(t);
    block.fibers[t]->start(thread_main, nullptr);
  }
  for (int t = choose(random); t >= 0 && block.failure.empty(); t = choose(random)) {
    block.running = t;
    block.fibers[t]->resume();
  }
  for (size_t t = 0; t < block.threads.size() && block.failure.empty(); ++t) {
    if (block.threads[t].waits == nullptr) continue;
    block.running = static_cast<int>(t);
    block.failure = std::string("threads never meet at ") + block.threads[t].waits + where();
  }
  ASAN_UNPOISON_MEMORY_REGION(block.shared, bytes);
}

}  // namespace

std::string launch(const Launch& launch, const std::function<void()>& kernel) {
  const size_t threads = size_t{launch.block.x} * launch.block.y * launch.block.z;
  block.launch = &launch, block.kernel = &kernel, block.failure.clear();
  std::mt19937 random(static_cast<unsigned>(launch.schedule));
  while (block.fibers.size() < threads) block.fibers.push_back(std::make_unique<Fiber>());
  block.threads.assign(threads, {});
  block.warps.assign((threads + kWarp - 1) / kWarp, {});
  for (unsigned z = 0; z < launch.grid.z; ++z) {
    for (unsigned y = 0; y < launch.grid.y; ++y) {
      for (unsigned x = 0; x < launch.grid.x && block.failure.empty(); ++x) {
        block.index = {x, y, z};
        run_block(random);
      }
    }
  }
  return block.failure;
}

Index3 thread_index() { return self().index; }
Index3 block_index() { return block.index; }
Index3 block_size() { return block.launch->block; }
Index3 grid_size() { return block.launch->grid; }
void* dynamic_shared() { return block.shared; }
int lane() { return self().number % kWarp; }

void barrier(int id, int threads) {
  const int expected = threads == 0 ? static_cast<int>(block.threads.size()) : threads;
  if (id < 0 || id >= kBarriers || expected % kWarp != 0) {
    if (threads != 0) fail("barrier: no such barrier, or no whole number of warps");
  }
  if (block.launch->faults.skip_barrier == id) return;
  Barrier& barrier = block.barriers[id];
  if (barrier.waiting.empty()) barrier.expected = expected;
  if (barrier.expected != expected) fail("barrier: threads disagree about how many take part");
  barrier.waiting.push_back(block.running);
  if (static_cast<int>(barrier.waiting.size()) < expected) return wait_at("a block barrier");
  for (const int t : barrier.waiting) block.threads[t].waits = nullptr;
  barrier.waiting.clear();
}

void warp_barrier(uint32_t mask) { join(mask, "__syncwarp", 0); }

uint64_t shuffle(uint32_t mask, uint64_t bits, int source, const char* kind) {
  const Meeting& meeting = join(mask, kind, bits);
  if (source < 0) return bits;
  if (!(mask >> source & 1)) fail(std::string(kind) + ": reads a lane that takes no part");
  return meeting.bits[source];
}

uint32_t ballot(uint32_t mask, bool vote) {
  const Meeting& meeting = join(mask, "__ballot_sync", vote);
  uint32_t votes = 0;
  for (int i = 0; i < kWarp; ++i) votes |= (mask >> i & 1 & meeting.bits[i]) << i;
  return votes;
}

void async_copy(void* shared, const void* global, size_t bytes) {
  const auto misaligned = [bytes](const void* address) { return reinterpret_cast<uintptr_t>(address) % bytes != 0; };
  if (bytes != 4 && bytes != 8 && bytes != 16) fail("asynchronous copy of a size that does not exist");
  if (misaligned(shared) || misaligned(global)) fail("misaligned asynchronous copy");
  std::memset(shared, kPoison, bytes);
  self().open.push_back({shared, global, bytes});
}

void async_commit() {
  self().groups.push_back(std::move(self().open));
  self().open.clear();
}

void async_wait(int groups) {
  const Faults& faults = block.launch->faults;
  if (faults.skip_async_wait) return;
  auto& pending = self().groups;
  const size_t left = static_cast<size_t>(groups + faults.async_wait_slack);
  while (pending.size() > left) {
    deliver(pending.front());
    pending.erase(pending.begin());
  }
}

void fail(const std::string& what) {
  block.failure = what + where();
  for (;;) wait_at("nothing");  // the launch is over
}

}  // namespace emulation
