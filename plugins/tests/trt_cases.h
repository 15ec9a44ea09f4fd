// A case of kernel_cases.h as a node of a network: its attributes as fields, its sizes, and the way from one to a
// plugin that runs. The tests on the host and on a GPU differ in who calls `enqueue`, and with which memory.
#ifndef VMEXPORT_TESTS_TRT_CASES_H
#define VMEXPORT_TESTS_TRT_CASES_H

#include <memory>
#include <string>
#include <vector>

#include "kernel_cases.h"
#include "trt_host.h"
#include "trt_node.h"

namespace trt_cases {

using Sizes = std::vector<std::vector<int64_t>>;  // of every input

// Attributes as fields, to be changed by a test before they are used.
struct Fields {
  std::vector<int32_t> directions;
  int32_t tokens_per_frame = 0, class_token = 0;
  float scale = 1.0f;
  std::vector<nvinfer1::PluginField> list;

  Fields(const std::string& op, const cases::Case& test);
  Fields(const Fields&) = delete;
  Fields& operator=(const Fields&) = delete;
  nvinfer1::PluginFieldCollection collection() const;
};

// A plugin has all inputs and dense tensors: the cases of which that is true, and types that TensorRT knows.
bool applies(const cases::Case& test);
std::vector<int32_t> dtypes();
nvinfer1::DataType type_of(int32_t dtype);

Sizes sizes_of(const std::string& op, const cases::Case& test, int64_t batch);
std::vector<int64_t> output_of(const std::string& op, const cases::Case& test, int64_t batch);
bool typed(const std::string& op, size_t input);  // has the type T

nvinfer1::PluginTensorDesc description(const std::vector<int64_t>& sizes, nvinfer1::DataType type);
trt_host::Descriptions descriptions(const std::string& op, const Sizes& sizes, nvinfer1::DataType type);
// A range of one size is [sizes, sizes].
trt_host::Ranges ranges(const std::string& op, const Sizes& low, const Sizes& high, nvinfer1::DataType type);

// The whole way of a node into an engine and out of it: created, asked for type and shape with an open batch,
// configured for a range of batches, written, read again, copied, attached. What goes wrong is a failure of the test.
std::unique_ptr<trt_host::Node> ready(const std::string& op, const cases::Case& test, int32_t dtype);

// `enqueue` with the tensors of a kernel's parameters.
vmexport_status run(trt_host::Node& node, const cases::Case& test, const vmexport_scan_params& params, void* stream);
vmexport_status run(trt_host::Node& node, const cases::Case& test, const vmexport_conv_params& params, void* stream);

}  // namespace trt_cases

#endif  // VMEXPORT_TESTS_TRT_CASES_H
