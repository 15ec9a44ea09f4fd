// Files read whole and written whole: an interrupted or failed run never leaves half of one.
#ifndef VMEXPORT_RUNNER_FILES_H
#define VMEXPORT_RUNNER_FILES_H

#include <stdint.h>

#include <string>

namespace vmexport::runner {

// The bytes of a regular file. Throws kBadInput: missing, unreadable, not a regular file, empty, or over `limit` bytes.
std::string read_file(const std::string& path, uint64_t limit);

// Throws kBadInput where a file could not be written to `path` later: before an hour of building, not after it.
void require_writable(const std::string& path);

// Writes to a temporary file beside `path` and renames it. Throws kBuildFailed (disk full) or kBadInput (no
// permission).
void write_file(const std::string& path, const std::string& bytes);

// Removes the temporary file of a write in progress. Safe to call from a signal handler.
void remove_unfinished() noexcept;

// Loading a library runs the code in it. Throws kEnvironment where another user could have put it there: it and its
// folder have to belong to this user or root and to be closed to others (the rule of vmexport/native/trust.py).
void require_trusted_library(const std::string& path);

// An engine holds code for the GPU, and plugins where they are embedded. Throws kEnvironment where everybody may
// replace it. Its owner may be anybody: files of a container's host often belong to a user whom the container does not
// know.
void require_trusted_engine(const std::string& path);

std::string folder_of(const std::string& path);

}  // namespace vmexport::runner

#endif  // VMEXPORT_RUNNER_FILES_H
