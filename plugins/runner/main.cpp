// vmexport-run: builds or loads an engine of TensorRT, runs it on a clip, proves and times it. No Python.
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <new>

#include "error.h"
#include "files.h"
#include "run.h"
#include "text.h"
#include "trt_version.h"

namespace {

using vmexport::runner::Error;
using vmexport::runner::Exit;

// TensorRT's builder cannot be asked to stop in every version, so the program ends at once. The driver frees the
// device; only a file that is being written has to go.
void interrupted(int number) {
  vmexport::runner::remove_unfinished();
  _exit(number == SIGINT ? static_cast<int>(Exit::kInterrupted) : 128 + number);
}

void handle_signals() {
  struct sigaction action = {};
  action.sa_handler = interrupted;
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before = {};
    // Ignored by whoever started the program (nohup): that holds.
    if (sigaction(number, nullptr, &before) == 0 && before.sa_handler != SIG_IGN) sigaction(number, &action, nullptr);
  }
  // A reader that went away, or a limit on the size of files, is a failed write like any other.
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
}

int run_program(const std::vector<std::string>& words) {
  const vmexport::runner::Options options = vmexport::runner::parse_options(words);
  std::string text;
  switch (options.action) {
    case vmexport::runner::Action::kHelp: text = vmexport::runner::help_text(); break;
    case vmexport::runner::Action::kVersion:
      text = "vmexport-run " VMEXPORT_VERSION ", for TensorRT " + version_text(vmexport::runner::header_version()) +
             (VMEXPORT_RUNNER_HAS_PARSER ? "" : ", engines only (built without NvOnnxParser.h)") + "\n";
      break;
    case vmexport::runner::Action::kRun: {
      const auto notify = [](const std::string& note) {
        std::fprintf(stderr, "%s\n", vmexport::runner::harmless(note).c_str());
      };
      const vmexport::runner::Report report = run(options, notify);
      text = options.json ? report_json(report) : report_text(report);
      break;
    }
  }
  if (std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0)
    throw Error(Exit::kBuildFailed, "could not write to standard output", "the disk is full, or its reader went away");
  return static_cast<int>(Exit::kOk);
}

}  // namespace

int main(int count, char** words) {
  handle_signals();
  try {
    return run_program(std::vector<std::string>(words + 1, words + count));
  } catch (const Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return static_cast<int>(error.status());
  } catch (const std::bad_alloc&) {
    std::fputs("error: out of memory on the host\nfix: close other programs, or give fewer clips\n", stderr);
    return static_cast<int>(Exit::kOutOfMemory);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: a bug of vmexport-run: %s\n", vmexport::runner::harmless(error.what()).c_str());
    return static_cast<int>(Exit::kBug);
  }
}
