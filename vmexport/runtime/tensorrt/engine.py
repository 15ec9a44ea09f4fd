"""Loading an engine into TensorRT, every failure translated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vmexport.config import ModelInfo
from vmexport.errors import EnvironmentProblem, InputError
from vmexport.native.libraries import TRT_LIBRARY, build_fix
from vmexport.runtime.runner import INPUT_NAME, OUTPUT_NAME
from vmexport.runtime.tensorrt.features import TensorRT
from vmexport.runtime.tensorrt.logger import complaints, raise_for_memory, reason, trt_logger
from vmexport.runtime.tensorrt.sidecar import REBUILD, EngineInfo
from vmexport.runtime.tensorrt.versions import allow_host_code

LESS_MEMORY = (
    "close other programs (see: nvidia-smi), or build for a smaller batch: vmexport trt MODEL --batch 1"
)


@dataclass
class LoadedEngine:
    """An engine in the GPU's memory.

    Attributes:
        trt: the library.
        runtime: its `IRuntime`, which must outlive the engine.
        engine: the `ICudaEngine`.
    """

    trt: TensorRT
    runtime: Any
    engine: Any


def load_engine(trt: TensorRT, content: bytes, info: EngineInfo, source: str) -> LoadedEngine:
    """Deserialise an engine that was found fit for this machine.

    Args:
        trt: the library.
        content: the engine file.
        info: its sidecar.
        source: its name in messages.

    Raises:
        OutOfMemory: the GPU's memory does not suffice.
        EnvironmentProblem: TensorRT refuses it.
        InputError: it takes or gives other tensors than its sidecar says.
    """
    runtime = engine = None
    with complaints(trt) as heard:
        try:
            runtime = trt.module.Runtime(trt_logger(trt.module))
            if info.version_compatible:
                allow_host_code(trt, runtime)
            engine = runtime.deserialize_cuda_engine(content)
        except Exception as error:  # the bindings raise TypeError and RuntimeError where C++ returns null
            heard.append(str(error))
    if engine is None:
        raise_for_memory(heard, f"not enough GPU memory to open {source}", LESS_MEMORY)
        raise _refused(trt, heard, info, source)
    _check_tensors(trt, engine, info.model, source)
    return LoadedEngine(trt, runtime, engine)


def _refused(trt: TensorRT, heard: list[str], info: EngineInfo, source: str) -> EnvironmentProblem:
    """The error for an engine that TensorRT does not take."""
    text = " ".join(heard).lower()
    rebuild = REBUILD.format(path=source)
    if info.plugin is not None and ("plugin" in text or "creator" in text):
        return EnvironmentProblem(
            f"{trt.name} does not find the plugin of {source} in {TRT_LIBRARY}",
            reason(heard),
            f"{build_fix(TRT_LIBRARY)}, then {rebuild}",
        )
    return EnvironmentProblem(f"{trt.name} cannot load {source}", reason(heard), rebuild)


def _check_tensors(trt: TensorRT, engine: Any, model: ModelInfo, source: str) -> None:
    """Names, types and sizes must be those that buffers are made for."""
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    expected = {
        INPUT_NAME: (*model.architecture.clip_shape,),
        OUTPUT_NAME: (model.architecture.num_classes,),
    }
    found = {name: tuple(engine.get_tensor_shape(name))[1:] for name in names}
    types = {name: engine.get_tensor_dtype(name) for name in names}
    if found != expected or any(kind != trt.module.DataType.FLOAT for kind in types.values()):
        got = ", ".join(f"{name} (B, {', '.join(map(str, found[name]))}) {types[name]}" for name in names)
        wanted = ", ".join(f"{name} (B, {', '.join(map(str, shape))})" for name, shape in expected.items())
        why = f"expected {wanted}, both float32, got {got}"
        raise InputError(f"{source} is not an engine of vmexport", why, REBUILD.format(path=source))
