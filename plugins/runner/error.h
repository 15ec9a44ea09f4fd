// What went wrong, why, and what to do; and the exit status that says so to a script (the table of vmexport/errors.py).
#ifndef VMEXPORT_RUNNER_ERROR_H
#define VMEXPORT_RUNNER_ERROR_H

#include <exception>
#include <string>

#include "text.h"

namespace vmexport::runner {

enum class Exit : int {
  kOk = 0,
  kBug = 1,
  kUsage = 2,
  kEnvironment = 3,
  kBadInput = 4,
  kBuildFailed = 5,
  kParityFailed = 6,
  kOutOfMemory = 7,
  kInterrupted = 130,
};

class Error : public std::exception {
 public:
  // `what` is one sentence; `why` names expected and got where there is such a pair; `fix` is a command where there is
  // one.
  Error(Exit status, const std::string& what, const std::string& why = "", const std::string& fix = "")
      : status_(status), text_(harmless(what)) {
    if (!why.empty()) text_ += "\nwhy: " + harmless_lines(why);
    if (!fix.empty()) text_ += "\nfix: " + harmless(fix);
  }
  Exit status() const { return status_; }
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  Exit status_;
  std::string text_;
};

}  // namespace vmexport::runner

#endif  // VMEXPORT_RUNNER_ERROR_H
