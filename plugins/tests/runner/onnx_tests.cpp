// The walk through ONNX files, on messages encoded here, whole, damaged and hostile.
#include "../../runner/onnx_file.h"
#include "../../runner/protobuf.h"
#include "checks.h"

namespace checks {
namespace {

using vmexport::runner::Exit;
using vmexport::runner::OnnxFacts;
using vmexport::runner::ProtobufReader;
using vmexport::runner::read_onnx;
using vmexport::runner::without_function_bodies;

std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(0x80 | (value & 0x7f));
  return out + static_cast<char>(value);
}

std::string number(uint32_t field, uint64_t value) { return varint(field << 3) + varint(value); }
std::string bytes(uint32_t field, const std::string& content) {
  return varint(field << 3 | 2) + varint(content.size()) + content;
}

std::string node(const std::string& kind, const std::string& domain) {
  return bytes(1, bytes(1, "x") + bytes(4, kind) + (domain.empty() ? "" : bytes(7, domain)));
}
std::string weight(uint64_t type) {
  return bytes(5, number(1, 7) + number(2, type) + bytes(8, "w") + bytes(9, "1234"));
}
std::string function(const std::string& name, const std::string& domain) {
  return bytes(25, bytes(1, name) + bytes(4, "u") + bytes(10, domain));
}
std::string opset(const std::string& domain, uint64_t version) {
  return bytes(8, bytes(1, domain) + number(2, version));
}

std::string model(uint64_t type = 1, uint64_t version = 1) {
  const std::string graph = node("MatMul", "") + node("SelectiveScan", "vmexport") + weight(1) + weight(type);
  return number(1, 9) + opset("", 18) + opset("vmexport", version) + bytes(7, graph) +
         bytes(14, bytes(1, "vmexport.profile") + bytes(2, "\"1:2:4\"")) + function("SelectiveScan", "vmexport") +
         function("Gelu", "pkg.elsewhere") + number(5, 3);
}

void test_facts() {
  const OnnxFacts facts = read_onnx(model(), "model.onnx");
  expect(facts.operators == std::set<std::string>{"SelectiveScan"}, "operators");
  expect(facts.functions == std::set<std::string>{"SelectiveScan"}, "functions");
  expect(facts.operator_version == 1 && facts.precision == "fp32", "version, precision");
  expect(facts.profile && facts.profile->min == 1 && facts.profile->opt == 2 && facts.profile->max == 4, "profile");
  expect(facts.old_names, "no plugin namespace");
  const auto attribute = [](const std::string& name, const std::string& value) {
    return bytes(5, bytes(1, name) + bytes(4, value));
  };
  const auto named = [&](const std::string& attributes) {
    return bytes(1, bytes(4, "SelectiveScan") + attributes + bytes(7, "vmexport"));
  };
  const std::string ours = named(attribute("directions", "") + attribute("plugin_namespace", "vmexport"));
  expect(!read_onnx(bytes(7, ours + node("MatMul", "")), "m").old_names, "all name it");
  expect(read_onnx(bytes(7, ours + named(attribute("plugin_namespace", ""))), "m").old_names, "one does not");
  expect(read_onnx(model(10), "m").precision == "fp16" && read_onnx(model(16), "m").precision == "bf16", "precision");
  const OnnxFacts plain = read_onnx(bytes(7, node("Relu", "")), "m");
  expect(plain.operators.empty() && plain.functions.empty() && !plain.profile && !plain.old_names, "a foreign file");
  refused(Exit::kBadInput, "newer vmexport", "version 2", [] { read_onnx(model(1, 2), "m"); });
  refused(Exit::kBadInput, "no graph", "no graph", [] { read_onnx(opset("", 18), "m"); });
}

void test_bodies() {
  const std::string stripped = without_function_bodies(model());
  const OnnxFacts facts = read_onnx(stripped, "m");
  expect(facts.functions.empty() && facts.operators.size() == 1 && facts.profile, "bodies are gone, the rest is there");
  const std::string body = function("SelectiveScan", "vmexport");
  std::string expected = model();
  expected.erase(expected.find(body), body.size());
  expect(stripped == expected, "nothing else changed");
  expect(without_function_bodies(stripped) == stripped, "twice");
}

void test_damaged() {
  const std::string whole = model();
  for (size_t size = 0; size < whole.size(); ++size)
    survives("cut to " + std::to_string(size), [&] { read_onnx(whole.substr(0, size), "m"); });
  for (size_t at = 0; at < whole.size(); ++at) {
    for (const int change : {1, 2, 4, 0x10, 0x80, 0xff}) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ change);
      survives("byte " + std::to_string(at), [&] { without_function_bodies(damaged), read_onnx(damaged, "m"); });
    }
  }
  const std::string hostile[] = {
      std::string(1, '\x3a'),                                        // a length that is missing
      varint(7 << 3 | 2) + varint(~uint64_t{0}),                     // one that is larger than memory
      varint(7 << 3 | 2) + varint(uint64_t{1} << 63) + "x",          //
      varint(7 << 3 | 2) + std::string(10, '\xff') + "\x01",         // a varint of eleven bytes
      std::string(9, '\xff') + "\x02",                               // one of 65 bits
      varint(7 << 3 | 3) + varint(7 << 3 | 4),                       // a group
      varint(7 << 3 | 6),                                            // a wire type that does not exist
      std::string(1, '\0') + "x",                                    // field 0
      varint(uint64_t{1} << 33) + "x",                               // a field number that is too large
      varint(9 << 3 | 1) + "1234567",                                // 64 bits, 7 bytes of them
      varint(9 << 3 | 5) + "123",                                    // 32 bits, 3 bytes of them
      "<html><body>404 Not Found</body></html>",                     //
      bytes(7, node("Relu", "") + varint(1 << 3 | 2) + varint(99)),  // damaged within the graph
  };
  for (const std::string& text : hostile)
    refused(Exit::kBadInput, "not a readable ONNX file", "hostile", [&] { read_onnx(text, "m"); });
  refused(Exit::kBadInput, "is not JSON", "profile",
          [&] { read_onnx(whole + bytes(14, bytes(1, "vmexport.profile") + bytes(2, "{")), "m"); });
}

void test_reader() {
  const std::string text =
      number(3, 300) + bytes(4, "abc") + varint(5 << 3 | 5) + "1234" + varint(6 << 3 | 1) + "12345678";
  ProtobufReader reader(text);
  expect(reader.next() && reader.field() == 3 && reader.is_varint() && reader.varint() == 300, "varint");
  expect(reader.next() && reader.is_bytes() && reader.bytes() == "abc" && reader.whole().size() == 5, "bytes");
  expect(reader.next() && reader.field() == 5 && !reader.is_bytes() && reader.next() && reader.field() == 6, "fixed");
  expect(!reader.next() && !reader.damaged(), "end");
  const std::string all_ones = number(1, ~uint64_t{0});
  ProtobufReader largest(all_ones);
  expect(largest.next() && largest.varint() == ~uint64_t{0}, "64 bits");
}

}  // namespace

void test_onnx() {
  test_facts();
  test_bodies();
  test_damaged();
  test_reader();
}

}  // namespace checks
