// What tests see of the emulated CUDA runtime and tell it.
#ifndef VMEXPORT_TESTS_EMULATION_RUNTIME_RUNTIME_H
#define VMEXPORT_TESTS_EMULATION_RUNTIME_RUNTIME_H

#include <functional>
#include <string>

#include "cuda_runtime.h"

namespace emulation {

struct Counts {
  int launches = 0, grants = 0, device_questions = 0;
};
Counts counts();

void use_device(int device);  // of this thread
void capture(bool on);        // a stream captures in this thread's name, in global mode
bool relaxed();               // this thread's capture mode
void reset_device();          // of this thread: nothing is loaded, nothing granted
void break_code(bool on);     // no kernel has code for the devices

// Called in every launch between its arrival and the look at what was granted.
void set_before_launch(std::function<void()> hook);
// Runs a launch that CUDA accepts; what went wrong, or an empty string. None: a launch does nothing.
void set_run(std::function<std::string(const void* kernel, const Launch& launch, void** arguments)> run);

}  // namespace emulation

#endif  // VMEXPORT_TESTS_EMULATION_RUNTIME_RUNTIME_H
