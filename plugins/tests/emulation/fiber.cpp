#include "fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace emulation {
namespace {

constexpr size_t kStackBytes = 256 * 1024;
constexpr size_t kGuardBytes = 64 * 1024;

void start_switch([[maybe_unused]] void** fake_stack, [[maybe_unused]] const void* bottom,
                  [[maybe_unused]] size_t size) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(fake_stack, bottom, size);
#endif
}

void finish_switch([[maybe_unused]] void* fake_stack, [[maybe_unused]] const void** bottom,
                   [[maybe_unused]] size_t* size) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake_stack, bottom, size);
#endif
}

}  // namespace

Fiber::Fiber() {
  void* memory = mmap(nullptr, kGuardBytes + kStackBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory, kGuardBytes, PROT_NONE) != 0) {
    std::perror("emulation: no memory for a fiber's stack");
    std::abort();
  }
  stack_ = static_cast<char*>(memory) + kGuardBytes;
}

Fiber::~Fiber() { munmap(stack_ - kGuardBytes, kGuardBytes + kStackBytes); }

void Fiber::start(Entry entry, void* argument) {
  entry_ = entry, argument_ = argument, done_ = false, own_fake_stack_ = nullptr;
  getcontext(&own_);
  own_.uc_stack.ss_sp = stack_;
  own_.uc_stack.ss_size = kStackBytes;
  own_.uc_link = nullptr;
  const uintptr_t self = reinterpret_cast<uintptr_t>(this);  // makecontext passes ints only
  makecontext(&own_, reinterpret_cast<void (*)()>(&Fiber::trampoline), 2, static_cast<unsigned>(self),
              static_cast<unsigned>(static_cast<uint64_t>(self) >> 32));
}

void Fiber::trampoline(unsigned low, unsigned high) {
  Fiber& self = *reinterpret_cast<Fiber*>(static_cast<uintptr_t>(uint64_t{high} << 32 | low));
  finish_switch(nullptr, &self.caller_bottom_, &self.caller_size_);
  self.entry_(self.argument_);
  self.done_ = true;
  start_switch(nullptr, self.caller_bottom_, self.caller_size_);  // null: this stack is left for good
  setcontext(&self.caller_);
}

void Fiber::resume() {
  start_switch(&caller_fake_stack_, stack_, kStackBytes);
  swapcontext(&caller_, &own_);
  finish_switch(caller_fake_stack_, nullptr, nullptr);
}

void Fiber::suspend() {
  start_switch(&own_fake_stack_, caller_bottom_, caller_size_);
  swapcontext(&own_, &caller_);
  finish_switch(own_fake_stack_, &caller_bottom_, &caller_size_);
}

}  // namespace emulation
