// TensorRT's libraries, opened while the program runs: it is built from headers alone, and can say what is missing.
#ifndef VMEXPORT_RUNNER_LIBRARIES_H
#define VMEXPORT_RUNNER_LIBRARIES_H

#include <memory>
#include <string>

#include "log.h"
#include "options.h"
#include "trt_version.h"

namespace vmexport::runner {

class Libraries {
 public:
  // Opens libnvinfer of the headers' major (or TensorRT-RTX). Throws kEnvironment: missing, does not load, older than
  // the headers, or in a folder of options.library_folder that cannot be trusted.
  explicit Libraries(const Options& options);

  const TrtVersion& version() const { return version_; }
  std::string name() const;  // "TensorRT 10.3.0"

  // Throw kEnvironment with what TensorRT said.
  std::unique_ptr<nvinfer1::IBuilder> create_builder(Log& log) const;
  std::unique_ptr<nvinfer1::IRuntime> create_runtime(Log& log) const;
#if VMEXPORT_RUNNER_HAS_PARSER
  // Opens libnvonnxparser.
  std::unique_ptr<nvonnxparser::IParser> create_parser(nvinfer1::INetworkDefinition& network, Log& log) const;
#endif

  // Loads the library of the operators' plugins and checks that they are registered, and that it is they that answer to
  // their names; `old`: also to those that files and engines have from before the plugins had a namespace. Throws
  // kEnvironment.
  void load_plugins(const std::string& path, bool old, Log& log) const;

 private:
  void* open(const std::string& name, bool global) const;

  const bool rtx_, plugins_;
  const std::string folder_;
  void* inference_ = nullptr;  // never closed: TensorRT keeps threads and registered plugins to the end
  int version_number_ = 0;
  TrtVersion version_{};
};

}  // namespace vmexport::runner

#endif  // VMEXPORT_RUNNER_LIBRARIES_H
