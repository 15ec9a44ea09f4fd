#include "trt_cases.h"

#include <algorithm>

namespace trt_cases {

using cases::Case;
using cases::expect;
using nvinfer1::PluginFieldType;

Fields::Fields(const std::string& op, const Case& test)
    : directions(test.orders),
      tokens_per_frame(static_cast<int32_t>(test.tokens_per_frame)),
      class_token(test.class_token),
      scale(test.scale) {
  // Not in the order in which they are declared.
  if (op == "SelectiveScan") list.emplace_back("scale", &scale, PluginFieldType::kFLOAT32, 1);
  list.emplace_back("class_token", &class_token, PluginFieldType::kINT32, 1);
  list.emplace_back("directions", directions.data(), PluginFieldType::kINT32, static_cast<int32_t>(directions.size()));
  list.emplace_back("tokens_per_frame", &tokens_per_frame, PluginFieldType::kINT32, 1);
}

nvinfer1::PluginFieldCollection Fields::collection() const { return {static_cast<int32_t>(list.size()), list.data()}; }

bool applies(const Case& test) { return test.softplus && test.skip && test.bias && test.gate && test.padding == 0; }

std::vector<int32_t> dtypes() {
#if VMEXPORT_TENSORRT_V3
  return {VMEXPORT_FLOAT32, VMEXPORT_FLOAT16, VMEXPORT_BFLOAT16};
#else
  return {VMEXPORT_FLOAT32, VMEXPORT_FLOAT16};
#endif
}

nvinfer1::DataType type_of(int32_t dtype) {
  switch (dtype) {
    case VMEXPORT_FLOAT32: return nvinfer1::DataType::kFLOAT;
#if VMEXPORT_TENSORRT_V3
    case VMEXPORT_BFLOAT16: return nvinfer1::DataType::kBF16;
#endif
    default: return nvinfer1::DataType::kHALF;
  }
}

Sizes sizes_of(const std::string& op, const Case& test, int64_t batch) {
  const int64_t S = test.sizes.directions, L = test.sizes.length, D = test.sizes.channels;
  const int64_t N = test.sizes.states, K = test.sizes.taps, B = batch;
  if (op == "CausalConv1d") return {{B, L, D}, {S, D, K}, {S, D}};
  return {{S, B, L, D}, {S, B, L, D}, {S, D, N}, {S, B, L, 2 * N}, {S, D}, {S, D}, {B, L, D}};
}

std::vector<int64_t> output_of(const std::string& op, const Case& test, int64_t batch) {
  const int64_t S = test.sizes.directions, L = test.sizes.length, D = test.sizes.channels;
  if (op == "CausalConv1d") return {S, batch, L, D};
  return {batch, L, D};
}

bool typed(const std::string& op, size_t input) {
  return op == "CausalConv1d" ? input == 0 : input == 0 || input == 1 || input == 3 || input == 6;
}

nvinfer1::PluginTensorDesc description(const std::vector<int64_t>& sizes, nvinfer1::DataType type) {
  nvinfer1::PluginTensorDesc desc{};
  desc.dims.nbDims = static_cast<int32_t>(sizes.size());
  for (size_t i = 0; i < sizes.size(); ++i) desc.dims.d[i] = static_cast<trt_host::Size>(sizes[i]);
  desc.type = type;
  desc.format = nvinfer1::TensorFormat::kLINEAR;
  return desc;
}

trt_host::Descriptions descriptions(const std::string& op, const Sizes& sizes, nvinfer1::DataType type) {
  trt_host::Descriptions list;
  for (size_t i = 0; i < sizes.size(); ++i) {
    list.push_back(description(sizes[i], typed(op, i) ? type : nvinfer1::DataType::kFLOAT));
  }
  return list;
}

trt_host::Ranges ranges(const std::string& op, const Sizes& low, const Sizes& high, nvinfer1::DataType type) {
  const trt_host::Descriptions from = descriptions(op, low, type), to = descriptions(op, high, type);
  trt_host::Ranges list(from.size());
  for (size_t i = 0; i < from.size(); ++i) {
    list[i].desc = from[i];
    list[i].min = from[i].dims;
    list[i].max = to[i].dims;
    for (int32_t axis = 0; axis < from[i].dims.nbDims; ++axis) {
      if (from[i].dims.d[axis] != to[i].dims.d[axis]) list[i].desc.dims.d[axis] = -1;
    }
  }
  return list;
}

std::unique_ptr<trt_host::Node> ready(const std::string& op, const Case& test, int32_t dtype) {
  const std::string name = op + ", " + test.name + ", " + cases::kDtypes[dtype] + ": ";
  const auto type = type_of(dtype);
  const Fields fields(op, test);
  const auto given = fields.collection();
  std::unique_ptr<trt_host::Node> node = trt_host::create(op, &given);
  expect(node != nullptr, name + "created");
  if (node == nullptr) return nullptr;

  trt_host::Expressions expressions;
  std::vector<nvinfer1::DimsExprs> shapes;
  std::vector<nvinfer1::DataType> types;
  const Sizes open = sizes_of(op, test, trt_host::kOpen);
  for (size_t i = 0; i < open.size(); ++i) {
    shapes.push_back(expressions.dims(open[i]));
    types.push_back(typed(op, i) ? type : nvinfer1::DataType::kFLOAT);
  }
  nvinfer1::DimsExprs shape{};
  expect(node->shape(shapes, expressions, &shape), name + "shape");
  expect(trt_host::Expressions::sizes(shape) == output_of(op, test, trt_host::kOpen), name + "shape of the output");
  auto output_type = nvinfer1::DataType::kINT32;
  expect(node->types(types, &output_type) && output_type == type, name + "type of the output");

  const int64_t most = 2 * test.sizes.batch;
  const trt_host::Ranges inputs = ranges(op, sizes_of(op, test, 1), sizes_of(op, test, most), type);
  const trt_host::Ranges outputs{nvinfer1::DynamicPluginTensorDesc{}};
  expect(node->configure(inputs, outputs), name + "configured");
  expect(node->workspace(inputs, outputs) == 0, name + "no workspace");

  const std::vector<unsigned char> bytes = node->bytes();
  const std::string identity = node->identity();
  node = node->reload();
  expect(node != nullptr, name + "read again");
  if (node != nullptr) node = node->clone();
  if (node != nullptr) node = node->attach();
  expect(node != nullptr, name + "copied and attached");
  if (node == nullptr) return nullptr;
  expect(node->bytes() == bytes, name + "the same bytes after the journey");
  expect(node->identity() == identity, name + "the same identity after the journey");
  expect(node->its_namespace() == "vmexport", name + "the same namespace after the journey");
  return node;
}

namespace {

vmexport_status run(trt_host::Node& node, const std::string& op, const Case& test, int32_t dtype, int64_t batch,
                    const std::vector<const void*>& data, void* result, void* stream) {
  const auto type = type_of(dtype);
  const trt_host::Descriptions inputs = descriptions(op, sizes_of(op, test, batch), type);
  const trt_host::Descriptions output{description(output_of(op, test, batch), type)};
  return node.enqueue(inputs, output, data.data(), &result, stream) ? VMEXPORT_OK : VMEXPORT_INVALID_ARGUMENT;
}

}  // namespace

vmexport_status run(trt_host::Node& node, const Case& test, const vmexport_scan_params& p, void* stream) {
  return run(node, "SelectiveScan", test, p.dtype, p.batch, {p.u, p.delta, p.a, p.bc, p.d, p.delta_bias, p.z}, p.y,
             stream);
}

vmexport_status run(trt_host::Node& node, const Case& test, const vmexport_conv_params& p, void* stream) {
  return run(node, "CausalConv1d", test, p.dtype, p.batch, {p.x, p.weight, p.bias}, p.u, stream);
}

}  // namespace trt_cases
