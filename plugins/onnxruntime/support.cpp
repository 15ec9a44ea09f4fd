#include "support.h"

#include <cstdio>

namespace vmexport::ort {
namespace {

constexpr size_t kInferRank = 8;  // a wrong model may declare more axes than the operators take

OrtErrorCode error_code(vmexport_status status) noexcept {
  switch (status) {
    case VMEXPORT_INVALID_ARGUMENT: return ORT_INVALID_ARGUMENT;
    case VMEXPORT_UNSUPPORTED: return ORT_NOT_IMPLEMENTED;
    default: return ORT_FAIL;
  }
}

// ONNX Runtime's own words for a missing attribute do not name the operator.
OrtStatus* attribute_error(const OrtApi& api, const char* op, const char* name, const char* type,
                           OrtStatus* cause) noexcept {
  char message[VMEXPORT_MESSAGE_SIZE];
  std::snprintf(message, sizeof message, "attribute %s: expected %s, got none (%.120s)", name, type,
                api.GetErrorMessage(cause));
  api.ReleaseStatus(cause);
  return error(api, op, VMEXPORT_INVALID_ARGUMENT, message);
}

OrtStatus* read_int(const OrtApi& api, const char* op, const OrtKernelInfo* info, const char* name,
                    int64_t* value) noexcept {
  OrtStatus* status = api.KernelInfoGetAttribute_int64(info, name, value);
  return status == nullptr ? nullptr : attribute_error(api, op, name, "an int", status);
}

OrtStatus* read_directions(const OrtApi& api, const char* op, const OrtKernelInfo* info,
                           vmexport_token_order* order) noexcept {
  size_t count = 0;
  OrtStatus* status = api.KernelInfoGetAttributeArray_int64(info, "directions", nullptr, &count);
  if (status != nullptr) return attribute_error(api, op, "directions", "a list of ints", status);
  char message[VMEXPORT_MESSAGE_SIZE];
  if (count < 1 || count > VMEXPORT_MAX_DIRECTIONS) {
    std::snprintf(message, sizeof message, "attribute directions: expected a list of 1 to %d ints, got %zu of them",
                  VMEXPORT_MAX_DIRECTIONS, count);
    return error(api, op, VMEXPORT_INVALID_ARGUMENT, message);
  }
  int64_t codes[VMEXPORT_MAX_DIRECTIONS] = {};
  VMEXPORT_ORT_TRY(api.KernelInfoGetAttributeArray_int64(info, "directions", codes, &count));
  for (size_t s = 0; s < count; ++s) {
    if (codes[s] < VMEXPORT_FORWARD || codes[s] > VMEXPORT_TEMPORAL) {
      std::snprintf(message, sizeof message,
                    "attribute directions[%zu]: expected 0 (forward), 1 (spatiotemporal), 2 (spatial) or "
                    "3 (temporal), got %lld",
                    s, static_cast<long long>(codes[s]));
      return error(api, op, VMEXPORT_INVALID_ARGUMENT, message);
    }
    order->orders[s] = static_cast<int32_t>(codes[s]);
  }
  order->directions = static_cast<int32_t>(count);
  return nullptr;
}

struct ShapeInfo {
  const OrtApi& api;
  OrtTensorTypeAndShapeInfo* info = nullptr;
  explicit ShapeInfo(const OrtApi& given) noexcept : api(given) {}
  ShapeInfo(const ShapeInfo&) = delete;
  ShapeInfo& operator=(const ShapeInfo&) = delete;
  ~ShapeInfo() {
    if (info != nullptr) api.ReleaseTensorTypeAndShapeInfo(info);
  }
};

// Type and axes of a value while a model is loaded; an axis is a size, or -1 and a name (empty: unknown).
struct Axes {
  ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  size_t rank = 0;
  int64_t sizes[kInferRank + 1] = {};
  const char* names[kInferRank + 1] = {};
};

// Rank 0 where nothing is known about the shape. The context owns what it lends here, names included.
OrtStatus* read_axes(const OrtApi& api, const OrtShapeInferContext* context, size_t input, Axes* axes) noexcept {
  OrtTensorTypeAndShapeInfo* info = nullptr;
  size_t rank = 0;
  VMEXPORT_ORT_TRY(api.ShapeInferContext_GetInputTypeShape(context, input, &info));
  VMEXPORT_ORT_TRY(api.GetTensorElementType(info, &axes->type));
  VMEXPORT_ORT_TRY(api.GetDimensionsCount(info, &rank));
  if (rank > kInferRank) return nullptr;
  VMEXPORT_ORT_TRY(api.GetDimensions(info, axes->sizes, rank));
  VMEXPORT_ORT_TRY(api.GetSymbolicDimensions(info, axes->names, rank));
  axes->rank = rank;
  return nullptr;
}

OrtStatus* write_axes(const OrtApi& api, OrtShapeInferContext* context, Axes* axes) noexcept {
  if (axes->rank == 0) return nullptr;
  ShapeInfo output(api);
  VMEXPORT_ORT_TRY(api.CreateTensorTypeAndShapeInfo(&output.info));
  VMEXPORT_ORT_TRY(api.SetTensorElementType(output.info, axes->type));
  VMEXPORT_ORT_TRY(api.SetDimensions(output.info, axes->sizes, axes->rank));
  VMEXPORT_ORT_TRY(api.SetSymbolicDimensions(output.info, axes->names, axes->rank));
  return api.ShapeInferContext_SetOutputTypeShape(context, 0, output.info);
}

}  // namespace

OrtStatus* error(const OrtApi& api, const char* op, vmexport_status status, const char* message) noexcept {
  char text[VMEXPORT_MESSAGE_SIZE + 64];
  std::snprintf(text, sizeof text, "vmexport::%s: %s", op, message);
  return api.CreateStatus(error_code(status), text);
}

OrtStatus* read_order(const OrtApi& api, const char* op, const OrtKernelInfo* info,
                      vmexport_token_order* order) noexcept {
  VMEXPORT_ORT_TRY(read_directions(api, op, info, order));
  VMEXPORT_ORT_TRY(read_int(api, op, info, "tokens_per_frame", &order->tokens_per_frame));
  int64_t class_token = 0;
  VMEXPORT_ORT_TRY(read_int(api, op, info, "class_token", &class_token));
  if (class_token != 0 && class_token != 1) {
    char message[VMEXPORT_MESSAGE_SIZE];
    std::snprintf(message, sizeof message, "attribute class_token: expected 0 or 1, got %lld",
                  static_cast<long long>(class_token));
    return error(api, op, VMEXPORT_INVALID_ARGUMENT, message);
  }
  order->class_token = static_cast<int32_t>(class_token);
  return nullptr;
}

OrtStatus* read_float(const OrtApi& api, const char* op, const OrtKernelInfo* info, const char* name,
                      float* value) noexcept {
  OrtStatus* status = api.KernelInfoGetAttribute_float(info, name, value);
  return status == nullptr ? nullptr : attribute_error(api, op, name, "a float", status);
}

OrtStatus* read_inputs(const OrtApi& api, const OrtKernelContext* context, const char* const* names, size_t count,
                       Tensor* tensors) noexcept {
  for (size_t i = 0; i < count; ++i) {
    const OrtValue* value = nullptr;
    VMEXPORT_ORT_TRY(api.KernelContext_GetInput(context, i, &value));
    tensors[i].name = names[i];
    if (value == nullptr) continue;  // an omitted input: rank 0, which the shape check names
    ShapeInfo shape(api);
    VMEXPORT_ORT_TRY(api.GetTensorTypeAndShape(value, &shape.info));
    size_t rank = 0;
    VMEXPORT_ORT_TRY(api.GetDimensionsCount(shape.info, &rank));
    tensors[i].rank = static_cast<int64_t>(rank);
    VMEXPORT_ORT_TRY(api.GetDimensions(shape.info, tensors[i].dims, rank < kMaxRank ? rank : kMaxRank));
    void* data = nullptr;  // the API has no accessor for constant tensors
    VMEXPORT_ORT_TRY(api.GetTensorMutableData(const_cast<OrtValue*>(value), &data));
    tensors[i].data = data;
  }
  return nullptr;
}

OrtStatus* make_output(const OrtApi& api, OrtKernelContext* context, const int64_t* dims, size_t rank,
                       void** data) noexcept {
  OrtValue* value = nullptr;
  VMEXPORT_ORT_TRY(api.KernelContext_GetOutput(context, 0, dims, rank, &value));
  return api.GetTensorMutableData(value, data);
}

OrtStatus* infer_same_shape(const OrtApi& api, OrtShapeInferContext* context, size_t input) noexcept {
  Axes axes;
  VMEXPORT_ORT_TRY(read_axes(api, context, input, &axes));
  return write_axes(api, context, &axes);
}

OrtStatus* infer_prepended_shape(const OrtApi& api, OrtShapeInferContext* context, size_t input,
                                 size_t leading) noexcept {
  Axes axes, leading_axes, output;
  VMEXPORT_ORT_TRY(read_axes(api, context, input, &axes));
  VMEXPORT_ORT_TRY(read_axes(api, context, leading, &leading_axes));
  if (axes.rank == 0 || leading_axes.rank == 0) return nullptr;
  output.type = axes.type;
  output.rank = axes.rank + 1;
  output.sizes[0] = leading_axes.sizes[0];
  output.names[0] = leading_axes.names[0];
  for (size_t i = 0; i < axes.rank; ++i) {
    output.sizes[i + 1] = axes.sizes[i];
    output.names[i + 1] = axes.names[i];
  }
  return write_axes(api, context, &output);
}

}  // namespace vmexport::ort
