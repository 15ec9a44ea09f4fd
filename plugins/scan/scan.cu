#include <cstdio>

#include "cuda.h"
#include "cuda_status.h"
#include "scan_dispatch.cuh"
#include "validate.h"

namespace vmexport {
namespace {

cudaError_t limits_of_current_device(DeviceLimits* limits) noexcept {
  int device = 0;
  cudaError_t error = cudaGetDevice(&device);
  const auto read = [&](int32_t* value, cudaDeviceAttr attribute) {
    if (error == cudaSuccess) error = cudaDeviceGetAttribute(value, attribute, device);
  };
  read(&limits->multiprocessors, cudaDevAttrMultiProcessorCount);
  read(&limits->shared_per_block, cudaDevAttrMaxSharedMemoryPerBlockOptin);
  read(&limits->shared_per_multiprocessor, cudaDevAttrMaxSharedMemoryPerMultiprocessor);
  read(&limits->threads_per_multiprocessor, cudaDevAttrMaxThreadsPerMultiProcessor);
  read(&limits->registers_per_multiprocessor, cudaDevAttrMaxRegistersPerMultiprocessor);
  return error;
}

}  // namespace

vmexport_status selective_scan_cuda(const vmexport_scan_params& params, void* stream, char* message) noexcept {
  vmexport_status status = validate(params, message);
  if (status != VMEXPORT_OK || params.batch == 0 || params.length == 0) return status;
  DeviceLimits limits{};
  status = cuda_status(limits_of_current_device(&limits), "current CUDA device", message);
  if (status != VMEXPORT_OK) return status;
  ScanLaunch launch{params, {}};
  const ScanPlan& plan = launch.plan;
  if (!plan_scan(params, limits, {}, &launch.plan)) {
    std::snprintf(message, VMEXPORT_MESSAGE_SIZE,
                  "the scan needs more shared memory than the device's %d bytes a block", limits.shared_per_block);
    return VMEXPORT_UNSUPPORTED;
  }
  const void* const kernel = reinterpret_cast<const void*>(scan_kernel_of(params.dtype, plan.lanes));
  status = cuda_status(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, plan.layout.end),
                       "shared memory of the selective scan", message);
  void* arguments[] = {&launch};
  if (status == VMEXPORT_OK) {
    const unsigned threads = static_cast<unsigned>(plan.threads);
    status = cuda_status(cudaLaunchKernel(kernel, dim3(static_cast<unsigned>(plan.grid)), dim3(threads), arguments,
                                          static_cast<size_t>(plan.layout.end), static_cast<cudaStream_t>(stream)),
                         "launch of the selective scan", message);
  }
  if (status != VMEXPORT_OK) cudaGetLastError();  // reported here, not by the next call of somebody else
  return status;
}

}  // namespace vmexport
