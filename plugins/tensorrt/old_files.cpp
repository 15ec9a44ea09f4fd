// Files and engines that were made before the plugins had a namespace.
#include "exports.h"
#include "registration.h"

const char* vmexport_trt_serve_old_files() noexcept {
  static thread_local vmexport::trt::Message problem;
  problem = {};
  const bool served =
      vmexport::trt::register_creators(vmexport::trt::old_creators(), vmexport::trt::Load::kNever, &problem);
  return served ? nullptr : problem.text;
}
