// Stands in for libnvinfer_plugin, which TensorRT's ONNX parser is linked to and calls one function of: it registers
// NVIDIA's own plugins, of which no network of ours has any. Beside libnvinfer and libnvonnxparser it makes a folder
// from which vmexport-run can build, without 50 MB of a library that nothing uses. Never beside the real one.
extern "C" __attribute__((visibility("default"))) bool initLibNvInferPlugins(void*, const char*) noexcept {
  return true;
}
