#include "creators.h"

namespace vmexport::trt {

Creators creators() noexcept {
  static Creator selective_scan(kSelectiveScan, kPluginNamespace);
  static Creator causal_conv1d(kCausalConv1d, kPluginNamespace);
  static CreatorInterface* const list[] = {&selective_scan, &causal_conv1d};
  return {list, sizeof list / sizeof list[0], kPluginNamespace};
}

Creators old_creators() noexcept {
  static Creator selective_scan(kSelectiveScan, kOldNamespace);
  static Creator causal_conv1d(kCausalConv1d, kOldNamespace);
  static CreatorInterface* const list[] = {&selective_scan, &causal_conv1d};
  return {list, sizeof list / sizeof list[0], kOldNamespace};
}

}  // namespace vmexport::trt
