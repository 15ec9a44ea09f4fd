"""The builder's settings. Whatever a version cannot do is refused here, before any work is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vmexport.errors import EnvironmentProblem, UsageError
from vmexport.export.trt.settings import OFF, EngineRequest
from vmexport.export.trt.target import Target
from vmexport.native.libraries import TRT_LIBRARY, build_fix
from vmexport.runtime.tensorrt.features import TensorRT
from vmexport.runtime.tensorrt.logger import complaints, reason, trt_logger
from vmexport.runtime.tensorrt.versions import (
    check_precision,
    embed_plugin,
    set_compute_capabilities,
    set_hardware_compatibility,
    set_version_compatible,
)


def new_builder(trt: TensorRT) -> Any:
    """An `IBuilder`.

    Raises:
        EnvironmentProblem: TensorRT makes none, for instance because the driver is too old for it.
    """
    with complaints(trt) as heard:
        try:
            return trt.module.Builder(trt_logger(trt.module))
        except Exception as error:  # the binding raises TypeError where C++ returns null
            raise EnvironmentProblem(
                f"{trt.name} cannot build here",
                reason(heard, str(error)),
                "look at nvidia-smi: the driver must serve this TensorRT's CUDA",
            ) from error


def new_config(
    trt: TensorRT, builder: Any, settings: EngineRequest, target: Target, plugin: Path | None
) -> Any:
    """An `IBuilderConfig` with all that does not depend on the model.

    Args:
        trt: the library.
        builder: its builder.
        settings: what was asked for.
        target: the GPUs to build for.
        plugin: the plugin library, which `settings.embed_plugin` needs.

    Raises:
        UsageError: this TensorRT has no such setting.
        EnvironmentProblem: the plugin shall be embedded and is not there as a file.
    """
    if settings.precision is not None:
        check_precision(trt, settings.precision)
    if settings.timing_cache not in (None, OFF) and not trt.features.timing_cache:
        raise UsageError(
            f"{trt.name} has no timing cache",
            "it measures nothing while it builds",
            "leave --timing-cache out",
        )
    config = builder.create_builder_config()
    if settings.opt_level is not None:
        config.builder_optimization_level = settings.opt_level
    if trt.features.named_capabilities or settings.compute_capabilities:
        set_compute_capabilities(trt, config, target.capabilities)
    set_hardware_compatibility(trt, config, settings.hardware_compatibility)
    if settings.version_compatible:
        set_version_compatible(trt, config)
    if settings.embed_plugin:
        if plugin is None:
            why = f"the operators were registered by a library other than {TRT_LIBRARY}"
            raise EnvironmentProblem("there is no plugin library to embed", why, build_fix(TRT_LIBRARY))
        embed_plugin(config, plugin)
    return config


def set_workspace(trt: TensorRT, config: Any, size: int | None) -> None:
    """Bound the scratch space of a kernel; None leaves TensorRT's own bound."""
    if size is not None:
        config.set_memory_pool_limit(trt.module.MemoryPoolType.WORKSPACE, size)
