#include "registration.h"

#include "identity.h"

namespace vmexport::trt {

bool register_creators(const Creators& creators, Load load, Message* problem) noexcept {
  void* const symbol = host_symbol("getPluginRegistry", load, problem);
  if (symbol == nullptr) return false;
  nvinfer1::IPluginRegistry* const registry = reinterpret_cast<nvinfer1::IPluginRegistry* (*)()>(symbol)();
  if (registry == nullptr) return problem->say("TensorRT has no plugin registry");
  for (int32_t i = 0; i < creators.count; ++i) {
    if (registry->registerCreator(*creators.list[i], creators.its_namespace)) continue;
    switch (who_answers(*registry, kIdentities[i], creators.its_namespace)) {
      case Answer::kOurs: break;
      case Answer::kForeign:
        return problem->say(
            "a plugin of another library answers to %s (version %s, namespace \"%s\") with other attributes: keep that "
            "library out of this process",
            kIdentities[i].name, kPluginVersion, creators.its_namespace);
      case Answer::kNobody:
        return problem->say("TensorRT refused the creator of %s without a reason", kIdentities[i].name);
    }
  }
  return true;
}

}  // namespace vmexport::trt
