#include "log.h"

#include <atomic>
#include <cstdio>

#include "host.h"

namespace vmexport::trt {
namespace {

#if VMEXPORT_TENSORRT_LOGGER_FINDER
std::atomic<nvinfer1::ILoggerFinder*> logger_finder{nullptr};

nvinfer1::ILogger* found_logger() noexcept {
  nvinfer1::ILoggerFinder* const finder = logger_finder.load();
  try {
    return finder != nullptr ? finder->findLogger() : nullptr;
  } catch (...) {  // not declared noexcept
    return nullptr;
  }
}
#else
nvinfer1::ILogger* found_logger() noexcept { return nullptr; }
#endif

nvinfer1::ILogger* host_logger() noexcept {
  Message ignored;
  void* const symbol = host_symbol("getLogger", Load::kNever, &ignored);
  return symbol != nullptr ? reinterpret_cast<nvinfer1::ILogger* (*)()>(symbol)() : nullptr;
}

}  // namespace

#if VMEXPORT_TENSORRT_LOGGER_FINDER
void set_logger_finder(nvinfer1::ILoggerFinder* finder) noexcept { logger_finder.store(finder); }
#endif

void refuse(const char* operator_name, const char* message) noexcept {
  char text[VMEXPORT_MESSAGE_SIZE + 160];
  std::snprintf(text, sizeof text, "vmexport::%s: %s", operator_name, message);
  nvinfer1::ILogger* logger = found_logger();
  if (logger == nullptr) logger = host_logger();
  if (logger != nullptr) {
    logger->log(nvinfer1::ILogger::Severity::kERROR, text);
  } else {
    std::fprintf(stderr, "%s\n", text);
  }
}

void refuse_node(const Operator& op, const char* node, const char* message) noexcept {
  char text[VMEXPORT_MESSAGE_SIZE + 96];
  std::snprintf(text, sizeof text, "node '%.80s': %s", node != nullptr ? node : "", message);
  refuse(op.name, text);
}

}  // namespace vmexport::trt
