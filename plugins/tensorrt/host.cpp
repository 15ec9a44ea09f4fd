#include "host.h"

#include <dlfcn.h>

#include "version.h"

namespace vmexport::trt {
namespace {

#define VMEXPORT_TEXT_(x) #x
#define VMEXPORT_TEXT(x) VMEXPORT_TEXT_(x)

// The full library, the two that only run engines (8.6 and newer), and TensorRT-RTX.
constexpr const char* kLibraries[] = {
    "libnvinfer.so." VMEXPORT_TEXT(NV_TENSORRT_MAJOR),
    "libnvinfer_lean.so." VMEXPORT_TEXT(NV_TENSORRT_MAJOR),
    "libnvinfer_dispatch.so." VMEXPORT_TEXT(NV_TENSORRT_MAJOR),
#if VMEXPORT_TENSORRT_V3
    "libtensorrt_rtx.so.1",
#endif
};

// A TensorRT of another major is not ours, and a function of this name that is not of the library of
// getInferLibVersion (linked statically into a host, perhaps) is not TensorRT's.
void* checked(void* handle, const char* name, Message* message) noexcept {
  void* const version = dlsym(handle, "getInferLibVersion");
  void* const found = dlsym(handle, name);
  if (version == nullptr || found == nullptr) {
    message->say("there is no TensorRT %d in this process: load libnvinfer before the plugin", NV_TENSORRT_MAJOR);
    return nullptr;
  }
  Dl_info of_version{}, of_found{};
  if (dladdr(version, &of_version) == 0 || dladdr(found, &of_found) == 0 ||
      of_version.dli_fbase != of_found.dli_fbase) {
    message->say("%s and getInferLibVersion are of different libraries: %.80s, %.80s", name,
                 of_found.dli_fname != nullptr ? of_found.dli_fname : "?",
                 of_version.dli_fname != nullptr ? of_version.dli_fname : "?");
    return nullptr;
  }
  const int32_t number = reinterpret_cast<int32_t (*)()>(version)();
  if (!serves(major_of(number))) {
    message->say("expected TensorRT %d, got %d: build the plugin against this TensorRT, vmexport plugin build",
                 NV_TENSORRT_MAJOR, major_of(number));
    return nullptr;
  }
  return found;
}

}  // namespace

void* host_symbol(const char* name, Load load, Message* message) noexcept {
  for (const char* library : kLibraries) {
    if (void* const handle = dlopen(library, RTLD_LAZY | RTLD_NOLOAD)) {
      void* const found = checked(handle, name, message);
      dlclose(handle);  // gives back this reference only
      if (found != nullptr) return found;
    }
  }
  void* found = checked(RTLD_DEFAULT, name, message);
  if (found != nullptr || load == Load::kNever || dlsym(RTLD_DEFAULT, "getInferLibVersion") != nullptr) return found;
  // Never closed again: its registry refers to the creators from now on.
  void* const handle = dlopen(kLibraries[0], RTLD_LAZY | RTLD_LOCAL);
  if (handle != nullptr) return checked(handle, name, message);
  const char* const why = dlerror();
  message->say("there is no TensorRT %d in this process, and loading it failed: %.160s", NV_TENSORRT_MAJOR,
               why != nullptr ? why : kLibraries[0]);
  return nullptr;
}

}  // namespace vmexport::trt
