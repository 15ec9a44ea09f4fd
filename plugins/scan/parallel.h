// Work sharing over tasks, by the framework's pool where there is one, else by threads of this call.
#ifndef VMEXPORT_SCAN_PARALLEL_H
#define VMEXPORT_SCAN_PARALLEL_H

#include "params.h"

namespace vmexport {

// Tasks worth running at the same time for `nanoseconds` of work on one core: at least 1, at most the
// executor's limit (or the cores this process may use).
int64_t useful_threads(const vmexport_executor& executor, double nanoseconds) noexcept;

// Run every task; returns when all are done. If a thread cannot be started the caller's thread does its share.
void run_tasks(const vmexport_executor& executor, int64_t threads, int64_t count, vmexport_task task,
               void* context) noexcept;

}  // namespace vmexport

#endif  // VMEXPORT_SCAN_PARALLEL_H
