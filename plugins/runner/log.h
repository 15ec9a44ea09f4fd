// Collects what TensorRT says, so that an error can quote it.
#ifndef VMEXPORT_RUNNER_LOG_H
#define VMEXPORT_RUNNER_LOG_H

#include <NvInfer.h>

#include <mutex>
#include <string>
#include <vector>

namespace vmexport::runner {

class Log : public nvinfer1::ILogger {
 public:
  // `verbose`: everything goes to standard error as well.
  explicit Log(bool verbose) : verbose_(verbose) {}

  void log(Severity severity, nvinfer1::AsciiChar const* message) noexcept override;

  // Errors since the last call, one a line; empty where there were none. The first are the causes, so the last are cut.
  std::string take_errors();
  size_t warnings() const;

 private:
  const bool verbose_;
  mutable std::mutex mutex_;  // TensorRT builds with several threads
  std::vector<std::string> errors_;
  size_t warnings_ = 0, left_out_ = 0;
};

// Whether TensorRT's words are about memory: they are the only sign of it that a failed build gives.
bool speaks_of_memory(const std::string& text);

}  // namespace vmexport::runner

#endif  // VMEXPORT_RUNNER_LOG_H
