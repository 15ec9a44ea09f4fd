// The part of CUDA's runtime that the entry points call, for the host compiler; found in place of CUDA's own header by
// tests only. As many devices as are used; strict where CUDA may be: code that a captured stream's thread would have to
// load fails.
#ifndef VMEXPORT_TESTS_EMULATION_RUNTIME_CUDA_RUNTIME_H
#define VMEXPORT_TESTS_EMULATION_RUNTIME_CUDA_RUNTIME_H

#include <cstddef>

#include "../device.h"

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorInvalidDeviceFunction = 98,
  cudaErrorNoKernelImageForDevice = 209,
  cudaErrorUnsupportedPtxVersion = 222,
  cudaErrorJitCompilationDisabled = 223,
  cudaErrorStreamCaptureUnsupported = 900,
};
enum cudaDeviceAttr {
  cudaDevAttrMultiProcessorCount,
  cudaDevAttrMaxSharedMemoryPerBlockOptin,
  cudaDevAttrMaxSharedMemoryPerMultiprocessor,
  cudaDevAttrMaxThreadsPerMultiProcessor,
  cudaDevAttrMaxRegistersPerMultiprocessor,
  cudaDevAttrComputeCapabilityMajor,
  cudaDevAttrComputeCapabilityMinor,
};
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };
enum cudaStreamCaptureMode { cudaStreamCaptureModeGlobal, cudaStreamCaptureModeRelaxed };
using cudaStream_t = struct emulated_stream*;

struct dim3 {
  unsigned x, y = 1, z = 1;
  explicit dim3(unsigned width) : x(width) {}
};
struct cudaFuncAttributes {
  size_t sharedSizeBytes;
};

cudaError_t cudaGetDevice(int* device);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device);
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* kernel);
cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value);
cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode);
cudaError_t cudaLaunchKernel(const void* kernel, dim3 grid, dim3 block, void** arguments, size_t shared_bytes,
                             cudaStream_t stream);
cudaError_t cudaGetLastError();
const char* cudaGetErrorString(cudaError_t error);

#endif  // VMEXPORT_TESTS_EMULATION_RUNTIME_CUDA_RUNTIME_H
