#include "sidecar.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "comparison.h"
#include "error.h"
#include "files.h"
#include "json.h"

namespace vmexport::runner {
namespace {

constexpr uint64_t kMostBytes = uint64_t{16} << 20;
constexpr double kFormat = 1;  // FORMAT_VERSION of vmexport/runtime/tensorrt/sidecar.py

[[noreturn]] void damaged(const std::string& path, const std::string& why) {
  throw Error(Exit::kBadInput, path + " does not describe an engine", why,
              "copy engine and description together, or remove it to run the engine without");
}

const Json& entry(const Json& json, const std::string& key, Json::Kind kind, const std::string& path) {
  const Json& value = json[key];
  if (value.kind() != kind) damaged(path, "its entry " + key + " is missing or of another type");
  return value;
}

bool flag(const Json& json, const std::string& key, const std::string& path) {
  return entry(json, key, Json::Kind::kBool, path).number() != 0;
}

std::string text(const Json& json, const std::string& key, const std::string& path) {
  return entry(json, key, Json::Kind::kString, path).text();
}

// The record of `vmexport trt --check`: a text within the model's entry that is JSON itself.
bool parity_failed(const Json& model, const std::string& path) {
  const Json& record = model["extra"]["parity"];
  return record.kind() == Json::Kind::kString && Json::parse(record.text(), path)["status"].text() == "failed";
}

Sidecar parse_sidecar(const Json& json, const std::string& path) {
  Sidecar sidecar;
  sidecar.present = true;
  sidecar.rtx = text(json, "flavour", path) == "rtx";
  sidecar.version = text(json, "version", path);
  sidecar.version_compatible = flag(json, "version_compatible", path);
  sidecar.ampere_or_newer = text(json, "hardware_compatibility", path) == "ampere_plus";
  sidecar.gpu = text(json, "gpu", path);
  for (const auto& [key, value] : entry(json, "compute_capabilities", Json::Kind::kArray, path).entries())
    sidecar.compute_capabilities.push_back(value.text());
  if (sidecar.compute_capabilities.empty()) damaged(path, "it names no compute capability");
  const Json& plugin = json["plugin"];
  sidecar.needs_plugin = plugin.kind() == Json::Kind::kObject && !flag(plugin, "embedded", path);
  sidecar.old_names = plugin.kind() == Json::Kind::kObject && plugin["namespace"].text().empty();
  const Json& model = entry(json, "model", Json::Kind::kObject, path);
  sidecar.precision = text(model, "precision", path);
  if (find_tolerance(sidecar.precision) == nullptr) damaged(path, "unknown precision " + sidecar.precision);
  sidecar.parity_failed = parity_failed(model, path);
  return sidecar;
}

// The first three numbers of a version; a fourth, of the build, does not change the format of engines.
std::vector<int> version_numbers(const std::string& version) {
  int numbers[3] = {};
  std::sscanf(version.c_str(), "%9d.%9d.%9d", &numbers[0], &numbers[1], &numbers[2]);
  return {numbers[0], numbers[1], numbers[2]};
}

// A version-compatible engine runs on newer libraries, with a plugin beside it on those of the same major only.
bool version_serves(const Sidecar& sidecar, const Here& here) {
  const std::vector<int> built = version_numbers(sidecar.version), found = version_numbers(here.version);
  if (sidecar.rtx != here.rtx) return false;
  if (built == found) return true;
  return sidecar.version_compatible && found > built && (!sidecar.needs_plugin || found[0] == built[0]);
}

bool gpu_serves(const Sidecar& sidecar, const Here& here) {
  const auto& built_for = sidecar.compute_capabilities;
  if (std::find(built_for.begin(), built_for.end(), here.compute_capability) != built_for.end()) return true;
  int major = 0;
  std::sscanf(here.compute_capability.c_str(), "%9d", &major);
  return sidecar.ampere_or_newer && major >= 8;
}

std::string library_text(bool rtx, const std::string& version) {
  return (rtx ? "TensorRT-RTX " : "TensorRT ") + version;
}

std::string joined(const std::vector<std::string>& words) {
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "" : " or ") + word;
  return all;
}

}  // namespace

std::string sidecar_path(const std::string& engine) { return engine + ".json"; }

Sidecar read_sidecar(const std::string& engine, uint64_t engine_bytes) {
  const std::string path = sidecar_path(engine);
  if (::access(path.c_str(), F_OK) != 0) return {};
  const Json json = Json::parse(read_file(path, kMostBytes), path);
  if (entry(json, "format", Json::Kind::kNumber, path).number() != kFormat)
    throw Error(Exit::kBadInput, path + " has another format than this program reads", "expected format 1",
                "build vmexport-run of the version that wrote it, or remove it to run the engine without");
  const double expected = entry(json, "size_bytes", Json::Kind::kNumber, path).number();
  if (expected != static_cast<double>(engine_bytes))
    throw Error(Exit::kBadInput, engine + " is not the engine that " + path + " describes",
                "expected " + Json(expected).dump() + " bytes, got " + std::to_string(engine_bytes),
                "copy both files together again");
  return parse_sidecar(json, path);
}

void require_match(const Sidecar& sidecar, const Here& here, const std::string& engine) {
  if (!sidecar.present) return;
  const std::string rebuild = "build it here: vmexport-run model.onnx -e " + engine;
  if (!version_serves(sidecar, here))
    throw Error(
        Exit::kEnvironment, engine + " was built by another TensorRT",
        "it needs " + library_text(sidecar.rtx, sidecar.version) + ", here is " + library_text(here.rtx, here.version),
        sidecar.rtx && !here.rtx ? "run it with --rtx" : rebuild);
  if (!gpu_serves(sidecar, here))
    throw Error(Exit::kEnvironment, engine + " was built for another GPU",
                "it needs compute capability " +
                    (sidecar.ampere_or_newer ? "8.0 or newer" : joined(sidecar.compute_capabilities)) +
                    (sidecar.gpu.empty() ? "" : " (" + sidecar.gpu + ")") + ", here is " + here.compute_capability +
                    " (" + here.gpu + ")",
                rebuild);
  if (sidecar.needs_plugin && !here.has_plugin)
    throw Error(Exit::kEnvironment, engine + " needs the plugin", "it was built with it and does not carry it",
                "--plugin libvmexport_trt.so");
}

bool remove_sidecar(const std::string& engine) { return ::unlink(sidecar_path(engine).c_str()) == 0; }

}  // namespace vmexport::runner
