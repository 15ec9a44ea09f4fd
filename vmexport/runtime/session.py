"""ONNX Runtime sessions set up for speed, with every failure translated into an error that teaches."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

from vmexport.config.choices import Device, Library
from vmexport.config.names import WRITE_ONNX
from vmexport.config.threads import usable_cores
from vmexport.errors import EnvironmentProblem, InputError, OutOfMemory, UsageError, tells_of_memory
from vmexport.extras import install_extra, missing
from vmexport.native.libraries import ORT_CUDA_LIBRARY, ORT_LIBRARY, build_fix
from vmexport.native.loading import library_path

CPU, CUDA = DEVICES = Device.all()
LIBRARIES = {CPU: ORT_LIBRARY, CUDA: ORT_CUDA_LIBRARY}
"""The operator library by device; a CPU session would run the CPU kernels of the other one just as well."""
PROVIDERS: dict[str, dict[str, dict[str, str]]] = {
    CPU: {"CPUExecutionProvider": {}},
    CUDA: {"CUDAExecutionProvider": {"use_tf32": "0"}, "CPUExecutionProvider": {}},
}
"""ONNX Runtime's execution providers and their options by device, in the order of preference.

The CPU stays for what the GPU's provider leaves out. Unless told otherwise that one multiplies float32 in
TF32, with 10 bits of mantissa.
"""
LIBRARY_CHOICES = Library.all()
MOST_THREADS = 4096
"""More than any machine here has cores; far more would only fail to start."""
ERRORS_ONLY, VERBOSE = 3, 1


@dataclass(frozen=True)
class SessionOptions:
    """How to open a session.

    Attributes:
        library: "auto" uses the operator library where it is built and the file's function body
            otherwise; "off" always the function body; "require" refuses to go without the library.
        threads: threads within an operator; 0 stands for the cores this process may use.
        verbose: let ONNX Runtime print its warnings.
        device: "cpu", or "cuda" for the CUDA provider on its first device.
    """

    library: str = "auto"
    threads: int = 0
    verbose: bool = False
    device: str = CPU

    def __post_init__(self) -> None:
        check_device(self.device)
        if self.library not in LIBRARY_CHOICES:
            raise UsageError(
                f"unknown value for library: {self.library!r}",
                f"expected one of {', '.join(LIBRARY_CHOICES)}",
            )
        whole = isinstance(self.threads, Integral) and not isinstance(self.threads, bool)
        if not whole or not 0 <= self.threads <= MOST_THREADS:
            raise UsageError(
                "threads must be 0 (all cores of this process) or positive",
                f"expected 0 to {MOST_THREADS}, got {reprlib.repr(self.threads)}",
            )


def check_device(device: str) -> None:
    """Refuse a device that no runner knows.

    Raises:
        UsageError: with the devices there are.
    """
    if device not in DEVICES:
        raise UsageError(f"unknown value for device: {device!r}", f"expected one of {', '.join(DEVICES)}")


def open_session(model: Path | bytes, source: str, options: SessionOptions) -> tuple[Any, bool]:
    """Open an `onnxruntime.InferenceSession` on the device asked for and on no other.

    Args:
        model: a file, or a serialised model.
        source: name in messages.
        options: library, threads, verbosity, device.

    Returns:
        the session, and whether the operator library is registered in it.

    Raises:
        EnvironmentProblem: onnxruntime is missing, or has no CUDA provider or cannot start it; the operator
            library is required and not built; the file needs it (exported without fallback) and it is not
            there.
        InputError: the file is no ONNX model, or a damaged one.
        OutOfMemory: the host's memory does not suffice.
    """
    runtime = import_onnxruntime()
    providers = PROVIDERS[options.device]
    preferred = next(iter(providers))
    if preferred not in runtime.get_available_providers():
        raise EnvironmentProblem(
            f"ONNX Runtime {runtime.__version__} here cannot use the GPU",
            f"requested {preferred}, available: {', '.join(runtime.get_available_providers())}",
            f"pip uninstall onnxruntime && {install_extra('gpu')}   (or go without: --device cpu)",
        )
    settings, registered = _settings(runtime, options)
    try:
        target = model if isinstance(model, bytes) else str(model)
        session = runtime.InferenceSession(target, settings, providers=list(providers.items()))
    except Exception as error:  # onnxruntime raises a dozen unrelated classes and plain RuntimeError
        raise _explain(error, source) from error
    if preferred not in session.get_providers():  # it goes on without, and only a log line says so
        raise EnvironmentProblem(
            f"ONNX Runtime {runtime.__version__} could not start its CUDA provider",
            "the driver, the CUDA libraries or cuDNN that it was built for do not load here",
            "look at nvidia-smi; verbose=True shows the reason   (or go without: --device cpu)",
        )
    return session, registered


def import_onnxruntime() -> Any:
    """The onnxruntime module.

    Raises:
        EnvironmentProblem: it is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # Ctrl-C while its native part was starting
            raise error.__cause__ from error
        raise missing("onnxruntime", str(error), name="ONNX Runtime") from error
    return onnxruntime


def _settings(runtime: Any, options: SessionOptions) -> tuple[Any, bool]:
    """The runtime's own options object, with the operator library registered where wanted and built."""
    settings = runtime.SessionOptions()
    settings.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    settings.intra_op_num_threads = options.threads or usable_cores()
    settings.inter_op_num_threads = 1
    settings.log_severity_level = VERBOSE if options.verbose else ERRORS_ONLY
    name = LIBRARIES[options.device]
    library = None if options.library == "off" else library_path(name)
    if library is None and options.library == "require":
        raise EnvironmentProblem(
            "the ONNX Runtime operator library is not built",
            f"{name} lies neither in the vmexport package nor in its cache",
            build_fix(name),
        )
    if library is not None:
        try:
            settings.register_custom_ops_library(str(library))
        except Exception as error:  # as above
            raise EnvironmentProblem(
                f"ONNX Runtime {runtime.__version__} cannot load {library.name}",
                _first_line(error),
                f"build it again: {build_fix(name)}   (or go without: library='off')",
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
    if tells_of_memory(error):
        return OutOfMemory(f"not enough memory to open {source}", _first_line(error))
    return InputError(
        f"ONNX Runtime cannot open {source}",
        _first_line(error),
        f"export it again: {WRITE_ONNX}",
    )


def _first_line(error: Exception) -> str:
    """The first line of an error, without the runtime's status prefix."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
