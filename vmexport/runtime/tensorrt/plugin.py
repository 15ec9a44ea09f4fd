"""The plugin that an engine needs: found, trusted, of TensorRT's own major version, loaded once a process."""

from __future__ import annotations

import ctypes
from pathlib import Path

from vmexport.errors import EnvironmentProblem, UsageError
from vmexport.native import gpu
from vmexport.native.libraries import CUDA_BUILD_FIX, TRT_LIBRARY, build_fix
from vmexport.native.loading import library_path
from vmexport.native.plugin_info import read_plugin_build
from vmexport.ops.schema import (
    ATTRIBUTES,
    CAUSAL_CONV1D,
    OLD_PLUGIN_NAMESPACE,
    OPSET_VERSION,
    PLUGIN_NAMESPACE,
    SCALE_ATTRIBUTE,
    SELECTIVE_SCAN,
)
from vmexport.runtime.tensorrt.features import TensorRT
from vmexport.runtime.tensorrt.logger import complaints
from vmexport.runtime.tensorrt.versions import load_plugin_library, plugin_attributes

REBUILD_PLUGIN = f"{CUDA_BUILD_FIX} --force"

PLUGINS = {SELECTIVE_SCAN: (*ATTRIBUTES, SCALE_ATTRIBUTE.name), CAUSAL_CONV1D: ATTRIBUTES}
"""Both plugins and the attributes that they take: by these they are told from others of the same name."""


def find_plugin(trt: TensorRT) -> Path | None:
    """The plugin library for this TensorRT, or None where none is built.

    Raises:
        EnvironmentProblem: it is there, but another user of this machine could have written it.
    """
    found = (library_path(TRT_LIBRARY, major) for major in trt.features.plugin_majors)
    return next((path for path in found if path is not None), None)


def wants_plugin(trt: TensorRT, asked: bool | None) -> bool:
    """Whether a new engine gets its scans from the plugin; otherwise function bodies compute them.

    Args:
        trt: the library.
        asked: what the user said; None: the plugin where it is needed, or where one is built.

    Raises:
        UsageError: this library cannot do without.
        EnvironmentProblem: the one that is built could have been written by another user of this machine.
    """
    if trt.features.function_bodies:
        return asked if asked is not None else trt.features.plugins and find_plugin(trt) is not None
    if asked is False:
        raise UsageError(
            f"{trt.name} builds no engine without the plugin",
            "function bodies are what TensorRT-RTX can be built with",
            "leave --no-plugin out, or build with --runtime rtx --no-plugin",
        )
    return True


def ensure_plugin(
    trt: TensorRT, purpose: str, compute_capability: str | None, namespace: str = PLUGIN_NAMESPACE
) -> Path | None:
    """Have both operators registered as plugins; those that the process has already serve.

    Args:
        trt: the library.
        purpose: what needs the plugin, for the error.
        compute_capability: of the GPU that will run it here, such as `8.7`; None: none will.
        namespace: where the engine or file looks for them; the old one is served only to who asks for it.

    Returns:
        the library, or None where it is not built and the operators came from elsewhere.

    Raises:
        EnvironmentProblem: not built, not to be trusted, for another TensorRT or GPU, it does not load, or
            another library's plugin answers to the name.
    """
    if not trt.features.plugins:
        fix = "vmexport trt MODEL --runtime rtx --no-plugin   builds an engine that needs none"
        raise EnvironmentProblem(f"{purpose} needs a plugin", f"{trt.name} has none", fix)
    path = find_plugin(trt)
    if _registered(trt, namespace):
        return path
    if path is None:
        raise EnvironmentProblem(
            f"{purpose} needs the TensorRT plugin",
            f"{TRT_LIBRARY} for TensorRT {' or '.join(map(str, trt.features.plugin_majors))} is not built",
            build_fix(TRT_LIBRARY),
        )
    check_build(path, trt, compute_capability)
    if not _registered(trt, PLUGIN_NAMESPACE):
        with complaints(trt) as heard:
            load_plugin_library(trt, path, heard)
    if namespace == OLD_PLUGIN_NAMESPACE:
        serve_old_files(path)
    return path


def _registered(trt: TensorRT, namespace: str) -> bool:
    """Whether both plugins are registered, by whatever library of vmexport.

    Raises:
        EnvironmentProblem: another library's plugin answers to the name.
    """
    found = {name: plugin_attributes(trt, name, str(OPSET_VERSION), namespace) for name in PLUGINS}
    for name, attributes in found.items():
        if attributes is not None and attributes != PLUGINS[name]:
            raise EnvironmentProblem(
                f"another library's plugin answers to {name}",
                f"registered as version {OPSET_VERSION} in the namespace {namespace!r} is one with the "
                f"attributes {', '.join(attributes) or 'none'}, expected {', '.join(PLUGINS[name])}",
                "keep that library out of this process (an import, LD_PRELOAD)",
            )
    return None not in found.values()


def serve_old_files(path: Path) -> None:
    """Have a plugin library, which is loaded already, answer to the names of before there was a namespace.

    Raises:
        EnvironmentProblem: it cannot, or another library has taken them.
    """
    try:
        function = ctypes.CDLL(str(path)).vmexport_trt_serve_old_files
    except (OSError, AttributeError) as error:
        raise EnvironmentProblem(f"{path} serves no old engines", str(error), REBUILD_PLUGIN) from error
    function.restype = ctypes.c_char_p
    problem = function()
    if problem is not None:
        raise EnvironmentProblem(
            f"{path} cannot serve an engine of an older vmexport",
            problem.decode(errors="replace"),
            "build the engine again: its plugins have names of their own since then",
        )


def check_build(path: Path, trt: TensorRT, compute_capability: str | None) -> None:
    """Refuse a plugin of another TensorRT, or without code for this GPU.

    Raises:
        EnvironmentProblem: expected and got.
    """
    build = read_plugin_build(path)
    majors = trt.features.plugin_majors
    if build.major not in majors:
        raise EnvironmentProblem(
            f"{path} belongs to another TensorRT",
            f"it was built for TensorRT {build.tensorrt}, here is {trt.name}",
            f"{REBUILD_PLUGIN}   (with the headers of TensorRT {majors[0]}: TENSORRT_INCLUDE_DIR)",
        )
    if compute_capability is None:
        return
    if not gpu.covers(build.architectures, compute_capability.replace(".", "")):
        raise EnvironmentProblem(
            f"{path} has no code for this GPU",
            f"it was built for {build.architectures}, the GPU has compute capability {compute_capability}",
            REBUILD_PLUGIN,
        )
