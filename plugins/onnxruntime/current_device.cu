#include <cuda_runtime.h>

#include "current_device.h"

namespace vmexport::ort {

CurrentDevice::CurrentDevice(int device) noexcept {
  int before = 0;
  cudaError_t error = cudaGetDevice(&before);
  if (error == cudaSuccess && before != device) {
    error = cudaSetDevice(device);
    if (error == cudaSuccess) before_ = before;
  }
  if (error != cudaSuccess) problem_ = cudaGetErrorString(error);
}

CurrentDevice::~CurrentDevice() {
  if (before_ >= 0) cudaSetDevice(before_);
}

}  // namespace vmexport::ort
