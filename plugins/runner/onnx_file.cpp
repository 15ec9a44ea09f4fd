#include "onnx_file.h"

#include "error.h"
#include "json.h"
#include "protobuf.h"

namespace vmexport::runner {
namespace {

constexpr std::string_view kDomain = "vmexport";
constexpr std::string_view kPluginNamespace = "vmexport";  // ../tensorrt/identity.h
// Entries of the metadata; their values are JSON.
constexpr std::string_view kProfileKey = "vmexport.profile", kParityKey = "vmexport.parity";
constexpr int64_t kNewestVersion = 1;

// Numbers of the fields (onnx.proto).
constexpr uint32_t kModelGraph = 7, kModelOpsetImport = 8, kModelMetadata = 14, kModelFunctions = 25;
constexpr uint32_t kGraphNode = 1, kGraphInitializer = 5;
constexpr uint32_t kNodeOperator = 4, kNodeAttribute = 5, kNodeDomain = 7;
constexpr uint32_t kAttributeName = 1, kAttributeString = 4;
constexpr uint32_t kOpsetDomain = 1, kOpsetVersion = 2;
constexpr uint32_t kFunctionName = 1, kFunctionDomain = 10;
constexpr uint32_t kEntryKey = 1, kEntryValue = 2;
constexpr uint32_t kTensorType = 2;
constexpr uint64_t kFloat16 = 10, kBfloat16 = 16;

[[noreturn]] void damaged(const std::string& name, const std::string& why) {
  throw Error(Exit::kBadInput, name + " is not a readable ONNX file", why,
              "export or copy it again: vmexport onnx -o model.onnx");
}

// Calls `visit` for each field of a message.
template <class Visit>
void each_field(std::string_view message, const std::string& name, Visit visit) {
  ProtobufReader reader(message);
  while (reader.next()) visit(reader);
  if (reader.damaged()) damaged(name, "a field is truncated or damaged");
}

// Two texts of a message by the numbers of their fields: name and domain of a node or a function, an entry's key and
// value.
struct Texts {
  std::string first, second;
};

Texts read_texts(std::string_view message, uint32_t first_field, uint32_t second_field, const std::string& file) {
  Texts texts;
  each_field(message, file, [&](const ProtobufReader& reader) {
    if (!reader.is_bytes()) return;
    if (reader.field() == first_field) texts.first = reader.bytes();
    if (reader.field() == second_field) texts.second = reader.bytes();
  });
  return texts;
}

// Whether the plugin's namespace is among the attributes of a node.
bool names_namespace(std::string_view node, const std::string& file) {
  bool names = false;
  each_field(node, file, [&](const ProtobufReader& reader) {
    if (reader.field() != kNodeAttribute || !reader.is_bytes()) return;
    const Texts attribute = read_texts(reader.bytes(), kAttributeName, kAttributeString, file);
    names = names || (attribute.first == "plugin_namespace" && attribute.second == kPluginNamespace);
  });
  return names;
}

void read_graph(std::string_view graph, const std::string& name, OnnxFacts* facts) {
  each_field(graph, name, [&](const ProtobufReader& reader) {
    if (!reader.is_bytes()) return;
    if (reader.field() == kGraphNode) {
      const Texts node = read_texts(reader.bytes(), kNodeOperator, kNodeDomain, name);
      if (node.second != kDomain) return;
      facts->operators.insert(node.first);
      facts->old_names = facts->old_names || !names_namespace(reader.bytes(), name);
    } else if (reader.field() == kGraphInitializer) {
      each_field(reader.bytes(), name, [&](const ProtobufReader& tensor) {
        if (tensor.field() != kTensorType || !tensor.is_varint()) return;
        if (tensor.varint() == kFloat16) facts->precision = "fp16";
        if (tensor.varint() == kBfloat16) facts->precision = "bf16";
      });
    }
  });
}

void read_opset(std::string_view opset, const std::string& name, OnnxFacts* facts) {
  std::string domain;
  int64_t version = 0;
  each_field(opset, name, [&](const ProtobufReader& reader) {
    if (reader.field() == kOpsetDomain && reader.is_bytes()) domain = reader.bytes();
    if (reader.field() == kOpsetVersion && reader.is_varint()) version = static_cast<int64_t>(reader.varint());
  });
  if (domain == kDomain) facts->operator_version = version;
}

void read_metadata(std::string_view message, const std::string& name, OnnxFacts* facts) {
  const Texts entry = read_texts(message, kEntryKey, kEntryValue, name);
  const std::string source = name + ", " + entry.first;
  if (entry.first == kProfileKey) facts->profile = parse_profile(Json::parse(entry.second, source).text());
  if (entry.first == kParityKey) facts->parity_failed = Json::parse(entry.second, source)["status"].text() == "failed";
}

}  // namespace

OnnxFacts read_onnx(const std::string& model, const std::string& name) {
  OnnxFacts facts;
  bool has_graph = false;
  each_field(model, name, [&](const ProtobufReader& reader) {
    if (!reader.is_bytes()) return;
    if (reader.field() == kModelGraph) {
      has_graph = true;
      read_graph(reader.bytes(), name, &facts);
    } else if (reader.field() == kModelOpsetImport) {
      read_opset(reader.bytes(), name, &facts);
    } else if (reader.field() == kModelMetadata) {
      read_metadata(reader.bytes(), name, &facts);
    } else if (reader.field() == kModelFunctions) {
      const Texts function = read_texts(reader.bytes(), kFunctionName, kFunctionDomain, name);
      if (function.second == kDomain) facts.functions.insert(function.first);
    }
  });
  if (!has_graph) damaged(name, "it holds no graph");
  if (facts.operator_version > kNewestVersion)
    throw Error(Exit::kBadInput, name + " was written by a newer vmexport",
                "expected version 1 of its operators, got " + std::to_string(facts.operator_version),
                "update vmexport on this machine and build vmexport-run again");
  return facts;
}

std::string without_function_bodies(const std::string& model) {
  std::string kept;
  kept.reserve(model.size());
  ProtobufReader reader(model);
  while (reader.next()) {
    const bool is_function = reader.field() == kModelFunctions && reader.is_bytes();
    if (is_function && read_texts(reader.bytes(), kFunctionName, kFunctionDomain, "the model").second == kDomain)
      continue;
    kept += reader.whole();
  }
  return kept;
}

}  // namespace vmexport::runner
