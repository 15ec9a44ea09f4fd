#include <functional>
#include <limits>

#include "trt_cases.h"
#include "trt_refusals.h"

namespace trt_refusals {
namespace {

using namespace cases;
using nvinfer1::DataType;
using trt_cases::Fields;
using trt_cases::Sizes;

struct Network {
  std::unique_ptr<trt_host::Node> node;
  Sizes sizes;
  explicit Network(const char* op, int64_t batch = 2) : sizes(trt_cases::sizes_of(op, plain(), batch)) {
    const Fields fields(op, plain());
    const auto collection = fields.collection();
    node = trt_host::create(op, &collection);
  }

  bool shape() {
    trt_host::Expressions expressions;
    std::vector<nvinfer1::DimsExprs> inputs;
    for (const auto& one : sizes) inputs.push_back(expressions.dims(one));
    nvinfer1::DimsExprs output{};
    return node->shape(inputs, expressions, &output);
  }
  bool configure(const char* op) {
    return node->configure(trt_cases::ranges(op, sizes, sizes, DataType::kHALF), trt_host::Ranges(1));
  }
  bool enqueue(const char* op) {
    const void* data[7] = {};
    void* result[1] = {};
    return node->enqueue(trt_cases::descriptions(op, sizes, DataType::kHALF), trt_host::Descriptions(1), data, result,
                         nullptr);
  }
};

// Sizes that are wrong are refused at each stage that sees them.
void check_sizes(trt_host::Logger& logger) {
  const auto refuse = [&logger](const char* op, const char* words, const std::function<void(Sizes&)>& change) {
    Network network(op);
    change(network.sizes);
    std::string text = op;
    for (const auto& sizes : network.sizes) {
      text += " (";
      for (const int64_t size : sizes) text += std::to_string(size) + ",";
      text += ")";
    }
    told(logger, !network.shape(), words, text + " shape");
    told(logger, !network.configure(op), words, text + " configure");
    told(logger, !network.enqueue(op), words, text + " enqueue");
    expect(network.node->bytes() == Network(op).node->bytes(), "a refusal changes nothing");
  };
  for (const char* op : {kScan, kConv}) {
    const Network good(op);
    for (size_t input = 0; input < good.sizes.size(); ++input) {
      for (size_t axis = 0; axis < good.sizes[input].size(); ++axis) {
        refuse(op, "expected", [=](Sizes& sizes) { sizes[input][axis] = -2; });
        // The convolution's batch and taps stand in one tensor only, with which others need not agree.
        if (op == kConv && ((input == 0 && axis == 0) || (input == 1 && axis == 2))) continue;
        refuse(op, "expected", [=](Sizes& sizes) { sizes[input][axis] += 1; });
        refuse(op, "expected", [=](Sizes& sizes) { sizes[input][axis] = std::numeric_limits<trt_host::Size>::max(); });
      }
    }
  }
  refuse(kScan, "delta: expected shape (S, B, L, D) = (2, 2, 17, 33), got (2, 2, 17, 34)",
         [](Sizes& sizes) { sizes[1][3] = 34; });
  refuse(kScan, "tokens_per_frame: expected a divisor of the 17 patch tokens, got 4",
         [](Sizes& sizes) { sizes[0][2] = sizes[1][2] = sizes[3][2] = sizes[6][1] = 18; });
  refuse(kScan, "states (N): expected 1 to 256, got 300", [](Sizes& sizes) { sizes[2][2] = 300, sizes[3][3] = 600; });
  refuse(kConv, "taps (K): expected 1 to 8, got 9", [](Sizes& sizes) { sizes[1][2] = 9; });
  refuse(kScan, "expected", [](Sizes& sizes) {
    for (auto* batch : {&sizes[0][1], &sizes[1][1], &sizes[3][1], &sizes[6][0]}) {
      batch[0] = batch[1] = std::numeric_limits<trt_host::Size>::max();  // and the length
    }
  });
  for (const size_t input : {0, 1, 2, 3, 4, 5, 6}) {
    refuse(kScan, "expected", [input](Sizes& sizes) { sizes[input].push_back(1); });
    refuse(kScan, "expected", [input](Sizes& sizes) { sizes[input].pop_back(); });
    refuse(kScan, "expected", [input](Sizes& sizes) { sizes[input].clear(); });
    refuse(kScan, "expected", [input](Sizes& sizes) { sizes[input].assign(8, 1); });
  }
}

// More dimensions than an array of them holds, or fewer than none.
void check_ranks(trt_host::Logger& logger) {
  for (const int32_t rank : {-1, 9, INT32_MAX, INT32_MIN}) {
    Network network(kScan);
    auto inputs = trt_cases::descriptions(kScan, network.sizes, DataType::kHALF);
    auto ranges = trt_cases::ranges(kScan, network.sizes, network.sizes, DataType::kHALF);
    inputs[3].dims.nbDims = ranges[3].min.nbDims = rank;
    const void* data[7] = {};
    void* result[1] = {};
    told(logger, !network.node->enqueue(inputs, trt_host::Descriptions(1), data, result, nullptr), "BC: expected");
    told(logger, !network.node->configure(ranges, trt_host::Ranges(1)), "BC: expected");
    trt_host::Expressions expressions;
    std::vector<nvinfer1::DimsExprs> shapes;
    for (const auto& one : network.sizes) shapes.push_back(expressions.dims(one));
    shapes[3].nbDims = rank;
    nvinfer1::DimsExprs output{};
    told(logger, !network.node->shape(shapes, expressions, &output), "BC: expected");
  }
}

void check_types(trt_host::Logger& logger) {
  Network network(kScan);
  auto inputs = trt_cases::descriptions(kScan, network.sizes, DataType::kHALF);
  const void* data[7] = {};
  void* result[1] = {};
  const auto refuse = [&](size_t input, DataType type, const char* words) {
    auto changed = inputs;
    changed[input].type = type;
    auto ranges = trt_cases::ranges(kScan, network.sizes, network.sizes, DataType::kHALF);
    ranges[input].desc.type = type;
    std::vector<DataType> types;
    for (const auto& one : changed) types.push_back(one.type);
    auto output = DataType::kINT32;
    const bool typed = network.node->types(types, &output);
    told(logger, !typed || output == DataType::kFLOAT, words);
    told(logger, !network.node->configure(ranges, trt_host::Ranges(1)), words);
#if VMEXPORT_TENSORRT_V3  // the older interface learns of types before, and has no call for shapes alone
    told(logger, !network.node->enqueue(changed, trt_host::Descriptions(1), data, result, nullptr), words);
#endif
  };
  refuse(2, DataType::kHALF, "A: expected float32, got float16");
  refuse(5, DataType::kINT32, "delta_bias: expected float32, got int32");
  refuse(6, DataType::kFLOAT, "z: expected float16, the type of u, got float32");
  refuse(0, DataType::kINT8, "u: expected float32");
  refuse(0, static_cast<DataType>(99), "a type that vmexport does not know");
#if VMEXPORT_TENSORRT_V3
  refuse(1, DataType::kBF16, "delta: expected float16, the type of u, got bfloat16");
#endif
  (void)data, (void)result;
}

void check_counts(trt_host::Logger& logger) {
  for (const char* op : {kScan, kConv}) {
    Network network(op);
    const std::string words = std::string("expected ") + (op == kScan ? "7" : "3") + " inputs and 1 output, got ";
    for (const int change : {-1, 1}) {
      Network other(op);
      if (change < 0) other.sizes.pop_back();
      if (change > 0) other.sizes.push_back({1});
      told(logger, !other.shape(), words);
      const auto ranges = trt_cases::ranges(op, other.sizes, other.sizes, DataType::kHALF);
      told(logger, !other.node->configure(ranges, trt_host::Ranges(1)), words);
      auto tensors = trt_cases::descriptions(op, other.sizes, DataType::kHALF);
      tensors.emplace_back();
      told(logger, !other.node->supports(0, tensors, static_cast<int32_t>(other.sizes.size()), 1), words);
    }
    const auto ranges = trt_cases::ranges(op, network.sizes, network.sizes, DataType::kHALF);
    told(logger, !network.node->configure(ranges, trt_host::Ranges(2)), words);
  }
}

// A range may be wrong at one end only; an end that is not known is no error.
void check_ends(trt_host::Logger& logger) {
  Network low(kScan), high(kScan, 4);
  const auto configure = [&] {
    return low.node->configure(trt_cases::ranges(kScan, low.sizes, high.sizes, DataType::kHALF), trt_host::Ranges(1));
  };
  expect(configure(), "a range of batches");
  high.sizes[6][0] = 3;
  told(logger, !configure(), "z: expected shape (B, L, D) = (4, 17, 33), got (3, 17, 33)");
  high.sizes[6][0] = -1;
  expect(configure() && logger.take().empty(), "an open end");
}

// A kernel's own refusal comes through: tensors without memory.
void check_no_memory(trt_host::Logger& logger) {
  Network network(kScan);
  told(logger, !network.enqueue(kScan), "u: expected data, got a null pointer");
  Network conv(kConv);
  told(logger, !conv.enqueue(kConv), "x: expected data, got a null pointer");
}

}  // namespace

void check_inputs(trt_host::Logger& logger) {
  check_sizes(logger);
  check_ranks(logger);
  check_types(logger);
  check_counts(logger);
  check_ends(logger);
  check_no_memory(logger);
}

}  // namespace trt_refusals
