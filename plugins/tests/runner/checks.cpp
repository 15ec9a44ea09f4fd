#include "checks.h"

#include <stdlib.h>

#include <cstdio>
#include <filesystem>

namespace checks {
namespace {

int failed = 0;

}  // namespace

void expect(bool holds, const std::string& what) {
  if (holds) return;
  if (++failed <= 20) std::printf("FAILED %s\n", what.c_str());
}

void refused(vmexport::runner::Exit status, const std::string& words, const std::string& what,
             const std::function<void()>& call) {
  try {
    call();
  } catch (const vmexport::runner::Error& error) {
    const std::string text = error.what();
    expect(error.status() == status && text.find(words) != std::string::npos,
           what + ": status " + std::to_string(static_cast<int>(error.status())) + ", " + text);
    return;
  }
  expect(false, what + ": was taken");
}

void survives(const std::string& what, const std::function<void()>& call) {
  try {
    call();
  } catch (const vmexport::runner::Error&) {
  } catch (const std::exception& error) {
    expect(false, what + ": " + error.what());
  }
}

int finish() {
  std::filesystem::remove_all(folder());
  std::printf(failed == 0 ? "all runner tests passed\n" : "%d failures\n", failed);
  return failed != 0;
}

std::string folder() {
  static const std::string path = [] {
    std::string pattern = (std::filesystem::temp_directory_path() / "vmexport-runner-XXXXXX").string();
    return std::string(mkdtemp(pattern.data()));
  }();
  return path;
}

}  // namespace checks
