#include "builder.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "error.h"

namespace vmexport::runner {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// Refuses what TensorRT would only complain of in its own words, or silently do in another way.
void check_request(const Options& options, const OnnxFacts& facts) {
  if (kStronglyTyped && options.fp16 && facts.precision == "fp32")
    throw Error(Exit::kUsage, "--fp16 cannot make " + options.model + " half precision",
                "it is a float32 file, and from TensorRT 10 on an engine has the precision of its file",
                "export it so: vmexport onnx MODEL --fp16 -o model.onnx");
  if (!options.plugin.empty()) return;
  std::vector<std::string> missing;
  std::set_difference(facts.operators.begin(), facts.operators.end(), facts.functions.begin(), facts.functions.end(),
                      std::back_inserter(missing));
  if (missing.empty()) return;
  throw Error(Exit::kBadInput, options.model + " needs the plugin",
              joined(missing) + ": the file carries no function body in standard operators",
              "--plugin libvmexport_trt.so, or export it without --no-fallback");
}

#if VMEXPORT_RUNNER_HAS_PARSER

// All that parser and builder said, as one error.
[[noreturn]] void fail(Exit status, const std::string& what, const std::string& said, const std::string& fix) {
  if (speaks_of_memory(said))
    throw Error(Exit::kOutOfMemory, "out of memory: " + what, said,
                "give less: --workspace 512M, or close other programs");
  throw Error(status, what, said.empty() ? "TensorRT gave no reason; --verbose shows all that it says" : said, fix);
}

void parse(nvonnxparser::IParser& parser, Log& log, const Options& options, const std::string& model) {
  if (parser.parse(model.data(), model.size(), options.model.c_str())) return;
  std::string said;
  for (int i = 0; i < parser.getNbErrors(); ++i) {
    const nvonnxparser::IParserError& error = *parser.getError(i);
    said += (said.empty() ? "" : "\n") + node_text(error) + ": " + error.desc();
  }
  const std::string logged = log.take_errors();
  fail(Exit::kBadInput, "TensorRT could not read " + options.model, said.empty() ? logged : said,
       "vmexport check shows whether the file is sound; --verbose shows all that TensorRT says");
}

// Sets the profile of a dynamic batch; a fixed one is served as it is.
BatchProfile set_profile(nvinfer1::IBuilder& builder, nvinfer1::INetworkDefinition& network,
                         nvinfer1::IBuilderConfig& config, const Options& options, const OnnxFacts& facts) {
  if (network.getNbInputs() != 1 || network.getNbOutputs() != 1)
    throw Error(Exit::kBadInput, options.model + " is no network from clips to logits",
                "expected one input and one output, got " + std::to_string(network.getNbInputs()) + " and " +
                    std::to_string(network.getNbOutputs()));
  const nvinfer1::ITensor& input = *network.getInput(0);
  nvinfer1::Dims shape = input.getDimensions();
  if (shape.nbDims != 5 || std::any_of(shape.d + 1, shape.d + 5, [](auto size) { return size < 0; }))
    throw Error(Exit::kBadInput, options.model + " is no network from clips to logits",
                "expected an input (B, 3, T, H, W) in which only B may be dynamic");
  if (shape.d[0] >= 0) {
    const BatchProfile fixed{shape.d[0], shape.d[0], shape.d[0]};
    if (options.batch && (options.batch->min != fixed.min || options.batch->max != fixed.max))
      throw Error(Exit::kUsage, "--batch " + profile_text(*options.batch) + " does not fit " + options.model,
                  "its batch is fixed at " + profile_text(fixed),
                  "vmexport onnx --batch " + profile_text(*options.batch));
    return fixed;
  }
  const BatchProfile batch = options.batch ? *options.batch : facts.profile.value_or(BatchProfile{});
  nvinfer1::IOptimizationProfile* profile = builder.createOptimizationProfile();
  const std::pair<nvinfer1::OptProfileSelector, int64_t> sizes[] = {{nvinfer1::OptProfileSelector::kMIN, batch.min},
                                                                    {nvinfer1::OptProfileSelector::kOPT, batch.opt},
                                                                    {nvinfer1::OptProfileSelector::kMAX, batch.max}};
  bool accepted = profile != nullptr;
  for (const auto& [selector, size] : sizes) {
    shape.d[0] = size;
    accepted = accepted && profile->setDimensions(input.getName(), selector, shape);
  }
  if (!accepted || config.addOptimizationProfile(profile) < 0)
    throw Error(Exit::kBuildFailed, "TensorRT does not take the batches " + profile_text(batch));
  return batch;
}

#endif

}  // namespace

BuiltEngine build_engine(const Libraries& libraries, Log& log, const Options& options, const std::string& model,
                         const OnnxFacts& facts, uint64_t workspace_bytes) {
  check_request(options, facts);
#if VMEXPORT_RUNNER_HAS_PARSER
  const auto begin = std::chrono::steady_clock::now();
  BuiltEngine built;
  built.bodies_dropped = !options.plugin.empty() && !facts.functions.empty();
  const std::unique_ptr<nvinfer1::IBuilder> builder = libraries.create_builder(log);
  const std::unique_ptr<nvinfer1::INetworkDefinition> network(builder->createNetworkV2(network_flags(options.rtx)));
  const std::unique_ptr<nvinfer1::IBuilderConfig> config(builder->createBuilderConfig());
  if (!network || !config) fail(Exit::kBuildFailed, "TensorRT gives no network", log.take_errors(), "");
  // The parser has to live as long as the network: it owns the weights.
  const std::unique_ptr<nvonnxparser::IParser> parser = libraries.create_parser(*network, log);
  parse(*parser, log, options, built.bodies_dropped ? without_function_bodies(model) : model);
  built.profile = set_profile(*builder, *network, *config, options, facts);
  config->setMemoryPoolLimit(nvinfer1::MemoryPoolType::kWORKSPACE, workspace_bytes);
  keep_float32(*config, options.rtx);
  if (options.own_kernels) keep_own_kernels(*config, options.rtx);
  // Where the builder decides it has to be allowed what a half-precision file asks for.
  if (options.fp16 || facts.precision == "fp16") allow_half(*config);
  const std::unique_ptr<nvinfer1::IHostMemory> plan(builder->buildSerializedNetwork(*network, *config));
  if (!plan)
    fail(Exit::kBuildFailed, "TensorRT could not build an engine from " + options.model, log.take_errors(), "");
  built.bytes.assign(static_cast<const char*>(plan->data()), plan->size());
  built.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return built;
#else
  static_cast<void>(libraries);
  static_cast<void>(log);
  static_cast<void>(model);
  static_cast<void>(workspace_bytes);
  throw Error(Exit::kEnvironment, "this vmexport-run only runs engines",
              "it was built without NvOnnxParser.h, the header of TensorRT's ONNX parser",
              "install libnvonnxparsers-dev and build it again");
#endif
}

}  // namespace vmexport::runner
