"""cuda-python's runtime on host memory: asynchronous, with graphs, strict where CUDA leaves things undefined.

Work waits in its stream until somebody waits for the stream, so that reading a result too early, or changing
a buffer too early, shows. Whatever is not given back can be counted.
"""

# The names are CUDA's own.
# ruff: noqa: N801, N802, N815

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from types import ModuleType
from typing import Any

Work = Callable[[], None]


class cudaError_t(IntEnum):
    """The statuses that tests need."""

    cudaSuccess = 0
    cudaErrorMemoryAllocation = 2
    cudaErrorInsufficientDriver = 35
    cudaErrorNoDevice = 100
    cudaErrorIllegalAddress = 700
    cudaErrorLaunchFailure = 719
    cudaErrorStreamCaptureUnsupported = 900
    cudaErrorStreamCaptureInvalidated = 901


class cudaMemcpyKind(IntEnum):
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2


class cudaDeviceAttr(IntEnum):
    cudaDevAttrComputeCapabilityMajor = 75
    cudaDevAttrComputeCapabilityMinor = 76


class cudaStreamCaptureMode(IntEnum):
    cudaStreamCaptureModeThreadLocal = 1


@dataclass(frozen=True)
class Properties:
    """Of `cudaGetDeviceProperties`."""

    name: bytes


class _Stream:
    """Work that waits, and the graph that is being recorded, if one is."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.waiting: list[Work] = []
        self.recording: list[Work] | None = None
        self.invalid = False

    def __int__(self) -> int:
        return self.handle


class FakeCuda(ModuleType):
    """Stands for `cuda.bindings.runtime`.

    Attributes:
        failing: status by function name; the function then does nothing else.
        device: live device memory by address; `pinned` likewise.
        graphs: live graphs.
        total: memory of the GPU, bytes.
    """

    def __init__(
        self,
        name: str = "Fake Orin",
        capability: tuple[int, int] = (8, 7),
        total: int = 1 << 30,
        count: int = 1,
    ) -> None:
        super().__init__("cuda.bindings.runtime")
        self.cudaMemcpyKind, self.cudaDeviceAttr = cudaMemcpyKind, cudaDeviceAttr
        self.cudaStreamCaptureMode = cudaStreamCaptureMode
        self.failing: dict[str, cudaError_t] = {}
        self.name, self.capability, self.total, self.count = name, capability, total, count
        self.driver, self.runtime = 12060, 13000
        self.device: dict[int, Any] = {}
        self.pinned: dict[int, Any] = {}
        self.streams: dict[int, _Stream] = {}
        self.graphs: set[int] = set()
        self.calls: list[str] = []

    # ---- what a test asks

    @property
    def clean(self) -> bool:
        """Whether everything was given back."""
        return not (self.device or self.pinned or self.streams or self.graphs)

    @property
    def used(self) -> int:
        """Bytes of device memory that are held."""
        return sum(len(memory) for memory in self.device.values())

    def submit(self, stream: int, work: Work) -> bool:
        """What a library does to launch a kernel; False where the stream's recording forbids it."""
        target = self.streams[stream]
        if target.invalid:
            return False
        (target.waiting if target.recording is None else target.recording).append(work)
        return True

    def is_recording(self, stream: int) -> bool:
        """Whether a graph is being captured."""
        return self.streams[stream].recording is not None

    def invalidate(self, stream: int) -> None:
        """What a forbidden call does to the graph that is being captured."""
        self.streams[stream].invalid = True

    # ---- the runtime

    def cudaGetDeviceCount(self) -> Any:
        return self._do("cudaGetDeviceCount", lambda: self.count)

    def cudaGetDeviceProperties(self, index: int) -> Any:
        assert 0 <= index < self.count
        return self._do("cudaGetDeviceProperties", lambda: Properties(self.name.encode() + b"\0" * 8))

    def cudaDeviceGetAttribute(self, attribute: cudaDeviceAttr, index: int) -> Any:
        which = attribute - cudaDeviceAttr.cudaDevAttrComputeCapabilityMajor
        return self._do("cudaDeviceGetAttribute", lambda: self.capability[which])

    def cudaDriverGetVersion(self) -> Any:
        return self._do("cudaDriverGetVersion", lambda: self.driver)

    def cudaRuntimeGetVersion(self) -> Any:
        return self._do("cudaRuntimeGetVersion", lambda: self.runtime)

    def cudaGetErrorString(self, status: cudaError_t) -> Any:
        return cudaError_t.cudaSuccess, f"fake {cudaError_t(status).name}".encode()

    def cudaGetLastError(self) -> Any:
        return (cudaError_t.cudaSuccess,)

    def cudaMemGetInfo(self) -> Any:
        return self._do("cudaMemGetInfo", lambda: (self.total - self.used, self.total))

    def cudaMalloc(self, size: int) -> Any:
        assert size > 0
        if size > self.total - self.used:
            return cudaError_t.cudaErrorMemoryAllocation, None
        return self._do("cudaMalloc", lambda: _allocate(self.device, size))

    def cudaFree(self, address: int) -> Any:
        self._drain()  # cudaFree waits for the device
        return self._do("cudaFree", lambda: self.device.pop(address) and None)

    def cudaMallocHost(self, size: int) -> Any:
        assert size > 0
        return self._do("cudaMallocHost", lambda: _allocate(self.pinned, size))

    def cudaFreeHost(self, address: int) -> Any:
        return self._do("cudaFreeHost", lambda: self.pinned.pop(address) and None)

    def cudaStreamCreateWithFlags(self, flags: int) -> Any:
        assert flags == 1, "a blocking stream waits for the default stream"

        def create() -> _Stream:
            stream = _Stream(max(self.streams, default=100) + 1)
            self.streams[stream.handle] = stream
            return stream

        return self._do("cudaStreamCreateWithFlags", create)

    def cudaStreamDestroy(self, stream: _Stream) -> Any:
        return self._do("cudaStreamDestroy", lambda: self.streams.pop(stream.handle) and None)

    def cudaStreamSynchronize(self, stream: _Stream) -> Any:
        if stream.recording is not None:
            stream.invalid = True
            return (cudaError_t.cudaErrorStreamCaptureUnsupported,)
        return self._do("cudaStreamSynchronize", lambda: self._run(stream))

    def cudaMemcpyAsync(
        self, target: int, source: int, size: int, kind: cudaMemcpyKind, stream: _Stream
    ) -> Any:
        inward = kind == cudaMemcpyKind.cudaMemcpyHostToDevice
        _inside(self.device if inward else self.pinned, target, size)
        _inside(self.pinned if inward else self.device, source, size)

        def copy() -> None:
            _inside(self.device if inward else self.pinned, target, size)
            ctypes.memmove(target, source, size)

        return self._do("cudaMemcpyAsync", lambda: self.submit(stream.handle, copy) and None)

    def cudaStreamBeginCapture(self, stream: _Stream, mode: cudaStreamCaptureMode) -> Any:
        def begin() -> None:
            assert stream.recording is None
            stream.recording, stream.invalid = [], False

        return self._do("cudaStreamBeginCapture", begin)

    def cudaStreamEndCapture(self, stream: _Stream) -> Any:
        recorded, invalid = stream.recording, stream.invalid
        stream.recording, stream.invalid = None, False
        assert recorded is not None
        if invalid:
            return cudaError_t.cudaErrorStreamCaptureInvalidated, None
        return self._do("cudaStreamEndCapture", lambda: self._keep(recorded))

    def cudaGraphInstantiate(self, graph: Any, flags: int) -> Any:
        return self._do("cudaGraphInstantiate", lambda: self._keep(list(graph)))

    def cudaGraphDestroy(self, graph: Any) -> Any:
        return self._do("cudaGraphDestroy", lambda: self.graphs.remove(id(graph)))

    def cudaGraphExecDestroy(self, graph: Any) -> Any:
        return self._do("cudaGraphExecDestroy", lambda: self.graphs.remove(id(graph)))

    def cudaGraphLaunch(self, graph: Any, stream: _Stream) -> Any:
        assert id(graph) in self.graphs, "a graph that was given back"
        return self._do("cudaGraphLaunch", lambda: stream.waiting.extend(graph))

    # ---- inside

    def _do(self, name: str, action: Callable[[], Any]) -> Any:
        """Call, or fail where a test wants it; a tuple as cuda-python gives it."""
        self.calls.append(name)
        status = self.failing.get(name, cudaError_t.cudaSuccess)
        if status != cudaError_t.cudaSuccess:
            return status, None
        result = action()
        if result is None:
            return (status,)
        return (status, *result) if isinstance(result, tuple) else (status, result)

    def _keep(self, graph: list[Work]) -> list[Work]:
        self.graphs.add(id(graph))
        return graph

    def _run(self, stream: _Stream) -> None:
        while stream.waiting:
            stream.waiting.pop(0)()

    def _drain(self) -> None:
        for stream in self.streams.values():
            self._run(stream)


def _allocate(where: dict[int, Any], size: int) -> int:
    memory = ctypes.create_string_buffer(b"\xff" * size, size)  # NaN, wherever nobody wrote
    address = ctypes.addressof(memory)
    where[address] = memory
    return address


def _inside(where: dict[int, Any], address: int, size: int) -> None:
    """Every byte must lie in one live allocation."""
    assert any(start <= address and address + size <= start + len(memory) for start, memory in where.items())
