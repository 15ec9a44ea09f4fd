#include "trt_host.h"

#include <deque>

namespace trt_host {
namespace {

struct ExpressionImpl final : nvinfer1::apiv::VDimensionExpr {
  int64_t size = kOpen;

  bool isConstant() const override { return size != kOpen; }
  Size getConstantValue() const override { return static_cast<Size>(size); }
  virtual bool isSizeTensor() const { return false; }  // of TensorRT 10 and newer
};

class Expression final : public nvinfer1::IDimensionExpr {
 public:
  explicit Expression(int64_t size) {
    impl_.size = size;
    mImpl = &impl_;
  }

 private:
  ExpressionImpl impl_;
};

}  // namespace

struct Expressions::Own final : nvinfer1::apiv::VExprBuilder {
  std::deque<Expression> made;

  const nvinfer1::IDimensionExpr* constant(Size value) override { return &made.emplace_back(value); }
  // No plugin of ours computes with sizes.
  const nvinfer1::IDimensionExpr* operation(nvinfer1::DimensionOperation, const nvinfer1::IDimensionExpr&,
                                            const nvinfer1::IDimensionExpr&) override {
    return nullptr;
  }
  virtual const nvinfer1::IDimensionExpr* declareSizeTensor(int32_t, const nvinfer1::IDimensionExpr&,
                                                            const nvinfer1::IDimensionExpr&) {
    return nullptr;
  }
};

Expressions::Expressions() : own_(new Own) { mImpl = own_.get(); }
Expressions::~Expressions() noexcept = default;

nvinfer1::DimsExprs Expressions::dims(const std::vector<int64_t>& sizes) {
  nvinfer1::DimsExprs dims{};
  dims.nbDims = static_cast<int32_t>(sizes.size());
  for (size_t i = 0; i < sizes.size(); ++i) dims.d[i] = &own_->made.emplace_back(sizes[i]);
  return dims;
}

std::vector<int64_t> Expressions::sizes(const nvinfer1::DimsExprs& dims) {
  std::vector<int64_t> sizes;
  for (int32_t i = 0; i < dims.nbDims; ++i) {
    sizes.push_back(dims.d[i]->isConstant() ? int64_t{dims.d[i]->getConstantValue()} : kOpen);
  }
  return sizes;
}

void Logger::log(Severity severity, const char* message) noexcept {
  if (severity <= Severity::kERROR) errors_ += std::string(message) + "\n";
}

std::string Logger::take() { return std::exchange(errors_, std::string()); }

nvinfer1::ILogger* process_logger = nullptr;
int32_t library_version = NV_TENSORRT_MAJOR >= 10 ? NV_TENSORRT_MAJOR * 10000 : NV_TENSORRT_MAJOR * 1000;

}  // namespace trt_host

extern "C" __attribute__((visibility("default"))) nvinfer1::ILogger* getLogger() noexcept {
  return trt_host::process_logger;
}
extern "C" __attribute__((visibility("default"))) int32_t getInferLibVersion() noexcept {
  return trt_host::library_version;
}
