#include "log.h"

#include <algorithm>
#include <cctype>
#include <cstdio>

#include "text.h"

namespace vmexport::runner {
namespace {

constexpr size_t kMostErrors = 20;

const char* name_of(nvinfer1::ILogger::Severity severity) {
  switch (severity) {
    case nvinfer1::ILogger::Severity::kINTERNAL_ERROR: return "internal error";
    case nvinfer1::ILogger::Severity::kERROR: return "error";
    case nvinfer1::ILogger::Severity::kWARNING: return "warning";
    case nvinfer1::ILogger::Severity::kINFO: return "info";
    case nvinfer1::ILogger::Severity::kVERBOSE: return "verbose";
  }
  return "unknown severity";
}

}  // namespace

void Log::log(Severity severity, nvinfer1::AsciiChar const* message) noexcept {
  try {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (verbose_) std::fprintf(stderr, "TensorRT %s: %s\n", name_of(severity), harmless_lines(message).c_str());
    if (severity == Severity::kWARNING) ++warnings_;
    if (severity > Severity::kERROR) return;
    if (errors_.size() < kMostErrors) {
      errors_.emplace_back(message);
    } else {
      ++left_out_;
    }
  } catch (...) {  // out of memory: the call that failed still says so by its result
  }
}

std::string Log::take_errors() {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::string text;
  for (const std::string& error : errors_) text += (text.empty() ? "" : "\n") + error;
  if (left_out_ > 0) text += "\nand " + std::to_string(left_out_) + " more";
  errors_.clear();
  left_out_ = 0;
  return text;
}

size_t Log::warnings() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return warnings_;
}

bool speaks_of_memory(const std::string& text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  for (const char* words : {"out of memory", "outofmemory", "out_of_memory", "memoryallocation", "bad_alloc"})
    if (lower.find(words) != std::string::npos) return true;
  return false;
}

}  // namespace vmexport::runner
