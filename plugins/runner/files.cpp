#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "error.h"

namespace vmexport::runner {
namespace {

// Path of the temporary file of a write in progress, for the signal handler; empty where there is none.
char unfinished[4096];

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return number_; }
  int close() {
    const int number = std::exchange(number_, -1);
    return number >= 0 ? ::close(number) : 0;
  }

 private:
  int number_;
};

// The temporary file from its creation until it is renamed or removed.
class Unfinished {
 public:
  explicit Unfinished(const std::string& path) {
    if (path.size() < sizeof unfinished) memcpy(unfinished, path.c_str(), path.size() + 1);
  }
  ~Unfinished() { remove_unfinished(); }
  void renamed() { unfinished[0] = '\0'; }
};

[[noreturn]] void explain_write(const std::string& path, int number) {
  const std::string what = "could not write " + path, reason = strerror(number);
  if (number == ENOSPC || number == EDQUOT)
    throw Error(Exit::kBuildFailed, what, "the disk is full; nothing was left behind",
                "free some space (see: df -h " + folder_of(path) + ") or choose another place");
  if (number == ENOENT || number == ENOTDIR)
    throw Error(Exit::kBadInput, what, "the folder " + folder_of(path) + " does not exist",
                "mkdir -p " + folder_of(path));
  if (number == EACCES || number == EPERM || number == EROFS)
    throw Error(Exit::kBadInput, what, "no permission: " + reason, "choose another place");
  throw Error(Exit::kBuildFailed, what, reason);
}

void write_all(int descriptor, const std::string& bytes, const std::string& path) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t count = ::write(descriptor, bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) explain_write(path, errno);
    done += static_cast<size_t>(count);
  }
}

// Permissions of the file that is replaced, else those that this process gives to any new file.
mode_t usual_mode(const std::string& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) == 0) return status.st_mode & 0777;
  const mode_t mask = ::umask(0);
  ::umask(mask);
  return 0666 & ~mask;
}

struct stat status_of(const std::string& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) != 0)
    throw Error(Exit::kBadInput, "could not read " + path, strerror(errno), "check the path");
  return status;
}

[[noreturn]] void distrust(const std::string& path, const std::string& place, const std::string& problem,
                           const std::string& fix) {
  throw Error(Exit::kEnvironment, "will not load " + path, place + ": " + problem,
              fix + "   (once you trust what it holds)");
}

}  // namespace

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string read_file(const std::string& path, uint64_t limit) {
  const std::string what = "could not read " + path;
  // Without O_NONBLOCK opening a pipe would wait for its other end.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status;
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0)
    throw Error(Exit::kBadInput, what, strerror(errno), "check the path");
  if (!S_ISREG(status.st_mode)) throw Error(Exit::kBadInput, what, "it is not a regular file", "give the file itself");
  const uint64_t size = static_cast<uint64_t>(status.st_size);
  if (size == 0) throw Error(Exit::kBadInput, what, "it is empty", "write or copy it again");
  if (size > limit)
    throw Error(Exit::kBadInput, what,
                "expected at most " + std::to_string(limit) + " bytes, got " + std::to_string(size));
  std::string bytes(size, '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = ::read(file.get(), bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw Error(Exit::kBadInput, what, strerror(errno));
    if (count == 0) throw Error(Exit::kBadInput, what, "it shrank while it was read", "wait until it is written");
    done += static_cast<size_t>(count);
  }
  return bytes;
}

void require_writable(const std::string& path) {
  struct stat status;
  // A file is replaced, not written into: /dev/null or a pipe would become an ordinary file.
  if (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode))
    throw Error(Exit::kBadInput, "could not write " + path, "it exists and is not a regular file",
                "choose another name");
  const std::string folder = folder_of(path);
  if (::stat(folder.c_str(), &status) != 0) explain_write(path, errno);
  if (!S_ISDIR(status.st_mode)) explain_write(path, ENOTDIR);
  if (::access(folder.c_str(), W_OK | X_OK) != 0) explain_write(path, errno);
}

void write_file(const std::string& path, const std::string& bytes) {
  require_writable(path);
  const std::string folder = folder_of(path), name = path.substr(path.rfind('/') + 1);
  std::string temporary = folder + "/." + name + ".XXXXXX";
  Descriptor file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (file.get() < 0) explain_write(path, errno);
  Unfinished guard(temporary);
  write_all(file.get(), bytes, path);
  // Some file systems report a full disk only now.
  if (::fchmod(file.get(), usual_mode(path)) != 0 || ::fsync(file.get()) != 0 || file.close() != 0)
    explain_write(path, errno);
  if (::rename(temporary.c_str(), path.c_str()) != 0) explain_write(path, errno);
  guard.renamed();
}

void remove_unfinished() noexcept {
  if (unfinished[0] != '\0') ::unlink(unfinished);
  unfinished[0] = '\0';
}

void require_trusted_library(const std::string& path) {
  for (const std::string& place : {path, folder_of(path)}) {
    const struct stat status = status_of(place);
    if (status.st_mode & S_IWOTH) distrust(path, place, "everybody may write it", "chmod o-w " + place);
    if (status.st_uid != 0 && status.st_uid != ::getuid())
      distrust(path, place, "it belongs to user " + std::to_string(status.st_uid) + ", not to you or root",
               "chown " + std::to_string(::getuid()) + " " + place);
  }
  if (!S_ISREG(status_of(path).st_mode))
    throw Error(Exit::kBadInput, "will not load " + path, "it is not a regular file", "give the library itself");
}

void require_trusted_engine(const std::string& path) {
  if (status_of(path).st_mode & S_IWOTH) distrust(path, path, "everybody may write it", "chmod o-w " + path);
  const std::string folder = folder_of(path);
  const mode_t mode = status_of(folder).st_mode;
  // In a folder with the sticky bit, such as /tmp, only its owner may replace a file.
  if ((mode & S_IWOTH) && !(mode & S_ISVTX)) distrust(path, folder, "everybody may write it", "chmod o-w " + folder);
}

}  // namespace vmexport::runner
