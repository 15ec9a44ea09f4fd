// Builder and network of the fake TensorRT. The network is always the same; the scenario changes its details.
#include <cstring>

#include "inference.h"

namespace fake {
namespace {

using nvinfer1::Dims;
using nvinfer1::OptProfileSelector;

Plan network_plan() {
  const Scenario& now = scenario();
  return {now.batch, 1, 1, 1, now.half_input, now.half_output, now.inputs, now.outputs};
}

class Tensor : public nvinfer1::apiv::StubVTensor {
 public:
  char const* getName() const noexcept override { return "clips"; }
  Dims getDimensions() const noexcept override { return dims({scenario().batch, kChannels, kFrames, kSize, kSize}); }
};

// ITensor's destructor is protected; the network owns this one.
class TensorObject : public nvinfer1::ITensor {
 public:
  TensorObject() { mImpl = &tensor_; }

 private:
  Tensor tensor_;
};

class Network : public nvinfer1::apiv::StubVNetworkDefinition {
 public:
  int32_t getNbInputs() const noexcept override { return scenario().inputs; }
  int32_t getNbOutputs() const noexcept override { return scenario().outputs; }
  nvinfer1::ITensor* getInput(int32_t) const noexcept override { return &input_; }

 private:
  mutable TensorObject input_;
};

class Profile : public nvinfer1::apiv::StubVOptimizationProfile {
 public:
#if NV_TENSORRT_MAJOR >= 10
  bool setDimensions(char const* name, OptProfileSelector select, Dims const& shape) noexcept override {
#else
  bool setDimensions(char const* name, OptProfileSelector select, Dims shape) noexcept override {
#endif
    if (std::strcmp(name, "clips") != 0 || shape.nbDims != 5 || fails("setDimensions")) return false;
    batches[static_cast<int>(select)] = shape.d[0];
    return true;
  }

  int64_t batches[3] = {};  // min, opt, max
};

class ProfileObject : public nvinfer1::IOptimizationProfile {
 public:
  ProfileObject() { mImpl = &profile; }
  Profile profile;
};

class Config : public nvinfer1::apiv::StubVBuilderConfig {
 public:
  int32_t addOptimizationProfile(nvinfer1::IOptimizationProfile const* given) noexcept override {
    profile = static_cast<const ProfileObject*>(given)->profile;
    has_profile = true;
    return 0;
  }
  void setMemoryPoolLimit(nvinfer1::MemoryPoolType pool, std::size_t size) noexcept override {
    if (pool != nvinfer1::MemoryPoolType::kWORKSPACE) unexpected("another pool");
    record().workspace = size;
  }
  void setFlag(nvinfer1::BuilderFlag flag) noexcept override {
    record().builder_flags |= 1U << static_cast<uint32_t>(flag);
  }
  bool setTacticSources(nvinfer1::TacticSources sources) noexcept override {
    record().tactic_sources = sources;
    return true;
  }
  nvinfer1::TacticSources getTacticSources() const noexcept override { return record().tactic_sources; }
  void clearFlag(nvinfer1::BuilderFlag flag) noexcept override {
    if (flag != nvinfer1::BuilderFlag::kTF32) unexpected("another flag cleared");
    record().tf32 = false;
  }

  Profile profile;
  bool has_profile = false;
};

class HostMemory : public nvinfer1::apiv::StubVHostMemory {
 public:
  explicit HostMemory(std::string bytes) : bytes_(std::move(bytes)) {}
  void* data() const noexcept override { return bytes_.data(); }
  std::size_t size() const noexcept override { return bytes_.size(); }

 private:
  mutable std::string bytes_;
};

using ConfigObject = Object<nvinfer1::IBuilderConfig, Config>;

class Builder : public nvinfer1::apiv::StubVBuilder {
 public:
  explicit Builder(nvinfer1::ILogger* logger) : logger_(logger) {}

  nvinfer1::INetworkDefinition* createNetworkV2(nvinfer1::NetworkDefinitionCreationFlags flags) noexcept override {
    record().network_flags = flags;
    if (fails("createNetwork")) return say(logger_, scenario().says), nullptr;
    return new Object<nvinfer1::INetworkDefinition, Network>("network");
  }
  nvinfer1::IBuilderConfig* createBuilderConfig() noexcept override {
    return new ConfigObject("builder configuration");
  }
  nvinfer1::IOptimizationProfile* createOptimizationProfile() noexcept override { return &profile_; }

  nvinfer1::IHostMemory* buildSerializedNetwork(nvinfer1::INetworkDefinition&,
                                                nvinfer1::IBuilderConfig& config) noexcept override {
    if (fails("buildSerializedNetwork")) return say(logger_, scenario().says), nullptr;
    Plan plan = network_plan();
    const Config& with = static_cast<ConfigObject&>(config).implementation();
    if ((plan.batch < 0) != with.has_profile)
      return say(logger_, "a dynamic batch and its profile belong together"), nullptr;
    if (plan.batch >= 0)
      plan.min = plan.opt = plan.max = plan.batch;
    else
      plan.min = with.profile.batches[0], plan.opt = with.profile.batches[1], plan.max = with.profile.batches[2];
    return new Object<nvinfer1::IHostMemory, HostMemory>("serialised engine", plan_text(plan));
  }

 private:
  nvinfer1::ILogger* logger_;
  ProfileObject profile_;  // the builder's own, as in TensorRT
};

}  // namespace

nvinfer1::IBuilder* create_builder(nvinfer1::ILogger* logger) {
  return new Object<nvinfer1::IBuilder, Builder>("builder", logger);
}

}  // namespace fake
