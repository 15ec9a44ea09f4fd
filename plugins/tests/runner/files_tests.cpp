// Files: atomic writing, refusals, trust.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "../../runner/files.h"
#include "checks.h"

namespace checks {
namespace {

using vmexport::runner::Exit;
using vmexport::runner::read_file;
using vmexport::runner::write_file;

size_t entries(const std::string& path) {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(path)) ++count;
  return count;
}

mode_t mode_of(const std::string& path) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 0777 : 0;
}

void test_writing() {
  const std::string place = folder() + "/writing", file = place + "/out.npy";
  std::filesystem::create_directory(place);
  const mode_t mask = ::umask(027);
  write_file(file, "first");
  expect(mode_of(file) == 0640, "a new file has the usual permissions");
  ::chmod(file.c_str(), 0604);
  write_file(file, "second");
  expect(mode_of(file) == 0604 && read_file(file, 100) == "second", "a replaced file keeps its own");
  ::umask(mask);
  expect(entries(place) == 1, "no temporary file is left");
  refused(Exit::kBadInput, "mkdir -p", "no folder", [&] { write_file(place + "/none/out", "x"); });
  refused(Exit::kBadInput, "does not exist", "a file as folder", [&] { write_file(file + "/out", "x"); });
  refused(Exit::kBadInput, "not a regular file", "a folder", [&] { write_file(place, "x"); });
  refused(Exit::kBadInput, "not a regular file", "a device", [] { write_file("/dev/null", "x"); });
  expect(read_file(file, 100) == "second" && entries(place) == 1, "a refused write changes nothing");
  // What a signal handler does in the middle of a write is its whole effect: nothing is in progress here.
  vmexport::runner::remove_unfinished();
  expect(entries(place) == 1, "finished files stay");
}

// As on a full disk: the write fails in the middle.
void test_failed_write() {
  const std::string place = folder() + "/full", file = place + "/out.npy";
  std::filesystem::create_directory(place);
  write_file(file, "old");
  rlimit before;
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small = {1000, before.rlim_max};
  ::signal(SIGXFSZ, SIG_IGN);
  ::setrlimit(RLIMIT_FSIZE, &small);
  refused(Exit::kBuildFailed, "could not write " + file, "too large",
          [&] { write_file(file, std::string(5000, 'x')); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  expect(entries(place) == 1 && read_file(file, 100) == "old", "a failed write leaves the old file and nothing else");
}

void test_reading() {
  const std::string place = folder() + "/reading";
  std::filesystem::create_directory(place);
  write_file(place + "/file", "12345");
  refused(Exit::kBadInput, "at most 4 bytes", "too long", [&] { read_file(place + "/file", 4); });
  refused(Exit::kBadInput, "No such file", "missing", [&] { read_file(place + "/none", 4); });
  refused(Exit::kBadInput, "regular", "a folder", [&] { read_file(place, 4); });
  ::close(::open((place + "/empty").c_str(), O_CREAT | O_WRONLY, 0600));
  refused(Exit::kBadInput, "empty", "empty", [&] { read_file(place + "/empty", 4); });
  ::mkfifo((place + "/pipe").c_str(), 0600);
  refused(Exit::kBadInput, "regular", "a pipe does not block", [&] { read_file(place + "/pipe", 4); });
}

void test_trust() {
  const std::string place = folder() + "/trust", file = place + "/lib.so";
  std::filesystem::create_directory(place);
  write_file(file, "code");
  const auto set = [&](mode_t of_folder, mode_t of_file) {
    ::chmod(place.c_str(), of_folder);
    ::chmod(file.c_str(), of_file);
  };
  const auto library = [&] { vmexport::runner::require_trusted_library(file); };
  const auto engine = [&] { vmexport::runner::require_trusted_engine(file); };
  set(0755, 0755);
  library();
  engine();
  set(0755, 0757);
  refused(Exit::kEnvironment, "chmod o-w " + file, "library", library);
  refused(Exit::kEnvironment, "chmod o-w " + file, "engine", engine);
  set(0777, 0755);
  refused(Exit::kEnvironment, "chmod o-w " + place, "its folder", library);
  refused(Exit::kEnvironment, "chmod o-w " + place, "its folder", engine);
  set(01777, 0755);
  engine();  // as in /tmp, where nobody else may replace it
  refused(Exit::kEnvironment, "everybody", "a library in /tmp", library);
  set(0755, 0755);
  refused(Exit::kBadInput, "No such file", "missing",
          [&] { vmexport::runner::require_trusted_library(place + "/no"); });
  refused(Exit::kBadInput, "regular", "a folder", [&] { vmexport::runner::require_trusted_library(place); });
  if (::getuid() != 0) return;
  if (::chown(file.c_str(), 12345, 12345) == 0) refused(Exit::kEnvironment, "user 12345", "another user", library);
}

}  // namespace

void test_files() {
  test_writing();
  test_failed_write();
  test_reading();
  test_trust();
  expect(vmexport::runner::folder_of("a") == "." && vmexport::runner::folder_of("/a") == "/", "folders");
}

}  // namespace checks
