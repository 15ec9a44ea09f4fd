#include "world.h"

#include <math.h>

#include "../../runner/files.h"
#include "checks.h"

namespace checks {
namespace {

constexpr int64_t kElements = 3 * 2 * 4 * 4, kClasses = 7;

std::string said;

Report run_words(Words words) {
  words.insert(words.end(), {"--lib-dir", VMEXPORT_FAKE_FOLDER});
  return run(vmexport::runner::parse_options(words), [](const std::string& note) { said += note + "\n"; });
}

}  // namespace

std::string path(const std::string& name) { return folder() + "/" + name; }

std::string write(const std::string& name, const std::string& bytes) {
  vmexport::runner::write_file(path(name), bytes);
  return path(name);
}

Array clips(int64_t batch) {
  Array array{{batch, 3, 2, 4, 4}, {}};
  for (int64_t i = 0; i < batch * kElements; ++i) array.data.push_back(static_cast<float>((i * 37 % 101) - 50) / 64);
  return array;
}

Array logits(const Array& of) {
  Array array{{of.shape[0], kClasses}, {}};
  for (int64_t clip = 0; clip < of.shape[0]; ++clip) {
    for (int64_t c = 0; c < kClasses; ++c) {
      double sum = 0;
      for (int64_t i = 0; i < kElements; ++i)
        sum += of.data[static_cast<size_t>(clip * kElements + i)] *
               sin(static_cast<double>(c + 1) + 0.1 * static_cast<double>(i));
      array.data.push_back(static_cast<float>(sum));
    }
  }
  return array;
}

std::string clip_file(int64_t batch) { return write("clip.npy", vmexport::runner::format_npy(clips(batch))); }
std::string expected_file(int64_t batch) {
  return write("expected.npy", vmexport::runner::format_npy(logits(clips(batch))));
}

std::string onnx_file(bool body) {
  const std::string attribute = std::string("\x2a\x1c\x0a\x10plugin_namespace\x22\x08vmexport", 30);
  const std::string node = std::string("\x0a\x37\x22\x0dSelectiveScan\x3a\x08vmexport", 27) + attribute;
  std::string model = std::string("\x3a\x39", 2) + node;
  if (body) model += std::string("\xca\x01\x19\x0a\x0dSelectiveScan\x52\x08vmexport", 28);
  return write("model.onnx", model);
}

std::string old_onnx_file() {
  return write("old.onnx", std::string("\x3a\x1b\x0a\x19\x22\x0dSelectiveScan\x3a\x08vmexport", 29));
}

const std::string& notes() { return said; }

Report in(const fake::Scenario& scenario, const Words& words) {
  fake::reset();
  said.clear();
  fake::scenario() = scenario;
  const auto check_alive = [] {
    std::string names;
    for (const std::string& name : fake::alive()) names += name + " ";
    expect(names.empty(), "left alive: " + names);
  };
  try {
    const Report report = run_words(words);
    check_alive();
    return report;
  } catch (...) {
    check_alive();
    throw;
  }
}

fake::Scenario failing(const std::string& function, int at, cudaError_t status) {
  fake::Scenario scenario;
  scenario.fails = function;
  scenario.fails_at = at;
  scenario.status = status;
  return scenario;
}

}  // namespace checks
