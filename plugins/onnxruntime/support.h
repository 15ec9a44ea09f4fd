// Thin layer over ONNX Runtime's C API: attributes, tensors, errors. Nothing here throws.
#ifndef VMEXPORT_ONNXRUNTIME_SUPPORT_H
#define VMEXPORT_ONNXRUNTIME_SUPPORT_H

#define ORT_API_MANUAL_INIT
#include <onnxruntime_c_api.h>

#include "../scan/shapes.h"

namespace vmexport::ort {

// The lowest API that has all that is called here (InferOutputShapeFn), so that one build serves 1.17 and newer.
constexpr uint32_t kApiVersion = 17;

// First failure wins: `if (OrtStatus* failed = ...) return failed;`
#define VMEXPORT_ORT_TRY(expression) \
  if (OrtStatus* failed_ = (expression)) return failed_

// "vmexport::<operator>: <message>" with the ORT error code that fits the core's status.
OrtStatus* error(const OrtApi& api, const char* op, vmexport_status status, const char* message) noexcept;

// directions, tokens_per_frame, class_token; each one is required.
OrtStatus* read_order(const OrtApi& api, const char* op, const OrtKernelInfo* info,
                      vmexport_token_order* order) noexcept;
OrtStatus* read_float(const OrtApi& api, const char* op, const OrtKernelInfo* info, const char* name,
                      float* value) noexcept;

// Data and shape of inputs 0 to count - 1.
OrtStatus* read_inputs(const OrtApi& api, const OrtKernelContext* context, const char* const* names, size_t count,
                       Tensor* tensors) noexcept;

// Memory of output 0, of the given shape.
OrtStatus* make_output(const OrtApi& api, OrtKernelContext* context, const int64_t* dims, size_t rank,
                       void** data) noexcept;

// Shape inference: output 0 has the type and shape of an input.
OrtStatus* infer_same_shape(const OrtApi& api, OrtShapeInferContext* context, size_t input) noexcept;
// Shape inference: output 0 has the type and shape of an input with the first axis of another put in front.
OrtStatus* infer_prepended_shape(const OrtApi& api, OrtShapeInferContext* context, size_t input,
                                 size_t leading) noexcept;

}  // namespace vmexport::ort

#endif  // VMEXPORT_ONNXRUNTIME_SUPPORT_H
