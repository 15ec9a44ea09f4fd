// The CPU execution provider: the core's CPU kernels on ONNX Runtime's own intra-op threads.
#ifndef VMEXPORT_ONNXRUNTIME_CPU_DEVICE_H
#define VMEXPORT_ONNXRUNTIME_CPU_DEVICE_H

#include "../scan/cpu.h"
#include "support.h"

namespace vmexport::ort {

class CpuDevice {
 public:
  static const char* provider() noexcept { return nullptr; }

  static vmexport_status run(const OrtApi& api, OrtKernelContext* context, vmexport_scan_params* params,
                             char* message) noexcept {
    Pool pool{api, context};
    params->executor = {&parallel_for, &pool, 0};
    return selective_scan_cpu(*params, message);
  }

  static vmexport_status run(const OrtApi& api, OrtKernelContext* context, vmexport_conv_params* params,
                             char* message) noexcept {
    Pool pool{api, context};
    params->executor = {&parallel_for, &pool, 0};
    return causal_conv1d_cpu(*params, message);
  }

 private:
  struct Pool {
    const OrtApi& api;
    const OrtKernelContext* context;
  };
  struct Work {
    vmexport_task task;
    void* context;
  };

  // The pool takes one task after the other (num_batch 0), so that a slow thread does not hold up a whole share.
  static void parallel_for(void* executor, int64_t count, vmexport_task task, void* context) noexcept {
    const Pool& pool = *static_cast<const Pool*>(executor);
    Work work{task, context};
    const auto one = [](void* data, size_t index) {
      const Work& work = *static_cast<const Work*>(data);
      work.task(work.context, static_cast<int64_t>(index));
    };
    OrtStatus* failed = pool.api.KernelContext_ParallelFor(pool.context, one, static_cast<size_t>(count), 0, &work);
    if (failed == nullptr) return;
    pool.api.ReleaseStatus(failed);  // refused before it began: this thread does the work
    for (int64_t i = 0; i < count; ++i) task(context, i);
  }
};

}  // namespace vmexport::ort

#endif  // VMEXPORT_ONNXRUNTIME_CPU_DEVICE_H
