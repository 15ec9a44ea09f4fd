// Both operators as ONNX Runtime kernels. `Device` runs the filled parameters (cpu_device.h).
#ifndef VMEXPORT_ONNXRUNTIME_KERNELS_H
#define VMEXPORT_ONNXRUNTIME_KERNELS_H

#include "support.h"

namespace vmexport::ort {

template <class Device>
struct ScanKernel {
  static constexpr const char* kName = "SelectiveScan";
  static constexpr size_t kInputs = kScanInputs;
  static const char* provider() noexcept { return Device::provider(); }
  static bool typed(size_t i) noexcept { return i == kU || i == kDelta || i == kBC || i == kZ; }

  const OrtApi& api;
  vmexport_dtype dtype;
  vmexport_token_order order{};
  float scale = 1.0f;

  OrtStatus* create(const OrtKernelInfo* info) noexcept {
    VMEXPORT_ORT_TRY(read_order(api, kName, info, &order));
    return read_float(api, kName, info, "scale", &scale);
  }

  OrtStatus* compute(OrtKernelContext* context) const noexcept {
    Tensor inputs[kScanInputs];
    char message[VMEXPORT_MESSAGE_SIZE] = "";
    vmexport_scan_params params{};
    params.struct_size = sizeof params;
    params.dtype = dtype;
    params.order = order;
    params.delta_softplus = 1;
    params.scale = scale;
    VMEXPORT_ORT_TRY(read_inputs(api, context, kScanNames, kInputs, inputs));
    if (!fill_scan(inputs, &params, message)) return error(api, kName, VMEXPORT_INVALID_ARGUMENT, message);
    VMEXPORT_ORT_TRY(make_output(api, context, inputs[kZ].dims, 3, &params.y));
    const vmexport_status status = Device::run(api, context, &params, message);
    return status == VMEXPORT_OK ? nullptr : error(api, kName, status, message);
  }

  // y has the shape of the gate, (B, L, D).
  static OrtStatus* infer(const OrtApi& api, OrtShapeInferContext* context) noexcept {
    return infer_same_shape(api, context, kZ);
  }
};

template <class Device>
struct ConvKernel {
  static constexpr const char* kName = "CausalConv1d";
  static constexpr size_t kInputs = kConvInputs;
  static const char* provider() noexcept { return Device::provider(); }
  static bool typed(size_t i) noexcept { return i == kX; }

  const OrtApi& api;
  vmexport_dtype dtype;
  vmexport_token_order order{};

  OrtStatus* create(const OrtKernelInfo* info) noexcept { return read_order(api, kName, info, &order); }

  OrtStatus* compute(OrtKernelContext* context) const noexcept {
    Tensor inputs[kConvInputs];
    char message[VMEXPORT_MESSAGE_SIZE] = "";
    vmexport_conv_params params{};
    params.struct_size = sizeof params;
    params.dtype = dtype;
    params.order = order;
    VMEXPORT_ORT_TRY(read_inputs(api, context, kConvNames, kInputs, inputs));
    if (!fill_conv(inputs, &params, message)) return error(api, kName, VMEXPORT_INVALID_ARGUMENT, message);
    const int64_t dims[4] = {order.directions, params.batch, params.length, params.channels};
    VMEXPORT_ORT_TRY(make_output(api, context, dims, 4, &params.u));
    const vmexport_status status = Device::run(api, context, &params, message);
    return status == VMEXPORT_OK ? nullptr : error(api, kName, status, message);
  }

  // u is (S, B, L, D): x with the directions of the weight in front.
  static OrtStatus* infer(const OrtApi& api, OrtShapeInferContext* context) noexcept {
    return infer_prepended_shape(api, context, kX, kWeight);
  }
};

}  // namespace vmexport::ort

#endif  // VMEXPORT_ONNXRUNTIME_KERNELS_H
