// libvmexport_trt_autoreg.so: loading it registers both creators with the registry of the process's TensorRT, for hosts
// that know no other way (trtexec --staticPlugins, polygraphy, Triton, LD_PRELOAD, ctypes). TensorRT may be loaded
// before or is loaded now; what it must not be is loaded later, into a process that has another one.
// VMEXPORT_TRT_OLD_FILES=1 in the environment makes it serve old files and engines too.
#include <cstdio>
#include <cstdlib>

#include "exports.h"
#include "registration.h"

namespace {

bool old_files_wanted() noexcept {
  const char* const wanted = std::getenv("VMEXPORT_TRT_OLD_FILES");
  return wanted != nullptr && wanted[0] == '1' && wanted[1] == '\0';
}

// Registers while the library is loaded. Never undone: the library stays (-z nodelete), and TensorRT may end first.
struct Registration {
  vmexport::trt::Message problem;

  Registration() noexcept {
    using vmexport::trt::Load;
    if (vmexport::trt::register_creators(vmexport::trt::creators(), Load::kIfMissing, &problem) &&
        (!old_files_wanted() ||
         vmexport::trt::register_creators(vmexport::trt::old_creators(), Load::kIfMissing, &problem))) {
      problem = {};  // what was tried first may have failed
      return;
    }
    std::fprintf(stderr, "vmexport: the TensorRT plugins are not registered\nwhy: %s\n", problem.text);
  }
};

const Registration registration;

}  // namespace

// Null where all plugins are registered, else why not.
VMEXPORT_TENSORRT_API const char* vmexport_trt_problem() noexcept {
  return registration.problem.text[0] != '\0' ? registration.problem.text : nullptr;
}
