// libvmexport_trt_autoreg.so: loading it registers both creators with the registry of the process's TensorRT, for hosts
// that know no other way (trtexec --staticPlugins, polygraphy, Triton, LD_PRELOAD, ctypes). TensorRT may be loaded
// before or is loaded now; what it must not be is loaded later, into a process that has another one.
#include <cstdio>

#include "creators.h"
#include "exports.h"
#include "host.h"

namespace {

// Registers while the library is loaded. Never undone: the library stays (-z nodelete), and TensorRT may end first.
struct Registration {
  vmexport::trt::Message problem;

  Registration() noexcept {
    if (registered()) {
      problem = {};  // what was tried first may have failed
      return;
    }
    std::fprintf(stderr, "vmexport: the TensorRT plugins are not registered\nwhy: %s\n", problem.text);
  }

 private:
  bool registered() noexcept {
    using vmexport::trt::Load;
    void* const symbol = vmexport::trt::host_symbol("getPluginRegistry", Load::kIfMissing, &problem);
    if (symbol == nullptr) return false;
    nvinfer1::IPluginRegistry* const registry = reinterpret_cast<nvinfer1::IPluginRegistry* (*)()>(symbol)();
    if (registry == nullptr) return problem.say("TensorRT has no plugin registry");
    const vmexport::trt::Creators creators = vmexport::trt::creators();
    for (int32_t i = 0; i < creators.count; ++i) {
      if (!registry->registerCreator(*creators.list[i], vmexport::trt::kPluginNamespace)) {
        return problem.say("TensorRT refused a creator: another library has registered plugins of the same name");
      }
    }
    return true;
  }
};

const Registration registration;

}  // namespace

// Null where both plugins are registered, else why not.
VMEXPORT_TENSORRT_API const char* vmexport_trt_problem() noexcept {
  return registration.problem.text[0] != '\0' ? registration.problem.text : nullptr;
}
