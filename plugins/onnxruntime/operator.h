// One OrtCustomOp for each operator, dtype and execution provider. A `Kernel` supplies
//   static constexpr const char* kName;  kInputs;  static bool typed(size_t input)   (has it dtype T, or float32?)
//   static const char* provider()                                                    (nullptr: CPU)
//   OrtStatus* create(const OrtKernelInfo*), OrtStatus* compute(OrtKernelContext*), static OrtStatus* infer(...)
// and the members `api` and `dtype`. Only the part that runs differs between the CPU and a GPU.
#ifndef VMEXPORT_ONNXRUNTIME_OPERATOR_H
#define VMEXPORT_ONNXRUNTIME_OPERATOR_H

#include <new>

#include "support.h"

namespace vmexport::ort {

inline ONNXTensorElementDataType element_type(vmexport_dtype dtype) noexcept {
  switch (dtype) {
    case VMEXPORT_FLOAT32: return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
    case VMEXPORT_FLOAT16: return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16;
    case VMEXPORT_BFLOAT16: return ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16;
  }
  return ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
}

template <class Kernel>
struct Operator : OrtCustomOp {
  const OrtApi& api;
  vmexport_dtype dtype;

  Operator(const OrtApi& given, vmexport_dtype type) noexcept : OrtCustomOp{}, api(given), dtype(type) {
    version = kApiVersion;
    GetName = [](const OrtCustomOp*) { return Kernel::kName; };
    GetExecutionProviderType = [](const OrtCustomOp*) { return Kernel::provider(); };
    GetInputTypeCount = [](const OrtCustomOp*) -> size_t { return Kernel::kInputs; };
    GetInputType = [](const OrtCustomOp* op, size_t i) {
      return element_type(Kernel::typed(i) ? self(op).dtype : VMEXPORT_FLOAT32);
    };
    GetOutputTypeCount = [](const OrtCustomOp*) -> size_t { return 1; };
    GetOutputType = [](const OrtCustomOp* op, size_t) { return element_type(self(op).dtype); };
    GetInputCharacteristic = [](const OrtCustomOp*, size_t) { return INPUT_OUTPUT_REQUIRED; };
    GetOutputCharacteristic = [](const OrtCustomOp*, size_t) { return INPUT_OUTPUT_REQUIRED; };
    GetInputMemoryType = [](const OrtCustomOp*, size_t) { return OrtMemTypeDefault; };
    GetVariadicInputMinArity = [](const OrtCustomOp*) { return 0; };
    GetVariadicInputHomogeneity = [](const OrtCustomOp*) { return 0; };
    GetVariadicOutputMinArity = [](const OrtCustomOp*) { return 0; };
    GetVariadicOutputHomogeneity = [](const OrtCustomOp*) { return 0; };
    GetStartVersion = [](const OrtCustomOp*) { return 1; };
    GetEndVersion = [](const OrtCustomOp*) { return 1; };
    CreateKernelV2 = &create;
    KernelComputeV2 = [](void* kernel, OrtKernelContext* context) -> OrtStatusPtr {
      return static_cast<Kernel*>(kernel)->compute(context);
    };
    KernelDestroy = [](void* kernel) { delete static_cast<Kernel*>(kernel); };
    InferOutputShapeFn = [](const OrtCustomOp* op, OrtShapeInferContext* context) -> OrtStatusPtr {
      return Kernel::infer(self(op).api, context);
    };
  }

 private:
  static const Operator& self(const OrtCustomOp* op) noexcept { return *static_cast<const Operator*>(op); }

  static OrtStatusPtr create(const OrtCustomOp* op, const OrtApi*, const OrtKernelInfo* info, void** out) noexcept {
    const Operator& me = self(op);
    Kernel* kernel = new (std::nothrow) Kernel{me.api, me.dtype};
    if (kernel == nullptr) return error(me.api, Kernel::kName, VMEXPORT_OUT_OF_MEMORY, "no memory left");
    if (OrtStatus* failed = kernel->create(info)) {
      delete kernel;
      return failed;
    }
    *out = kernel;
    return nullptr;
  }
};

}  // namespace vmexport::ort

#endif  // VMEXPORT_ONNXRUNTIME_OPERATOR_H
