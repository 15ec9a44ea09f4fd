"""ONNX Runtime sessions set up for speed, with every failure translated into an error that teaches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmexport.config.threads import usable_cores
from vmexport.errors import EnvironmentProblem, InputError, OutOfMemory, UsageError
from vmexport.ops.loading import BUILD_FIX, library_path

LIBRARY = "libvmexport_ort.so"
LIBRARY_CHOICES = ("auto", "off", "require")
ERRORS_ONLY, VERBOSE = 3, 1


@dataclass(frozen=True)
class SessionOptions:
    """How to open a session.

    Attributes:
        library: "auto" uses the operator library where it is built and the file's function body
            otherwise; "off" always the function body; "require" refuses to go without the library.
        threads: threads within an operator; 0 stands for the cores this process may use.
        verbose: let ONNX Runtime print its warnings.
    """

    library: str = "auto"
    threads: int = 0
    verbose: bool = False

    def __post_init__(self) -> None:
        if self.library not in LIBRARY_CHOICES:
            raise UsageError(
                f"unknown value for library: {self.library!r}",
                f"expected one of {', '.join(LIBRARY_CHOICES)}",
            )
        if self.threads < 0:
            raise UsageError(
                "threads must be 0 (all cores of this process) or positive", f"got {self.threads}"
            )


def open_session(model: Path | bytes, source: str, options: SessionOptions) -> tuple[Any, bool]:
    """Open an `onnxruntime.InferenceSession` on the CPU.

    Args:
        model: a file, or a serialised model.
        source: name in messages.
        options: library, threads, verbosity.

    Returns:
        the session, and whether the operator library is registered in it.

    Raises:
        EnvironmentProblem: onnxruntime is missing, or the operator library is required and not built, or
            the file needs it (exported without fallback) and it is not there.
        InputError: the file is no ONNX model, or a damaged one.
        OutOfMemory: the host's memory does not suffice.
    """
    runtime = import_onnxruntime()
    settings, registered = _settings(runtime, options)
    try:
        target = model if isinstance(model, bytes) else str(model)
        return runtime.InferenceSession(target, settings, providers=["CPUExecutionProvider"]), registered
    except Exception as error:  # onnxruntime raises a dozen unrelated classes and plain RuntimeError
        raise _explain(error, source) from error


def import_onnxruntime() -> Any:
    """The onnxruntime module.

    Raises:
        EnvironmentProblem: it is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise EnvironmentProblem(
            "ONNX Runtime is not installed", str(error), "pip install 'vmexport[cpu]'"
        ) from error
    return onnxruntime


def _settings(runtime: Any, options: SessionOptions) -> tuple[Any, bool]:
    """The runtime's own options object, with the operator library registered where wanted and built."""
    settings = runtime.SessionOptions()
    settings.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    settings.intra_op_num_threads = options.threads or usable_cores()
    settings.inter_op_num_threads = 1
    settings.log_severity_level = VERBOSE if options.verbose else ERRORS_ONLY
    library = None if options.library == "off" else library_path(LIBRARY)
    if library is None and options.library == "require":
        raise EnvironmentProblem(
            "the ONNX Runtime operator library is not built",
            f"{LIBRARY} lies in no folder of the vmexport package",
            BUILD_FIX,
        )
    if library is not None:
        try:
            settings.register_custom_ops_library(str(library))
        except Exception as error:  # as above
            raise EnvironmentProblem(
                f"ONNX Runtime {runtime.__version__} cannot load {library.name}",
                _first_line(error),
                "build it again: make native   (or go without: library='off')",
            ) from error
    return settings, library is not None


def _explain(error: Exception, source: str) -> Exception:
    """Translate what onnxruntime raised while loading `source`."""
    text = str(error)
    if "is not a registered function/op" in text or "No opset import for domain" in text:
        return EnvironmentProblem(
            f"{source} needs operators that this ONNX Runtime does not have",
            _first_line(error),
            "build the operator library (make native), or export without --no-fallback",
        )
    if isinstance(error, MemoryError) or "bad_alloc" in text or "Failed to allocate" in text:
        return OutOfMemory(f"not enough memory to open {source}", _first_line(error))
    return InputError(
        f"ONNX Runtime cannot open {source}",
        _first_line(error),
        "export it again: vmexport onnx MODEL -o model.onnx",
    )


def _first_line(error: Exception) -> str:
    """The first line of an error, without the runtime's status prefix."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
