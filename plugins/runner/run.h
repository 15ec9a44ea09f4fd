// The whole of a run: checks, builds or loads, runs, proves, times, writes.
#ifndef VMEXPORT_RUNNER_RUN_H
#define VMEXPORT_RUNNER_RUN_H

#include <functional>

#include "report.h"

namespace vmexport::runner {

// Told what begins and what was done unasked, one sentence each.
using Notify = std::function<void(const std::string&)>;

// Everything that can be refused is refused before the first slow step. Throws Error.
Report run(const Options& options, const Notify& notify);

}  // namespace vmexport::runner

#endif  // VMEXPORT_RUNNER_RUN_H
