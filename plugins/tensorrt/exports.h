// Symbols of both libraries.
#ifndef VMEXPORT_TENSORRT_EXPORTS_H
#define VMEXPORT_TENSORRT_EXPORTS_H

#define VMEXPORT_TENSORRT_API extern "C" __attribute__((visibility("default")))

// JSON, static memory: {"version": "0.1.0", "tensorrt": "10.3.0", "interface": "IPluginV3",
// "architectures": "sm_87 sm_90"}. Needs neither TensorRT nor a GPU.
VMEXPORT_TENSORRT_API const char* vmexport_trt_build_info() noexcept;

// Registers both plugins once more, under the names that files and engines of vmexport have from before the plugins had
// a namespace: other libraries use these names too, which is why nobody gets them without asking. Null where they are
// registered, else why not, in memory of this thread until its next call. The library must not be unloaded afterwards.
VMEXPORT_TENSORRT_API const char* vmexport_trt_serve_old_files() noexcept;

#endif  // VMEXPORT_TENSORRT_EXPORTS_H
