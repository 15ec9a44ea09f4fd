// Drives the TensorRT plugins from headers alone, as TensorRT would: creators, fields, types, shapes, every combination
// of formats, bytes, copies, enqueue. The kernels are the CUDA kernels' own source on the emulation (trt_kernels.cpp).
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "trt_cases.h"
#include "trt_refusals.h"
#include "trt_registration.h"

namespace {

using namespace cases;
using trt_cases::type_of;

void check_creators() {
  expect(trt_host::operators() == std::vector<std::string>{"SelectiveScan", "CausalConv1d"}, "two creators");
  for (const std::string& op : trt_host::operators()) {
    // What an ONNX parser looks for: identity.h says why.
    expect(trt_host::version_of(op) == "1" && trt_host::namespace_of(op) == "vmexport", op + ": key in the registry");
    const nvinfer1::PluginFieldCollection& fields = *trt_host::fields_of(op);
    std::string names;
    for (int32_t i = 0; i < fields.nbFields; ++i) names += std::string(fields.fields[i].name) + " ";
    const std::string order = "directions tokens_per_frame class_token ";
    expect(names == (op == "SelectiveScan" ? order + "scale " : order), op + ": fields " + names);
  }
}

#if VMEXPORT_TENSORRT_V3
// An engine holds a field an attribute, as it is declared.
void check_written_fields() {
  for (const std::string& op : trt_host::operators()) {
    const trt_cases::Fields given(op, kCases[4]);
    const auto collection = given.collection();
    const auto node = trt_host::create(op, &collection);
    expect(node != nullptr, op + ": created for its fields");
    if (node == nullptr) return;
    const nvinfer1::PluginFieldCollection& written = *node->fields();
    const nvinfer1::PluginFieldCollection& declared = *trt_host::fields_of(op);
    expect(written.nbFields == declared.nbFields, op + ": a field an attribute");
    for (int32_t i = 0; i < std::min(written.nbFields, declared.nbFields); ++i) {
      const nvinfer1::PluginField& field = written.fields[i];
      const std::string name = op + ": written field " + field.name;
      expect(std::strcmp(field.name, declared.fields[i].name) == 0, name + ": name");
      expect(field.type == declared.fields[i].type, name + ": type");
      for (const nvinfer1::PluginField& one : given.list) {
        if (std::strcmp(one.name, field.name) != 0) continue;
        expect(field.length == one.length, name + ": length");
        expect(std::memcmp(field.data, one.data, 4 * static_cast<size_t>(one.length)) == 0, name + ": value");
      }
    }
  }
}
#endif

// Some cases are enormous for an emulation under sanitizers; the type that is the rarest on devices runs them.
bool affordable(const Case& test, int32_t dtype) {
  return dtype == VMEXPORT_FLOAT16 || test.sizes.length * test.sizes.channels * test.sizes.directions < 20000;
}

void check_cases() {
  int ran = 0;
  for (const Case& test : kCases) {
    if (!trt_cases::applies(test)) continue;
    for (const int32_t dtype : trt_cases::dtypes()) {
      if (!affordable(test, dtype)) continue;
      const std::string name = std::string(test.name) + ", " + kDtypes[dtype];
      ++ran;
      if (const auto node = trt_cases::ready("SelectiveScan", test, dtype)) {
        ScanRun run(test, dtype);
        run.params.last_state = nullptr;
        run.check(test, "plugin scan, " + name, [&](const vmexport_scan_params& params, char*) {
          return trt_cases::run(*node, test, params, nullptr);
        });
      }
      if (const auto node = trt_cases::ready("CausalConv1d", test, dtype)) {
        check_conv(test, dtype, "plugin conv, " + name, [&](const vmexport_conv_params& params, char*) {
          return trt_cases::run(*node, test, params, nullptr);
        });
      }
    }
  }
  expect(ran > 15, "most cases apply to a plugin");
}

// A node without any token is not an error, and touches nothing.
void check_empty_batch() {
  const Case& test = kCases[4];
  const auto node = trt_cases::ready("SelectiveScan", test, VMEXPORT_FLOAT32);
  if (node == nullptr) return;
  vmexport_scan_params params{};
  expect(trt_cases::run(*node, test, params, nullptr) == VMEXPORT_OK, "an empty batch is no error");
}

// Every position with every type and format and every type of the first tensor, against the rule in words: linear;
// the first one of the kernels' types; T everywhere but in the float32 inputs.
void check_formats() {
  constexpr int kTypes = 16, kFormats = 16;
  const std::vector<int32_t> dtypes = trt_cases::dtypes();
  for (const std::string& op : trt_host::operators()) {
    const Case& test = kCases[4];
    const trt_cases::Fields fields(op, test);
    const auto collection = fields.collection();
    const auto node = trt_host::create(op, &collection);
    expect(node != nullptr, op + ": created for formats");
    if (node == nullptr) return;
    trt_host::Descriptions tensors = trt_cases::descriptions(op, trt_cases::sizes_of(op, test, 1), type_of(0));
    const auto inputs = static_cast<int32_t>(tensors.size());
    tensors.push_back(trt_cases::description(trt_cases::output_of(op, test, 1), type_of(0)));
    int accepted = 0, wrong = 0;
    for (int32_t pos = 0; pos <= inputs; ++pos) {
      for (int first = 0; first < kTypes; ++first) {
        for (int type = 0; type < kTypes; ++type) {
          for (int format = 0; format < kFormats; ++format) {
            tensors[0].type = static_cast<nvinfer1::DataType>(first);
            tensors[pos].type = static_cast<nvinfer1::DataType>(type);
            tensors[pos].format = static_cast<nvinfer1::TensorFormat>(format);
            bool known = false;
            for (const int32_t dtype : dtypes) known |= type_of(dtype) == tensors[pos].type;
            const bool is_typed = pos == inputs || trt_cases::typed(op, static_cast<size_t>(pos));
            const bool expected = format == 0 && (is_typed ? known && tensors[pos].type == tensors[0].type : type == 0);
            const bool got = node->supports(pos, tensors, inputs, 1);
            accepted += got;
            wrong += got != expected;
          }
          tensors[pos].type = nvinfer1::DataType::kFLOAT;
          tensors[pos].format = nvinfer1::TensorFormat::kLINEAR;
        }
      }
    }
    expect(wrong == 0, op + ": " + std::to_string(wrong) + " formats answered wrongly");
    expect(accepted > 0, op + ": some formats are taken");
    expect(!node->supports(-1, tensors, inputs, 1) && !node->supports(inputs + 1, tensors, inputs, 1),
           op + ": no such position");
  }
}

// The identity tells nodes apart that compute different things.
void check_identity() {
  Case test = kCases[4];
  const auto identity = [&](const std::string& op) {
    const trt_cases::Fields fields(op, test);
    const auto collection = fields.collection();
    return trt_host::create(op, &collection)->identity();
  };
  const std::string scan = identity("SelectiveScan"), conv = identity("CausalConv1d");
  if (scan.empty() && conv.empty()) return;  // an interface without one
  expect(scan != conv, "identity: the operators differ");
  test.scale = 0.5f;
  expect(identity("SelectiveScan") != scan, "identity: scale");
  test = kCases[4];
  test.orders = {2, 0};
  expect(identity("SelectiveScan") != scan, "identity: directions");
  test = kCases[4];
  test.class_token = 0;
  expect(identity("CausalConv1d") != conv, "identity: class token");
  test.orders.assign(VMEXPORT_MAX_DIRECTIONS, 3);
  expect(identity("SelectiveScan").find("_3_3_3_3_3_3_3_3") != std::string::npos, "identity: not cut short");
}

}  // namespace

int main() {
  trt_host::Logger logger;
  trt_host::process_logger = &logger;
  check_creators();
  trt_registration::check();
#if VMEXPORT_TENSORRT_V3
  check_written_fields();
#endif
  check_formats();
  check_identity();
  check_empty_batch();
  check_cases();
  const std::string unexpected = logger.take();
  expect(unexpected.empty(), "nothing is refused so far: " + unexpected);
  trt_refusals::check(logger);
  if (failures() > 0) {
    std::printf("%d failures\n", failures());
    return 1;
  }
  std::printf("all TensorRT plugin tests passed, headers of %d.%d\n", NV_TENSORRT_MAJOR, NV_TENSORRT_MINOR);
  return 0;
}
