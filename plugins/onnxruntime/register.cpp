// Entry point of libvmexport_ort.so, and with VMEXPORT_ORT_CUDA of libvmexport_ort_cuda.so, which serves the CUDA
// provider besides: the only exported symbol.
#include <mutex>

#include "cpu_device.h"
#ifdef VMEXPORT_ORT_CUDA
#include "cuda_device.h"
#endif
#include "kernels.h"
#include "operator.h"

namespace vmexport::ort {
namespace {

constexpr char kDomain[] = "vmexport";
constexpr vmexport_dtype kDtypes[] = {VMEXPORT_FLOAT32, VMEXPORT_FLOAT16, VMEXPORT_BFLOAT16};

template <class Kernel>
OrtStatus* add(const OrtApi& api, OrtCustomOpDomain* domain) noexcept {
  for (const vmexport_dtype dtype : kDtypes) {
    // Never freed: sessions refer to operators for as long as they live, and nothing tells when the last one goes.
    auto* op = new (std::nothrow) Operator<Kernel>(api, dtype);
    if (op == nullptr) return error(api, Kernel::kName, VMEXPORT_OUT_OF_MEMORY, "no memory left");
    VMEXPORT_ORT_TRY(api.CustomOpDomain_Add(domain, op));
  }
  return nullptr;
}

template <class Device>
OrtStatus* add_device(const OrtApi& api, OrtCustomOpDomain* domain) noexcept {
  VMEXPORT_ORT_TRY(add<ScanKernel<Device>>(api, domain));
  return add<ConvKernel<Device>>(api, domain);
}

OrtStatus* make_domain(const OrtApi& api, OrtCustomOpDomain** out) noexcept {
  OrtCustomOpDomain* domain = nullptr;
  VMEXPORT_ORT_TRY(api.CreateCustomOpDomain(kDomain, &domain));
  OrtStatus* failed = add_device<CpuDevice>(api, domain);
#ifdef VMEXPORT_ORT_CUDA
  // Also in a process without a GPU: a provider that is not there is asked for nothing.
  if (failed == nullptr) failed = add_device<CudaDevice>(api, domain);
#endif
  if (failed != nullptr) {
    api.ReleaseCustomOpDomain(domain);
    return failed;
  }
  *out = domain;
  return nullptr;
}

}  // namespace
}  // namespace vmexport::ort

extern "C" __attribute__((visibility("default"))) OrtStatus* ORT_API_CALL RegisterCustomOps(OrtSessionOptions* options,
                                                                                            const OrtApiBase* base) {
  const OrtApi* api = base->GetApi(vmexport::ort::kApiVersion);
  if (api == nullptr) return nullptr;  // older than 1.17: no way to report; the session names the missing operator
  static std::mutex mutex;
  static OrtCustomOpDomain* domain = nullptr;  // one for all sessions of the process
  const std::lock_guard<std::mutex> lock(mutex);
  if (domain == nullptr) VMEXPORT_ORT_TRY(vmexport::ort::make_domain(*api, &domain));
  return api->AddCustomOpDomain(options, domain);
}
