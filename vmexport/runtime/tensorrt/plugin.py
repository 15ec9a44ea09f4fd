"""The plugin that an engine needs: found, trusted, of TensorRT's own major version, loaded once a process."""

from __future__ import annotations

from vmexport.errors import EnvironmentProblem
from vmexport.ops.libraries import TRT_LIBRARY, build_fix
from vmexport.ops.loading import library_path
from vmexport.ops.schema import OPSET_VERSION, SELECTIVE_SCAN
from vmexport.runtime.tensorrt.library import TensorRT
from vmexport.runtime.tensorrt.logger import complaints
from vmexport.runtime.tensorrt.versions import has_plugin, load_plugin_library


def ensure_plugin(trt: TensorRT, purpose: str) -> None:
    """Have the operators registered as plugins; a library that the process already loaded serves.

    Args:
        trt: the library.
        purpose: what needs the plugin, for the error.

    Raises:
        EnvironmentProblem: not built, not to be trusted, of another TensorRT, or it does not load.
    """
    if not trt.features.plugins:
        raise EnvironmentProblem(
            f"{purpose} needs a plugin",
            f"{trt.name} has none",
            "vmexport trt MODEL --runtime rtx   builds without",
        )
    if has_plugin(trt, SELECTIVE_SCAN, str(OPSET_VERSION)):
        return
    path = library_path(TRT_LIBRARY, trt.features.major)
    if path is None:
        raise EnvironmentProblem(
            f"{purpose} needs the TensorRT plugin",
            f"{TRT_LIBRARY} for TensorRT {trt.features.major} is not built",
            build_fix(TRT_LIBRARY),
        )
    with complaints(trt) as heard:
        load_plugin_library(trt, path, heard)
