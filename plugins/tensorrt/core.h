// What both adapters do with TensorRT's descriptions of tensors: one truth about types, formats, shapes and calls.
// Every function that can refuse logs why (log.h).
#ifndef VMEXPORT_TENSORRT_CORE_H
#define VMEXPORT_TENSORRT_CORE_H

#include "identity.h"
#include "operators.h"
#include "version.h"

namespace vmexport::trt {

// Tensors are inputs first, then the output: `pos` counts through both. Linear layout, T of one type everywhere and of
// the types that the kernels have, float32 for the rest. `type_of_first` is that of tensor 0, the one that chooses T.
bool supports(const Operator& op, int32_t pos, nvinfer1::DataType type, nvinfer1::TensorFormat format,
              nvinfer1::DataType type_of_first) noexcept;

bool check_counts(const Operator& op, int32_t inputs, int32_t outputs) noexcept;
// Types of all inputs, as a network is put together.
bool check_types(const Operator& op, const nvinfer1::DataType* types, int32_t count) noexcept;

// The output's shape as expressions over the inputs'. What is constant already is checked already.
bool output_shape(const Operator& op, const Attributes& attributes, const nvinfer1::DimsExprs* inputs, int32_t count,
                  nvinfer1::IExprBuilder& builder, nvinfer1::DimsExprs* output) noexcept;

// One set of sizes: a description's own, or an end of the range that it may change in. Types and formats too.
bool check_tensors(const Operator& op, const Attributes& attributes, const nvinfer1::PluginTensorDesc* inputs) noexcept;
bool check_ranges(const Operator& op, const Attributes& attributes, const nvinfer1::DynamicPluginTensorDesc* inputs,
                  int32_t input_count, int32_t output_count) noexcept;

// Queues the kernel on `stream`. Returns 0, or 1 after a refusal, as `enqueue` does.
int32_t enqueue(const Operator& op, const Attributes& attributes, const nvinfer1::PluginTensorDesc* descriptions,
                const void* const* inputs, void* const* outputs, void* stream) noexcept;

}  // namespace vmexport::trt

#endif  // VMEXPORT_TENSORRT_CORE_H
