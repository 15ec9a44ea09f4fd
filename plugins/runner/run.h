// The whole of a run: checks, builds or loads, runs, proves, times, writes.
#ifndef VMEXPORT_RUNNER_RUN_H
#define VMEXPORT_RUNNER_RUN_H

#include "report.h"

namespace vmexport::runner {

// Everything that can be refused is refused before the first slow step. Throws Error.
Report run(const Options& options);

}  // namespace vmexport::runner

#endif  // VMEXPORT_RUNNER_RUN_H
