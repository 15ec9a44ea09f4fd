// A function on its own stack that can stop in the middle and go on later; told to AddressSanitizer.
#ifndef VMEXPORT_TESTS_EMULATION_FIBER_H
#define VMEXPORT_TESTS_EMULATION_FIBER_H

#include <ucontext.h>

#include <cstddef>

namespace emulation {

class Fiber {
 public:
  using Entry = void (*)(void* argument);

  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Begin `entry(argument)` at the next resume(); the fiber must be new or done.
  void start(Entry entry, void* argument);
  // Run it until it calls suspend() or returns.
  void resume();
  // Called by the running fiber: back to whoever resumed it.
  void suspend();
  bool done() const { return done_; }

 private:
  static void trampoline(unsigned low, unsigned high);

  ucontext_t own_, caller_;
  char* stack_;
  Entry entry_ = nullptr;
  void* argument_ = nullptr;
  bool done_ = true;
  void* own_fake_stack_ = nullptr;  // AddressSanitizer's side of either stack
  void* caller_fake_stack_ = nullptr;
  const void* caller_bottom_ = nullptr;
  size_t caller_size_ = 0;
};

}  // namespace emulation

#endif  // VMEXPORT_TESTS_EMULATION_FIBER_H
