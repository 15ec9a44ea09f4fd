"""Whether an engine belongs to this machine: refused before any of it is loaded."""

from __future__ import annotations

from vmexport.errors import EnvironmentProblem
from vmexport.runtime.tensorrt.device import Gpu
from vmexport.runtime.tensorrt.features import TensorRT, flavour_name, version_tuple
from vmexport.runtime.tensorrt.library import MODULES
from vmexport.runtime.tensorrt.sidecar import REBUILD, EngineInfo
from vmexport.runtime.tensorrt.versions import AMPERE_PLUS

AMPERE = (8, 0)
SAME_PARTS = 3
"""Parts of a version that must be equal; the fourth, a build number, does not change the engine format."""


def check_version(info: EngineInfo, trt: TensorRT, source: str) -> None:
    """Refuse an engine of another TensorRT.

    A version-compatible engine runs on newer versions too; of the same major version only, unless its plugin
    travels inside, because a plugin library belongs to one.

    Raises:
        EnvironmentProblem: expected and got.
    """
    built, here = version_tuple(info.version), version_tuple(trt.version)
    if info.flavour == trt.flavour:
        if built[:SAME_PARTS] == here[:SAME_PARTS]:
            return
        may_cross = info.plugin is None or info.plugin.embedded
        if info.version_compatible and here >= built and (may_cross or here[0] == built[0]):
            return
    needed = flavour_name(info.flavour, info.version)
    package = MODULES[info.flavour].replace("_", "-")
    also = " or newer" if info.version_compatible and here < built else ""
    raise EnvironmentProblem(
        f"{source} was built by another TensorRT",
        f"it needs {needed}{also}, here is {trt.name}",
        f"{REBUILD.format(path=source)}   (or: pip install {package}=={info.version})",
    )


def check_gpu(info: EngineInfo, gpu: Gpu, source: str) -> None:
    """Refuse an engine of another kind of GPU.

    Raises:
        EnvironmentProblem: expected and got.
    """
    if gpu.compute_capability in info.compute_capabilities:
        return
    everywhere = info.hardware_compatibility == AMPERE_PLUS
    if everywhere and tuple(map(int, gpu.compute_capability.split("."))) >= AMPERE:
        return
    built_on = f" ({info.gpu})" if info.gpu else ""
    wanted = "8.0 or newer" if everywhere else " or ".join(info.compute_capabilities)
    raise EnvironmentProblem(
        f"{source} was built for another GPU",
        f"it needs compute capability {wanted}{built_on}, here is {gpu.compute_capability} ({gpu.name})",
        f"{REBUILD.format(path=source)}   (engines are not portable; the .onnx file is)",
    )


def remarks(info: EngineInfo, gpu: Gpu) -> tuple[str, ...]:
    """What does not forbid the engine and may slow it down."""
    if info.gpu and info.gpu != gpu.name:
        return (f"built on {info.gpu}, runs on {gpu.name}: an engine of its own may be faster",)
    return ()
