// Symbols of both libraries.
#ifndef VMEXPORT_TENSORRT_EXPORTS_H
#define VMEXPORT_TENSORRT_EXPORTS_H

#define VMEXPORT_TENSORRT_API extern "C" __attribute__((visibility("default")))

// JSON, static memory: {"version": "0.1.0", "tensorrt": "10.3.0", "interface": "IPluginV3",
// "architectures": "sm_87 sm_90"}. Needs neither TensorRT nor a GPU.
VMEXPORT_TENSORRT_API const char* vmexport_trt_build_info() noexcept;

#endif  // VMEXPORT_TENSORRT_EXPORTS_H
