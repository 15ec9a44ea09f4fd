#include <cstdio>

#include "cuda.h"
#include "cuda_status.h"
#include "kernel_launch.h"
#include "scan_dispatch.cuh"
#include "scan_plan_cache.h"
#include "validate.h"

namespace vmexport {
namespace {

cudaError_t limits_of(int device, DeviceLimits* limits) noexcept {
  cudaError_t error = cudaSuccess;
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

vmexport_status find_plan(const vmexport_scan_params& params, int device, ScanPlan* plan, char* message) noexcept {
  if (recall_plan(params, device, plan)) return VMEXPORT_OK;
  DeviceLimits limits{};
  const vmexport_status status = cuda_status(limits_of(device, &limits), "current CUDA device", message);
  if (status != VMEXPORT_OK) return status;
  if (!plan_scan(params, limits, {}, plan)) {
    std::snprintf(message, VMEXPORT_MESSAGE_SIZE,
                  "the scan needs more shared memory than the device's %d bytes a block", limits.shared_per_block);
    return VMEXPORT_UNSUPPORTED;
  }
  keep_plan(params, device, *plan);
  return VMEXPORT_OK;
}

}  // namespace

vmexport_status selective_scan_cuda(const vmexport_scan_params& params, void* stream, char* message) noexcept {
  vmexport_status status = validate(params, message);
  if (status != VMEXPORT_OK || params.batch == 0 || params.length == 0) return status;
  int device = 0;
  status = cuda_status(cudaGetDevice(&device), "current CUDA device", message);
  ScanLaunch launch{params, {}};
  const ScanPlan& plan = launch.plan;
  if (status == VMEXPORT_OK) status = find_plan(params, device, &launch.plan, message);
  if (status == VMEXPORT_OK) {
    const void* const kernel = reinterpret_cast<const void*>(scan_kernel_of(params.dtype, plan.lanes));
    void* arguments[] = {&launch};
    const dim3 grid(static_cast<unsigned>(plan.grid)), block(static_cast<unsigned>(plan.threads));
    status = cuda_status(launch_kernel(kernel, device, grid, block, static_cast<size_t>(plan.layout.end), arguments,
                                       static_cast<cudaStream_t>(stream)),
                         "launch of the selective scan", message);
  }
  if (status != VMEXPORT_OK) cudaGetLastError();  // reported here, not by the next call of somebody else
  return status;
}

}  // namespace vmexport
