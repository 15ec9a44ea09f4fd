// From a plan's dtype and lanes to the kernel compiled for them.
#ifndef VMEXPORT_SCAN_SCAN_DISPATCH_CUH
#define VMEXPORT_SCAN_SCAN_DISPATCH_CUH

#include "scan_kernel.cuh"

namespace vmexport {

using ScanKernel = void (*)(ScanLaunch);

template <class T>
ScanKernel scan_kernel_of(int lanes) {
  switch (lanes) {
    case 1: return scan_kernel<T, 1>;
    case 2: return scan_kernel<T, 2>;
    case 4: return scan_kernel<T, 4>;
    case 8: return scan_kernel<T, 8>;
    case 16: return scan_kernel<T, 16>;
  }
  return nullptr;
}

// Null for a dtype or a number of lanes that no kernel was compiled for.
inline ScanKernel scan_kernel_of(int dtype, int lanes) {
  switch (dtype) {
    case VMEXPORT_FLOAT32: return scan_kernel_of<float>(lanes);
    case VMEXPORT_FLOAT16: return scan_kernel_of<__half>(lanes);
    case VMEXPORT_BFLOAT16: return scan_kernel_of<__nv_bfloat16>(lanes);
  }
  return nullptr;
}

}  // namespace vmexport

#endif  // VMEXPORT_SCAN_SCAN_DISPATCH_CUH
