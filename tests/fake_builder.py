"""The builder half of `fake_tensorrt`: parser, network, settings and builder with the API of each version.

Objects take only the attributes that the version has: a setting under a wrong name is an error, not a no-op.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import onnx
from fake_tensorrt import DataType, FakeTensorRT, Severity, fake_engine
from patience import HANG_S

from vmexport.export.attach import ONE_LEVEL, attach_functions

CACHE_MAGIC = b"fake timing cache\n"
PHASES = (("Building engine", None, 3), ("Timing tactics", "Building engine", 4))


class MemoryPoolType(IntEnum):
    WORKSPACE = 0


class HardwareCompatibilityLevel(IntEnum):
    NONE = 0
    AMPERE_PLUS = 1


class ComputeCapability(IntEnum):
    NONE = 0
    CURRENT = 1
    SM86 = 86
    SM89 = 89
    SM120 = 120


class IProgressMonitor:
    """What a monitor derives from."""

    def __init__(self) -> None:
        self.ready = True


class IProfiler(IProgressMonitor):
    """What a profiler derives from."""


class Workshop:
    """The builder of one fake TensorRT.

    Attributes:
        parse_errors: `(position, name, operator, text)` of what the parser complains about.
        failure: what the builder logs before it gives up.
        interrupt: press Ctrl-C in the middle of the build and go on until told to stop.
        replacement: the ONNX file that the engine computes in place of what was parsed.
        configs: settings of all builds; `networks`, `models`: likewise.
    """

    def __init__(self, trt: FakeTensorRT) -> None:
        self.trt = trt
        self.parse_errors: list[tuple[int, str, str, str]] = []
        self.failure = ""
        self.interrupt = False
        self.replacement: bytes | None = None
        self.configs: list[Any] = []
        self.networks: list[Network] = []
        self.models: list[onnx.ModelProto] = []
        self.logger: Any = None
        modern = trt.rtx or trt.numbers >= (10,)
        trt.NetworkDefinitionCreationFlag = _flags(  # type: ignore[attr-defined]
            STRONGLY_TYPED=5 if modern else None, EXPLICIT_BATCH=3 if not modern else None
        )
        weak = not trt.rtx and trt.numbers < (11,)
        trt.BuilderFlag = _flags(  # type: ignore[attr-defined]
            FP16=0 if weak else None,
            BF16=9 if weak and modern else None,
            TF32=7,
            VERSION_COMPATIBLE=4,
            DISABLE_TIMING_CACHE=6,
        )
        members: dict[str, Any] = {
            "Builder": self._builder,
            "OnnxParser": self._parser,
            "MemoryPoolType": MemoryPoolType,
            "HardwareCompatibilityLevel": HardwareCompatibilityLevel,
            "IProfiler": IProfiler,
        }
        if modern:
            members["IProgressMonitor"] = IProgressMonitor
        if trt.rtx:
            members["ComputeCapability"] = ComputeCapability
        for name, member in members.items():
            setattr(trt, name, member)

    @property
    def config(self) -> Any:
        """The settings of the last build."""
        return self.configs[-1]

    def _builder(self, logger: Any) -> Builder:
        assert logger.ready
        self.trt.loggers.add(logger)
        self.logger = logger
        return Builder(self)

    def _parser(self, network: Network, logger: Any) -> Parser:
        assert logger.ready
        return Parser(self, network)


class Tensor:
    """`ITensor`."""

    def __init__(self, value: onnx.ValueInfoProto) -> None:
        kinds: dict[int, DataType] = {
            onnx.TensorProto.FLOAT: DataType.FLOAT,
            onnx.TensorProto.FLOAT16: DataType.HALF,
        }
        self.name = value.name
        self.dtype = kinds[value.type.tensor_type.elem_type]
        self.shape = tuple(axis.dim_value or -1 for axis in value.type.tensor_type.shape.dim)


class Network:
    """`INetworkDefinition`."""

    def __init__(self, flags: int) -> None:
        self.flags = flags
        self.model: onnx.ModelProto | None = None

    @property
    def num_inputs(self) -> int:
        assert self.model is not None
        return len(self.model.graph.input)

    @property
    def num_outputs(self) -> int:
        assert self.model is not None
        return len(self.model.graph.output)

    def get_input(self, index: int) -> Tensor:
        assert self.model is not None
        return Tensor(self.model.graph.input[index])

    def get_output(self, index: int) -> Tensor:
        assert self.model is not None
        return Tensor(self.model.graph.output[index])


class Parser:
    """`OnnxParser`."""

    def __init__(self, workshop: Workshop, network: Network) -> None:
        self._workshop, self._network = workshop, network
        self.num_errors = 0

    def parse(self, content: bytes) -> bool:
        model = onnx.load_from_string(content)
        self._workshop.models.append(model)
        self._network.model = model
        self.num_errors = len(self._workshop.parse_errors)
        return not self.num_errors

    def get_error(self, index: int) -> ParserError:
        position, name, operator, text = self._workshop.parse_errors[index]
        error = ParserError(position, text)
        if self._workshop.trt.rtx or self._workshop.trt.numbers >= (10,):
            error.node_name = lambda: name  # type: ignore[attr-defined]
            error.node_operator = lambda: operator  # type: ignore[attr-defined]
        return error


class ParserError:
    """`IParserError`."""

    def __init__(self, position: int, text: str) -> None:
        self._position, self._text = position, text

    def node(self) -> int:
        return self._position

    def desc(self) -> str:
        return self._text


class Profile:
    """`IOptimizationProfile`."""

    def __init__(self) -> None:
        self.shapes: dict[str, tuple[Any, ...]] = {}

    def set_shape(self, name: str, smallest: Any, best: Any, largest: Any) -> None:
        self.shapes[name] = (smallest, best, largest)


class TimingCache:
    """`ITimingCache`: a GPU's name and what was measured on it."""

    def __init__(self, gpu: str, entries: int) -> None:
        self.gpu, self.entries = gpu, entries

    def serialize(self) -> bytes:
        return CACHE_MAGIC + json.dumps([self.gpu, self.entries]).encode()


class Config:
    """`IBuilderConfig`; attributes that the version lacks cannot be set."""

    def __init__(self, workshop: Workshop) -> None:
        trt = workshop.trt
        modern = trt.rtx or trt.numbers >= (10,)
        settable = {"builder_optimization_level": 3, "plugins_to_serialize": []}
        if modern:
            settable["progress_monitor"] = None
        if trt.rtx:
            settable["num_compute_capabilities"] = 0
        else:
            settable["hardware_compatibility_level"] = HardwareCompatibilityLevel.NONE
        vars(self).update(
            settable,
            settable=settable,
            workshop=workshop,
            flags={"TF32"},  # the one flag that a builder sets by itself
            pools={},
            profiles=[],
            capabilities={},
            cache=None,
        )

    def __setattr__(self, name: str, value: Any) -> None:
        assert name in self.settable, f"IBuilderConfig has no {name} here"
        vars(self)[name] = value

    def __getattr__(self, name: str) -> Any:  # for the type checker: all lie in vars
        raise AttributeError(name)

    def set_flag(self, flag: IntEnum) -> None:
        self.flags.add(flag.name)

    def clear_flag(self, flag: IntEnum) -> None:
        self.flags.discard(flag.name)

    def set_memory_pool_limit(self, pool: MemoryPoolType, size: int) -> None:
        self.pools[pool.name] = size

    def set_compute_capability(self, capability: ComputeCapability, index: int) -> None:
        assert index < self.num_compute_capabilities
        self.capabilities[index] = capability.name

    def add_optimization_profile(self, profile: Profile) -> int:
        self.profiles.append(profile)
        return len(self.profiles) - 1

    def create_timing_cache(self, content: bytes) -> TimingCache | None:
        assert not self.workshop.trt.rtx, "RTX measures nothing"
        if not content:
            return TimingCache(self.workshop.trt.cuda.name, 0)
        if not content.startswith(CACHE_MAGIC):
            self.workshop.logger.log(Severity.ERROR, "the timing cache cannot be deserialised")
            return None
        return TimingCache(*json.loads(content[len(CACHE_MAGIC) :]))

    def set_timing_cache(self, cache: TimingCache, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch, "times of another GPU are wrong"
        if cache.gpu != self.workshop.trt.cuda.name:
            return False
        vars(self)["cache"] = cache
        return True

    def get_timing_cache(self) -> TimingCache | None:
        found: TimingCache | None = self.cache
        return found


class Builder:
    """`IBuilder`."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def create_network(self, flags: int) -> Network:
        network = Network(flags)
        self._workshop.networks.append(network)
        return network

    def create_builder_config(self) -> Config:
        config = Config(self._workshop)
        self._workshop.configs.append(config)
        return config

    def create_optimization_profile(self) -> Profile:
        return Profile()

    def build_serialized_network(self, network: Network, config: Config) -> bytes | None:
        workshop, trt = self._workshop, self._workshop.trt
        if config.cache is not None:
            config.cache.entries += 1
        if not self._report(getattr(config, "progress_monitor", None)):
            return None
        if workshop.failure:
            workshop.logger.log(Severity.ERROR, workshop.failure)
            return None
        assert network.model is not None
        model = onnx.ModelProto.FromString(network.model.SerializeToString())
        if not model.functions:  # the plugin computes: here, what it stands for
            attach_functions(model, ONE_LEVEL)
        return fake_engine(
            workshop.replacement or model.SerializeToString(),
            version=trt.__version__,
            plugin=not trt.rtx,
            embedded=bool(config.plugins_to_serialize),
            version_compatible="VERSION_COMPATIBLE" in config.flags,
        )

    def _report(self, monitor: Any) -> bool:
        """Tell the monitor; False where it wants the build to stop."""
        if self._workshop.interrupt:
            os.kill(os.getpid(), signal.SIGINT)
        if monitor is None:
            return True
        assert monitor.ready
        for name, parent, steps in PHASES:
            monitor.phase_start(name, parent, steps)
        ended = time.monotonic() + HANG_S
        for name, _, steps in reversed(PHASES):
            for step in range(steps):
                while self._workshop.interrupt and time.monotonic() < ended:
                    if not monitor.step_complete(name, step):
                        return False
                    time.sleep(0.01)
                if not monitor.step_complete(name, step):
                    return False
            monitor.phase_finish(name)
        return True


def _flags(**values: int | None) -> Any:
    """An enum of those that the version has."""
    known: Sequence[tuple[str, int]] = [(name, value) for name, value in values.items() if value is not None]
    return IntEnum("Flag", known)
