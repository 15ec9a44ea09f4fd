// A plugin as TensorRT drives it, the same for both interfaces: trt_node_v3.cpp and trt_node_v2.cpp implement it, and
// the one of them that fits the headers is compiled.
#ifndef VMEXPORT_TESTS_TRT_NODE_H
#define VMEXPORT_TESTS_TRT_NODE_H

#include <memory>
#include <string>
#include <vector>

#include "../tensorrt/version.h"

namespace trt_host {

using Descriptions = std::vector<nvinfer1::PluginTensorDesc>;
using Ranges = std::vector<nvinfer1::DynamicPluginTensorDesc>;

class Node {
 public:
  virtual ~Node() = default;

  // Every function returns what TensorRT would learn: false, or nothing, is a refusal.
  virtual bool types(const std::vector<nvinfer1::DataType>& inputs, nvinfer1::DataType* output) = 0;
  virtual bool shape(const std::vector<nvinfer1::DimsExprs>& inputs, nvinfer1::IExprBuilder& builder,
                     nvinfer1::DimsExprs* output) = 0;
  virtual bool supports(int32_t pos, const Descriptions& tensors, int32_t inputs, int32_t outputs) = 0;
  virtual bool configure(const Ranges& inputs, const Ranges& outputs) = 0;
  virtual size_t workspace(const Ranges& inputs, const Ranges& outputs) = 0;
  // Its attributes as the bytes of ../tensorrt/bytes.h.
  virtual std::vector<unsigned char> bytes() = 0;
#if VMEXPORT_TENSORRT_V3
  // What an engine holds.
  virtual const nvinfer1::PluginFieldCollection* fields() = 0;
#endif
  // Written into an engine and read out of it again, by its creator.
  virtual std::unique_ptr<Node> reload() = 0;
  virtual std::unique_ptr<Node> clone() = 0;
  // What an execution context gets to work with.
  virtual std::unique_ptr<Node> attach() = 0;
  virtual bool enqueue(const Descriptions& inputs, const Descriptions& output, const void* const* data,
                       void* const* result, void* stream) = 0;
  // What an engine will look its creator up by.
  virtual std::string its_namespace() = 0;
  // The timing cache's name for it; empty where the interface has none.
  virtual std::string identity() = 0;
};

// Names of the creators of this library, in their order.
std::vector<std::string> operators();
// What a creator says about itself.
std::string version_of(const std::string& op);
std::string namespace_of(const std::string& op);
const nvinfer1::PluginFieldCollection* fields_of(const std::string& op);

// Through the creator named `op`: from a node's attributes, and from the bytes of ../tensorrt/bytes.h in an engine.
// Null: refused.
std::unique_ptr<Node> create(const std::string& op, const nvinfer1::PluginFieldCollection* fields);
std::unique_ptr<Node> restore(const std::string& op, const void* bytes, size_t size);
#if VMEXPORT_TENSORRT_V3
// From an engine's fields.
std::unique_ptr<Node> load(const std::string& op, const nvinfer1::PluginFieldCollection* fields);
#endif

}  // namespace trt_host

#endif  // VMEXPORT_TESTS_TRT_NODE_H
