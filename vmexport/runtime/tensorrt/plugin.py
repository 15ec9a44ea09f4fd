"""The plugin that an engine needs: found, trusted, of TensorRT's own major version, loaded once a process."""

from __future__ import annotations

from pathlib import Path

from vmexport.errors import EnvironmentProblem
from vmexport.native import gpu
from vmexport.native.libraries import CUDA_BUILD_FIX, TRT_LIBRARY, build_fix
from vmexport.native.loading import library_path
from vmexport.native.plugin_info import read_plugin_build
from vmexport.ops.schema import CAUSAL_CONV1D, OPSET_VERSION, SELECTIVE_SCAN
from vmexport.runtime.tensorrt.features import TensorRT
from vmexport.runtime.tensorrt.logger import complaints
from vmexport.runtime.tensorrt.versions import has_plugin, load_plugin_library

REBUILD_PLUGIN = f"{CUDA_BUILD_FIX} --force"


def ensure_plugin(trt: TensorRT, purpose: str, compute_capability: str) -> Path | None:
    """Have both operators registered as plugins; those that the process has already serve.

    Args:
        trt: the library.
        purpose: what needs the plugin, for the error.
        compute_capability: of the GPU, such as `8.7`.

    Returns:
        the library, or None where it is not built and the operators came from elsewhere.

    Raises:
        EnvironmentProblem: not built, not to be trusted, for another TensorRT or GPU, or it does not load.
    """
    if not trt.features.plugins:
        fix = "vmexport trt MODEL --runtime rtx   builds an engine that needs none"
        raise EnvironmentProblem(f"{purpose} needs a plugin", f"{trt.name} has none", fix)
    path = library_path(TRT_LIBRARY, trt.features.major)
    if all(has_plugin(trt, name, str(OPSET_VERSION)) for name in (SELECTIVE_SCAN, CAUSAL_CONV1D)):
        return path
    if path is None:
        raise EnvironmentProblem(
            f"{purpose} needs the TensorRT plugin",
            f"{TRT_LIBRARY} for TensorRT {trt.features.major} is not built",
            build_fix(TRT_LIBRARY),
        )
    check_build(path, trt, compute_capability)
    with complaints(trt) as heard:
        load_plugin_library(trt, path, heard)
    return path


def check_build(path: Path, trt: TensorRT, compute_capability: str) -> None:
    """Refuse a plugin of another TensorRT, or without code for this GPU.

    Raises:
        EnvironmentProblem: expected and got.
    """
    build = read_plugin_build(path)
    if build.major != trt.features.major:
        raise EnvironmentProblem(
            f"{path} belongs to another TensorRT",
            f"it was built for TensorRT {build.tensorrt}, here is {trt.name}",
            f"{REBUILD_PLUGIN}   (with the headers of TensorRT {trt.features.major}: TENSORRT_INCLUDE_DIR)",
        )
    if not gpu.covers(build.architectures, compute_capability.replace(".", "")):
        raise EnvironmentProblem(
            f"{path} has no code for this GPU",
            f"it was built for {build.architectures}, the GPU has compute capability {compute_capability}",
            REBUILD_PLUGIN,
        )
