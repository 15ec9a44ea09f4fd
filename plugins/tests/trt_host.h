// Stand-ins for what TensorRT itself would supply to a plugin: expressions over dimensions, a logger.
#ifndef VMEXPORT_TESTS_TRT_HOST_H
#define VMEXPORT_TESTS_TRT_HOST_H

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../tensorrt/version.h"

namespace trt_host {

using Size = std::remove_reference_t<decltype(std::declval<nvinfer1::Dims>().d[0])>;  // 32 bits in TensorRT 8

constexpr int64_t kOpen = -1;  // a dimension that is not known while the network is put together

// Makes and owns expressions; the network's inputs come from `dims`, the plugin's constants through the interface.
class Expressions final : public nvinfer1::IExprBuilder {
 public:
  Expressions();
  ~Expressions() noexcept override;

  nvinfer1::DimsExprs dims(const std::vector<int64_t>& sizes);
  // Sizes of what a plugin returned, kOpen where it is an open dimension of an input; none where nbDims is negative.
  static std::vector<int64_t> sizes(const nvinfer1::DimsExprs& dims);

 private:
  struct Own;
  std::unique_ptr<Own> own_;
};

// Remembers errors.
class Logger final : public nvinfer1::ILogger {
 public:
  void log(Severity severity, const char* message) noexcept override;
  // The errors since the last call, one a line.
  std::string take();

 private:
  std::string errors_;
};

// What this process's TensorRT answers: this program exports getLogger() and getInferLibVersion() as libnvinfer does.
extern nvinfer1::ILogger* process_logger;
extern int32_t library_version;

}  // namespace trt_host

#endif  // VMEXPORT_TESTS_TRT_HOST_H
