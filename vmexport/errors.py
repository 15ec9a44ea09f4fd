"""The one exception root. Every error says what happened, why, and a fix to copy."""

from __future__ import annotations

from enum import IntEnum

from vmexport.text import harmless, harmless_lines


class ExitCode(IntEnum):
    """Exit status of the command line, one for each kind of failure."""

    OK = 0
    BUG = 1
    USAGE = 2
    ENVIRONMENT = 3
    BAD_INPUT = 4
    BUILD_FAILED = 5
    PARITY_FAILED = 6
    OUT_OF_MEMORY = 7
    INTERRUPTED = 130


class VmexportError(Exception):
    """Root of all errors that a user can cause or mend.

    Args:
        what: one sentence, what happened.
        why: the reason, with expected and got where there is such a pair.
        fix: what to do, as a command to copy where there is one.
    """

    exit_code: ExitCode = ExitCode.BUG

    def __init__(self, what: str, why: str = "", fix: str = "") -> None:
        self.what, self.why, self.fix = what, why, fix
        super().__init__(what, why, fix)

    def __str__(self) -> str:
        return "\n".join(self.lines())

    @property
    def brief(self) -> str:
        """What and why on one line, where another error tells of this one."""
        return ": ".join(filter(None, (self.what, self.why)))

    def lines(self) -> list[str]:
        """What, `why: ...` and `fix: ...` as far as they are there, each of them fit for a terminal."""
        named = (("why: ", harmless_lines(self.why)), ("fix: ", harmless(self.fix)))
        return [harmless(self.what), *(f"{name}{said}" for name, said in named if said)]


class UsageError(VmexportError):
    """The words of a call do not fit together (an option's value, a combination of options)."""

    exit_code = ExitCode.USAGE


class EnvironmentProblem(VmexportError):
    """Something that must be installed, built or present on this machine is not."""

    exit_code = ExitCode.ENVIRONMENT


class InputError(VmexportError):
    """A file or an array given by the user is missing, damaged or of the wrong kind."""

    exit_code = ExitCode.BAD_INPUT


class ShapeError(InputError, ValueError):
    """A tensor has another shape, dtype, stride or value than the operator or model takes."""


class BuildError(VmexportError):
    """An export or a build did not finish; nothing half-written is left behind."""

    exit_code = ExitCode.BUILD_FAILED


class ParityError(VmexportError):
    """Two artefacts that must compute the same function do not."""

    exit_code = ExitCode.PARITY_FAILED


class OutOfMemory(VmexportError):
    """Host or device memory ran out."""

    exit_code = ExitCode.OUT_OF_MEMORY


MEMORY_WORDS = (
    "out of memory",
    "outofmemory",
    "insufficient memory",
    "cudaerror 2:",
    "allocate memory",
    "failed to allocate",
    "bad allocation",
    "bad_alloc",
)
"""What libraries say where memory ran out; hardly one has a status or a class for that."""


def brief(error: BaseException) -> str:
    """What any error says, on one line: of one of ours what and why, of another its first line."""
    if isinstance(error, VmexportError):
        return error.brief
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def tells_of_memory(error: BaseException | str) -> bool:
    """Whether an error of a library, or its words, says that memory ran out."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in MEMORY_WORDS)
