// The description beside an engine: read, and held against the machine.
#include "../../runner/files.h"
#include "../../runner/json.h"
#include "../../runner/sidecar.h"
#include "checks.h"

namespace checks {
namespace {

using vmexport::runner::Exit;
using vmexport::runner::Here;
using vmexport::runner::Json;
using vmexport::runner::read_sidecar;
using vmexport::runner::Sidecar;

Json description() {
  return Json::object()
      .set("format", 1)
      .set("model", Json::object().set("precision", "fp16").set("extra", Json::object()))
      .set("flavour", "tensorrt")
      .set("version", "10.3.0.26")
      .set("compute_capabilities", Json::array().push("8.7"))
      .set("gpu", "Orin")
      .set("plugin", Json::object().set("version", "0.1.0").set("embedded", false))
      .set("hardware_compatibility", "none")
      .set("version_compatible", false)
      .set("size_bytes", 100);
}

// The same with one entry replaced.
Json with(const std::string& key, const Json& value) {
  const Json original = description();
  Json changed = Json::object();
  for (const auto& [name, old] : original.entries()) changed.set(name, name == key ? value : old);
  return changed;
}

std::string place(const std::string& text) {
  const std::string engine = folder() + "/model.engine";
  vmexport::runner::write_file(engine + ".json", text);
  return engine;
}

Sidecar read(const Json& json) { return read_sidecar(place(json.dump()), 100); }

void test_reading() {
  expect(!read_sidecar(folder() + "/none.engine", 100).present, "an engine needs none");
  const Sidecar sidecar = read(description());
  expect(sidecar.present && sidecar.precision == "fp16" && sidecar.needs_plugin && !sidecar.parity_failed, "read");
  const Json failed = Json::object().set("parity", "{\"status\": \"failed\"}");
  expect(read(with("model", Json::object().set("precision", "fp32").set("extra", failed))).parity_failed, "failed");
  expect(sidecar.old_names, "a plugin without a namespace");
  expect(!read(with("plugin", Json())).needs_plugin && !read(with("plugin", Json())).old_names, "no plugin");
  const Json named = Json::object().set("version", "0.1.0").set("embedded", false).set("namespace", "vmexport");
  expect(read(with("plugin", named)).needs_plugin && !read(with("plugin", named)).old_names, "a plugin with one");
  const auto refuse = [](const std::string& words, const Json& json) {
    refused(Exit::kBadInput, words, words, [&] { read(json); });
  };
  refuse("another format", with("format", 2));
  refuse("entry format", with("format", "1"));
  refuse("expected 99 bytes, got 100", with("size_bytes", 99));
  refuse("entry version", with("version", 10));
  refuse("entry model", with("model", Json()));
  refuse("unknown precision", with("model", Json::object().set("precision", "fp8")));
  refuse("no compute capability", with("compute_capabilities", Json::array()));
  refuse("entry embedded", with("plugin", Json::object()));
  refuse("entry format", Json::array());
  const std::string text = description().dump();
  for (size_t size = 1; size < text.size(); ++size)
    refused(Exit::kBadInput, "is not JSON", "cut", [&] { read_sidecar(place(text.substr(0, size)), 100); });
}

void test_matching() {
  const Here orin{false, "10.3.0", "8.7", "Orin", true};
  const auto accepts = [](const Sidecar& sidecar, const Here& here) { require_match(sidecar, here, "model.engine"); };
  const auto refuse = [&](const std::string& words, const Sidecar& sidecar, const Here& here) {
    refused(Exit::kEnvironment, words, words, [&] { accepts(sidecar, here); });
  };
  Sidecar sidecar = read(description());
  accepts({}, {});
  accepts(sidecar, orin);
  refuse("needs TensorRT 10.3.0.26, here is TensorRT 10.7.0", sidecar, {false, "10.7.0", "8.7", "Orin", true});
  refuse("here is TensorRT-RTX", sidecar, {true, "10.3.0", "8.7", "Orin", true});
  refuse("capability 8.7 (Orin), here is 8.9 (RTX 4090)", sidecar, {false, "10.3.0", "8.9", "RTX 4090", true});
  refuse("--plugin", sidecar, {false, "10.3.0", "8.7", "Orin", false});
  sidecar.version_compatible = true;
  accepts(sidecar, {false, "10.7.0", "8.7", "Orin", true});
  refuse("another TensorRT", sidecar, {false, "10.1.0", "8.7", "Orin", true});
  refuse("another TensorRT", sidecar, {false, "11.0.0", "8.7", "Orin", true});
  sidecar.needs_plugin = false;
  accepts(sidecar, {false, "11.0.0", "8.7", "Orin", false});
  sidecar.ampere_or_newer = true;
  accepts(sidecar, {false, "10.3.0", "12.0", "RTX 5090", false});
  refuse("8.0 or newer", sidecar, {false, "10.3.0", "7.5", "T4", false});
  sidecar.rtx = true;
  refuse("--rtx", sidecar, orin);
}

void test_removing() {
  const std::string engine = place("{}");
  expect(vmexport::runner::remove_sidecar(engine) && !vmexport::runner::remove_sidecar(engine), "removed once");
}

}  // namespace

void test_sidecar() {
  test_reading();
  test_matching();
  test_removing();
}

}  // namespace checks
