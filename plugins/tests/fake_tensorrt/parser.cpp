// The fake parser: takes every file, or fails with the scenario's words.
#include <NvOnnxParser.h>

#include "inference.h"
#include "parser_stubs.h"

namespace fake {
namespace {

class ParserError : public nvonnxparser::StubIParserError {
 public:
#if NV_TENSORRT_MAJOR >= 10
  char const* desc() const noexcept override { return scenario().says.c_str(); }
  int node() const noexcept override { return 17; }
  char const* nodeName() const noexcept override { return "blocks.3.scan"; }
  char const* nodeOperator() const noexcept override { return "SelectiveScan"; }
#else
  char const* desc() const override { return scenario().says.c_str(); }
  int node() const override { return 17; }
#endif
};

class Parser : public nvonnxparser::StubIParser {
 public:
  explicit Parser(nvinfer1::ILogger* logger) : logger_(logger) { born(this, "parser"); }
  ~Parser() override { died(this); }

#if NV_TENSORRT_MAJOR >= 10
#define VMEXPORT_FAKE_NOEXCEPT noexcept
#else
#define VMEXPORT_FAKE_NOEXCEPT
#endif
  bool parse(void const* model, size_t size, const char* path) VMEXPORT_FAKE_NOEXCEPT override {
    record().model.assign(static_cast<const char*>(model), size);
    if (path == nullptr) unexpected("a model without its path: external weights would not be found");
    failed_ = fails("parse");
    if (failed_) say(logger_, "logged: " + scenario().says);
    return !failed_;
  }
  int getNbErrors() const VMEXPORT_FAKE_NOEXCEPT override { return failed_; }
  nvonnxparser::IParserError const* getError(int) const VMEXPORT_FAKE_NOEXCEPT override { return &error_; }

 private:
  nvinfer1::ILogger* logger_;
  bool failed_ = false;
  ParserError error_;
};

}  // namespace
}  // namespace fake

#pragma GCC visibility push(default)
extern "C" void* createNvOnnxParser_INTERNAL(void*, void* logger, int version) VMEXPORT_FAKE_NOEXCEPT {
  if (version != NV_ONNX_PARSER_VERSION) fake::unexpected("another version");
  return static_cast<nvonnxparser::IParser*>(new fake::Parser(static_cast<nvinfer1::ILogger*>(logger)));
}
#pragma GCC visibility pop
