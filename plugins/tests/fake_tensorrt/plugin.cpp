// Plugin libraries of three kinds: one lists its plugins, one registers them when it is loaded, one has none.
#include "control.h"

#ifdef VMEXPORT_FAKE_LISTS
extern "C" VMEXPORT_FAKE void* getCreators() { return nullptr; }        // TensorRT 10 and newer
extern "C" VMEXPORT_FAKE void* getPluginCreators() { return nullptr; }  // 8.6
#endif

#ifdef VMEXPORT_FAKE_REGISTERS
namespace {

const bool registered = (fake::register_plugins(), true);

}  // namespace
#endif

#if defined VMEXPORT_FAKE_LISTS || defined VMEXPORT_FAKE_REGISTERS
extern "C" VMEXPORT_FAKE const char* vmexport_trt_serve_old_files() {
  if (fake::fails("serveOldFiles")) return "another library answers";
  fake::record().plugins.insert({"::SelectiveScan", "::CausalConv1d"});
  return nullptr;
}
#endif
