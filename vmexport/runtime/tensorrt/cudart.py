"""The CUDA runtime through cuda-python, with statuses translated into errors; torch is not needed."""

from __future__ import annotations

import importlib
from typing import Any

from vmexport.errors import EnvironmentProblem, OutOfMemory, VmexportError
from vmexport.extras import missing

MODULES = ("cuda.bindings.runtime", "cuda.cudart")
"""Where cuda-python has the runtime, since 12.6 and before."""

SUCCESS, MEMORY_ALLOCATION, INSUFFICIENT_DRIVER, NO_DEVICE = 0, 2, 35, 100
UNSUPPORTED_ARCHITECTURE, STUB_LIBRARY = 209, 34
"""Statuses of the runtime that mean something to a user."""

NON_BLOCKING_STREAM = 1


class Cuda:
    """The runtime API on the current device. Addresses are numbers, streams and graphs opaque handles.

    Raises:
        EnvironmentProblem: cuda-python is not installed or does not load.
    """

    def __init__(self) -> None:
        self._runtime = import_runtime()

    def device_count(self) -> int:
        """Number of GPUs.

        Raises:
            EnvironmentProblem: no driver, or one too old.
        """
        return int(self._call("cudaGetDeviceCount"))

    def device_name(self, index: int) -> str:
        """The name of a GPU."""
        name = self._call("cudaGetDeviceProperties", index).name
        return name.decode(errors="replace").strip("\0 ") if isinstance(name, bytes) else str(name)

    def compute_capability(self, index: int) -> str:
        """Such as `8.7`."""
        attributes = self._runtime.cudaDeviceAttr
        major = self._call("cudaDeviceGetAttribute", attributes.cudaDevAttrComputeCapabilityMajor, index)
        minor = self._call("cudaDeviceGetAttribute", attributes.cudaDevAttrComputeCapabilityMinor, index)
        return f"{int(major)}.{int(minor)}"

    def memory(self) -> tuple[int, int]:
        """Free and total bytes of the current device; starts CUDA on it."""
        free, total = self._call("cudaMemGetInfo")
        return int(free), int(total)

    def versions(self) -> tuple[str, str]:
        """CUDA version that the driver serves (empty without one) and this runtime's, such as `12.6`."""
        driver, runtime = (int(self._call(f"cuda{name}GetVersion")) for name in ("Driver", "Runtime"))
        return _version(driver), _version(runtime)

    def malloc(self, size: int) -> int:
        """Device memory.

        Raises:
            OutOfMemory: it does not suffice.
        """
        return int(self._call("cudaMalloc", max(1, size)))

    def free(self, address: int) -> None:
        """Give device memory back."""
        self._call("cudaFree", address)

    def host_alloc(self, size: int) -> int:
        """Pinned host memory, from which copies run beside the CPU.

        Raises:
            OutOfMemory: it does not suffice.
        """
        return int(self._call("cudaMallocHost", max(1, size)))

    def host_free(self, address: int) -> None:
        """Give pinned memory back."""
        self._call("cudaFreeHost", address)

    def copy_in(self, device: int, host: int, size: int, stream: Any) -> None:
        """Host to device, in stream order."""
        self._copy(device, host, size, "cudaMemcpyHostToDevice", stream)

    def copy_out(self, host: int, device: int, size: int, stream: Any) -> None:
        """Device to host, in stream order."""
        self._copy(host, device, size, "cudaMemcpyDeviceToHost", stream)

    def stream(self) -> Any:
        """A new stream that does not wait for the default stream."""
        return self._call("cudaStreamCreateWithFlags", NON_BLOCKING_STREAM)

    def destroy_stream(self, stream: Any) -> None:
        """Give a stream back."""
        self._call("cudaStreamDestroy", stream)

    def wait(self, stream: Any) -> None:
        """Wait for all work of a stream.

        Raises:
            EnvironmentProblem: a kernel of it failed.
        """
        self._call("cudaStreamSynchronize", stream)

    def begin_capture(self, stream: Any) -> None:
        """Record what this thread launches on a stream instead of running it."""
        mode = self._runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call("cudaStreamBeginCapture", stream, mode)

    def end_capture(self, stream: Any) -> Any:
        """The recorded graph, ready to launch."""
        graph = self._call("cudaStreamEndCapture", stream)
        try:
            return self._call("cudaGraphInstantiate", graph, 0)
        finally:
            self._call("cudaGraphDestroy", graph)

    def launch(self, graph: Any, stream: Any) -> None:
        """Run a graph."""
        self._call("cudaGraphLaunch", graph, stream)

    def destroy_graph(self, graph: Any) -> None:
        """Give a graph back."""
        self._call("cudaGraphExecDestroy", graph)

    def forget_error(self) -> None:
        """Clear the thread's last error, which later launches would take for their own."""
        self._runtime.cudaGetLastError()

    def _copy(self, target: int, source: int, size: int, kind: str, stream: Any) -> None:
        direction = getattr(self._runtime.cudaMemcpyKind, kind)
        self._call("cudaMemcpyAsync", target, source, size, direction, stream)

    def _call(self, function: str, *arguments: Any) -> Any:
        """Call a function of the runtime; its one result, a tuple of several, or None."""
        status, *results = getattr(self._runtime, function)(*arguments)
        if int(status) != SUCCESS:
            raise self._explain(function, status)
        if len(results) == 1:
            return results[0]
        return tuple(results) if results else None

    def _explain(self, function: str, status: Any) -> VmexportError:
        """The error for a status of the runtime."""
        text = self._runtime.cudaGetErrorString(status)[1]
        why = f"{function}: {text.decode(errors='replace') if isinstance(text, bytes) else text}"
        if int(status) == MEMORY_ALLOCATION:
            return OutOfMemory("the GPU's memory does not suffice", why, "nvidia-smi shows who holds it")
        if int(status) in (INSUFFICIENT_DRIVER, STUB_LIBRARY):
            what = "there is no NVIDIA driver, or one too old for this CUDA"
            return EnvironmentProblem(what, why, "look at nvidia-smi; in a container: docker run --gpus all")
        if int(status) == NO_DEVICE:
            fix = "look at nvidia-smi and at CUDA_VISIBLE_DEVICES; in a container: docker run --gpus all"
            return EnvironmentProblem("there is no NVIDIA GPU here", why, fix)
        fix = "look at nvidia-smi; an earlier kernel that failed shows with CUDA_LAUNCH_BLOCKING=1"
        return EnvironmentProblem("CUDA failed", why, fix)


def import_runtime() -> Any:
    """cuda-python's module of the runtime.

    Raises:
        EnvironmentProblem: it is not installed or does not load.
    """
    problem: Exception | None = None
    for name in MODULES:
        try:
            return importlib.import_module(name)
        except Exception as error:  # an ImportError, or a RuntimeError of its own loader
            problem = problem or error
    raise missing("cuda", str(problem), name="cuda-python")


def _version(number: int) -> str:
    """`12.6` for 12060; empty for 0."""
    return f"{number // 1000}.{number % 1000 // 10}" if number else ""
