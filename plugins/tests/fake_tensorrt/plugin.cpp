// Plugin libraries of three kinds: one lists its plugins, one registers them when it is loaded, one has none.
#include "control.h"

#ifdef VMEXPORT_FAKE_LISTS
extern "C" VMEXPORT_FAKE void* getCreators() { return nullptr; }        // TensorRT 10 and newer
extern "C" VMEXPORT_FAKE void* getPluginCreators() { return nullptr; }  // 8.6
#endif

#ifdef VMEXPORT_FAKE_REGISTERS
namespace {

const bool registered = (fake::record().plugins = {"SelectiveScan", "CausalConv1d"}, true);

}  // namespace
#endif
