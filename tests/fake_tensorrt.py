"""The `tensorrt` package of any version, as far as it runs engines, on host memory (see `fake_cuda`).

A fake engine is a header and an ONNX file; ONNX Runtime computes it, so that logits are real. Attributes are
those of the version asked for, and what TensorRT refuses or leaves undefined is refused here.
"""

from __future__ import annotations

import ctypes
import json
import weakref
from collections.abc import Sequence
from enum import IntEnum
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from fake_cuda import FakeCuda

MAGIC = b"fake engine\n"


NAMESPACE = "vmexport"
ATTRIBUTES = {
    "SelectiveScan": ("directions", "tokens_per_frame", "class_token", "scale"),
    "CausalConv1d": ("directions", "tokens_per_frame", "class_token"),
}
"""Of the plugins, by name."""

LAYERS = {"patch embedding": 0.25, "scan": 0.75}
"""What a profiler is told of every call."""


class Severity(IntEnum):
    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    VERBOSE = 4


class ILogger:
    """What a logger derives from."""

    def __init__(self) -> None:
        self.ready = True

    def log(self, severity: Severity, message: str) -> None:
        raise NotImplementedError


class DataType(IntEnum):
    FLOAT = 0
    HALF = 1


class AllocationStrategy(IntEnum):
    STATIC = 0
    ON_PROFILE_CHANGE = 1
    USER_MANAGED = 2


class CudaGraphStrategy(IntEnum):
    DISABLED = 0
    WHOLE_GRAPH_CAPTURE = 1


def fake_engine(onnx: bytes, **header: Any) -> bytes:
    """An engine file.

    Args:
        onnx: what it computes.
        header: `version`, and optionally `plugin` (needs one), `embedded`, `version_compatible`, `scratch`
            in bytes, `dtype`.
    """
    return MAGIC + json.dumps(header).encode() + b"\n" + onnx


class FakeTensorRT(ModuleType):
    """Stands for the module.

    Attributes:
        libraries: plugin libraries that load: path, and the operators in them.
        creators: attributes of the plugins that are registered, by namespace and name.
        refuse: what the next steps fail with: `context`, `enqueue` or `capture`, and the logged message.
        engines: engines that live.
        graphs_by_library: whether the last context was made with the library's own graphs (RTX).
    """

    def __init__(self, version: str, cuda: FakeCuda, rtx: bool = False) -> None:
        name = "tensorrt_rtx" if rtx else "tensorrt"
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None, origin="fake")
        self.__version__ = version
        self.numbers = tuple(int(part) for part in version.split("."))
        self.cuda, self.rtx = cuda, rtx
        self.ILogger, self.DataType = ILogger, DataType
        self.libraries: dict[str, Sequence[str]] = {}
        self.creators: dict[tuple[str, str], Sequence[str]] = {}
        self.refuse: dict[str, str] = {}
        self.engines: weakref.WeakSet[Any] = weakref.WeakSet()
        self.graphs_by_library = False
        self.loggers: set[Any] = set()
        if rtx or self.numbers >= (10,):
            self.ExecutionContextAllocationStrategy = AllocationStrategy
        if rtx:
            self.CudaGraphStrategy = CudaGraphStrategy

    def Runtime(self, logger: ILogger) -> _Runtime:  # noqa: N802
        """`IRuntime`."""
        assert logger.ready, "the logger's base was not initialised"
        self.loggers.add(logger)
        return _Runtime(self, logger)

    def register(self, *names: str, namespace: str = NAMESPACE) -> None:
        """Plugins of vmexport, as its libraries register them."""
        self.creators |= {(namespace, name): ATTRIBUTES.get(name, ()) for name in names}

    def has(self, name: str, namespace: str = NAMESPACE) -> bool:
        """Whether a plugin of this name is registered."""
        return (namespace, name) in self.creators

    def get_plugin_registry(self) -> _Registry:
        """The process's registry."""
        return _Registry(self)


def _field(name: str) -> SimpleNamespace:
    return SimpleNamespace(name=name)


class _Registry:
    def __init__(self, trt: FakeTensorRT) -> None:
        self._trt = trt
        if trt.rtx or trt.numbers >= (10,):
            self.get_creator = self._find
        if trt.numbers < (11,):
            self.get_plugin_creator = self._find

    def _find(self, name: str, version: str, namespace: str = "") -> object | None:
        known = self._trt.creators.get((namespace, name)) if version == "1" else None
        return None if known is None else SimpleNamespace(field_names=list(map(_field, known)))

    def load_library(self, path: str) -> object | None:
        found = self._trt.libraries.get(path)
        if found is None or any((NAMESPACE, name) in self._trt.creators for name in found):
            for logger in self._trt.loggers:
                logger.log(Severity.ERROR, f"could not load library {path}")
            return None
        self._trt.register(*found)
        return object()


class _Runtime:
    def __init__(self, trt: FakeTensorRT, logger: ILogger) -> None:
        self._trt, self._logger = trt, logger
        self.engine_host_code_allowed = False

    def deserialize_cuda_engine(self, content: bytes) -> _Engine | None:
        problem = self._problem(content)
        if problem:
            self._logger.log(Severity.ERROR, problem)
            return None
        header, onnx = content[len(MAGIC) :].split(b"\n", 1)
        status, weights = self._trt.cuda.cudaMalloc(len(onnx))
        if status:
            self._logger.log(Severity.ERROR, f"Error Code 2: OutOfMemory ({status.name})")
            return None
        engine = _Engine(self._trt, self._logger, json.loads(header), onnx)
        weakref.finalize(engine, self._trt.cuda.device.pop, weights)
        self._trt.engines.add(engine)
        return engine

    def _problem(self, content: bytes) -> str:
        """Why an engine is refused; empty where it is not."""
        if not content.startswith(MAGIC):
            return "Error Code 1: Serialization (magic tag does not match)"
        header = json.loads(content[len(MAGIC) :].split(b"\n", 1)[0])
        if header.get("version_compatible"):
            if not self.engine_host_code_allowed:
                return "the engine holds host code, which is not allowed"
        elif header["version"] != self._trt.__version__:
            return f"expecting library version {self._trt.__version__} got {header['version']}"
        if header.get("plugin") and not header.get("embedded") and not self._trt.has("SelectiveScan"):
            return "getPluginCreator could not find plugin: SelectiveScan version: 1"
        return ""


class _Engine:
    """`ICudaEngine` of one profile."""

    def __init__(self, trt: FakeTensorRT, logger: ILogger, header: dict[str, Any], onnx: bytes) -> None:
        import onnxruntime

        self.trt, self.logger = trt, logger
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        self._values = [*self.session.get_inputs(), *self.session.get_outputs()]
        self.num_io_tensors = len(self._values)
        self._dtype = DataType(header.get("dtype", DataType.FLOAT))
        scratch = int(header.get("scratch", 4096))
        if trt.numbers < (11,) and not trt.rtx:
            self.device_memory_size = scratch
            self.create_execution_context_without_device_memory = lambda: self._context(managed=True)
        if trt.rtx or trt.numbers >= (10, 1):
            self.device_memory_size_v2 = scratch
        if trt.rtx:
            self.create_runtime_config = _RuntimeConfig

    def get_tensor_name(self, index: int) -> str:
        return str(self._values[index].name)

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        value = next(value for value in self._values if value.name == name)
        return tuple(axis if isinstance(axis, int) else -1 for axis in value.shape)

    def get_tensor_dtype(self, name: str) -> DataType:
        return self._dtype

    def create_execution_context(self, how: Any = AllocationStrategy.STATIC) -> _Context | None:
        if isinstance(how, _RuntimeConfig):
            self.trt.graphs_by_library = how.cuda_graph_strategy == CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
            how = how.strategy
        return self._context(managed=how == AllocationStrategy.USER_MANAGED)

    def _context(self, managed: bool) -> _Context | None:
        if "context" in self.trt.refuse:
            self.logger.log(Severity.ERROR, self.trt.refuse["context"])
            return None
        return _Context(self, managed)


class _RuntimeConfig:
    """`IRuntimeConfig` of RTX."""

    def __init__(self) -> None:
        self.strategy = AllocationStrategy.STATIC
        self.cuda_graph_strategy = CudaGraphStrategy.DISABLED

    def set_execution_context_allocation_strategy(self, strategy: AllocationStrategy) -> None:
        self.strategy = strategy


class _Context:
    """`IExecutionContext`."""

    def __init__(self, engine: _Engine, managed: bool) -> None:
        self.engine, self._managed = engine, managed
        self._scratch: int | None = None
        self._addresses: dict[str, int] = {}
        self._shape: tuple[int, ...] = ()
        self._changes = 0  # graphs captured before the last one are void
        self._warm = False
        self.profiler: Any = None
        if engine.trt.rtx or engine.trt.numbers >= (10, 1):
            self.set_device_memory = self._set_device_memory

    def _set_device_memory(self, address: int, size: int) -> None:
        assert size >= getattr(self.engine, "device_memory_size_v2", 0)
        self.device_memory = address

    @property
    def device_memory(self) -> int:
        raise AttributeError("device_memory can only be written")

    @device_memory.setter
    def device_memory(self, address: int) -> None:
        assert address in self.engine.trt.cuda.device
        self._scratch = address

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        expected = self.engine.get_tensor_shape(name)
        fits = all(want in (-1, got) for want, got in zip(expected, shape, strict=True))
        if not fits:
            self.engine.logger.log(Severity.ERROR, f"{name}: {shape} does not fit {expected}")
            return False
        self._shape, self._warm = shape, False
        self._changes += 1
        return True

    def execute_async_v3(self, stream: int) -> bool:
        trt, recording = self.engine.trt, self.engine.trt.cuda.is_recording(stream)
        problem = trt.refuse.get("capture" if recording else "enqueue", "")
        if recording and trt.rtx:
            problem = "the context is not stream capturable"
        elif recording and not self._warm:
            problem = "the first call of a shape cannot be captured"
        elif not self._shape or (self._managed and self._scratch is None):
            problem = "shapes or memory are not set"
        if problem:
            self.engine.logger.log(Severity.ERROR, problem)
            if recording:
                trt.cuda.invalidate(stream)
            return False
        self._warm = True
        shape, changes = self._shape, self._changes

        def compute() -> None:
            assert not recording or changes == self._changes, "the graph's context was changed"
            assert not self._managed or self._scratch in trt.cuda.device, "activations were given back"
            self._compute(shape)
            if self.profiler is not None:
                for name, ms in LAYERS.items():
                    self.profiler.report_layer_time(name, ms)

        return trt.cuda.submit(stream, compute)

    def _compute(self, shape: tuple[int, ...]) -> None:
        inputs = self.engine.session.get_inputs()
        outputs = self.engine.session.get_outputs()
        count = int(np.prod(shape))
        memory = (ctypes.c_float * count).from_address(self._addresses[inputs[0].name])
        clips = np.ctypeslib.as_array(memory).reshape(shape).copy()
        logits = self.engine.session.run([outputs[0].name], {inputs[0].name: clips})[0]
        raw = np.ascontiguousarray(logits, np.float32).tobytes()
        ctypes.memmove(self._addresses[outputs[0].name], raw, len(raw))
