"""The GPUs that an engine is built for, whether this machine can run it, and whether its memory suffices.

Jetson boards share their memory with everything else, and die of a build that takes too much.
"""

from __future__ import annotations

from dataclasses import dataclass

from vmexport.errors import EnvironmentProblem, OutOfMemory
from vmexport.export.trt.settings import EngineRequest
from vmexport.runtime.tensorrt.device import Gpu, find_gpu, gpu_or_reason, memory_bytes
from vmexport.runtime.tensorrt.features import TensorRT
from vmexport.runtime.tensorrt.library import AUTO

DEFAULT_CAPABILITIES = ("8.6", "8.9", "12.0")
"""RTX engines of a machine without a GPU serve GeForce 30, 40 and 50."""

LARGEST_WORKSPACE_BYTES = 2 << 30
WEIGHT_COPIES = 2
"""While it builds, TensorRT holds the weights as they are and as the kernel under test wants them."""
ADVICE = (
    "close other programs (see: nvidia-smi, on a Jetson: free -h), build for a smaller batch (--batch 1), "
    "or with --fp16"
)


@dataclass(frozen=True)
class Target:
    """Where an engine is to run.

    Attributes:
        capabilities: compute capabilities that it is built for.
        gpu: the GPU that is here, or None.
        why_no_gpu: the reason; empty with a GPU.
        free_bytes: memory of the GPU that nobody holds; 0 without a GPU.
        total_bytes: its memory.
    """

    capabilities: tuple[str, ...]
    gpu: Gpu | None = None
    why_no_gpu: str = ""
    free_bytes: int = 0
    total_bytes: int = 0

    @property
    def runs_here(self) -> bool:
        """Whether this machine's GPU is one of those it is built for."""
        return self.gpu is not None and self.gpu.compute_capability in self.capabilities

    @property
    def why_not_here(self) -> str:
        """Why the engine cannot be run on this machine, in words; empty where it can."""
        if self.runs_here:
            return ""
        if self.gpu is None:
            return self.why_no_gpu
        return f"this GPU has compute capability {self.gpu.compute_capability}"


def find_target(trt: TensorRT, settings: EngineRequest) -> Target:
    """The GPUs to build for.

    Raises:
        EnvironmentProblem: TensorRT builds on the GPU itself and there is none.
    """
    named = tuple(settings.compute_capabilities)
    if trt.features.named_capabilities:
        gpu, why = gpu_or_reason()
        here = (gpu.compute_capability,) if gpu else DEFAULT_CAPABILITIES
        free, total = memory_bytes() if gpu else (0, 0)
        return Target(named or here, gpu, why, free, total)
    try:
        gpu = find_gpu()
    except EnvironmentProblem as error:
        ahead = "or build ahead of time, without a GPU: vmexport trt --runtime rtx"
        raise EnvironmentProblem(
            f"{trt.name} builds an engine on the GPU that will run it",
            f"{error.what}: {error.why}",
            f"{error.fix}   ({ahead})",
        ) from error
    free, total = memory_bytes()
    return Target(named or (gpu.compute_capability,), gpu, "", free, total)


def workspace_bytes(settings: EngineRequest, target: Target, weight_bytes: int) -> int | None:
    """Most scratch space that a kernel may take, after a look at what is free.

    Args:
        settings: `workspace` is "auto" or bytes.
        target: the GPU's memory.
        weight_bytes: size of the model.

    Returns:
        bytes, or None for no limit (an engine built ahead of time, without a GPU).

    Raises:
        OutOfMemory: what is free does not suffice; nothing was begun.
    """
    asked = None if settings.workspace == AUTO else int(settings.workspace)
    if target.gpu is None:
        return asked
    limit = asked if asked is not None else min(LARGEST_WORKSPACE_BYTES, target.free_bytes // 4)
    needed = WEIGHT_COPIES * weight_bytes + limit
    if needed > target.free_bytes:
        smaller = "" if asked is None else "--workspace auto; "
        raise OutOfMemory(
            f"not enough free GPU memory to build on {target.gpu.name}",
            f"at least {_mebibytes(needed)} are needed ({_mebibytes(limit)} of them workspace), "
            f"{_mebibytes(target.free_bytes)} of {_mebibytes(target.total_bytes)} are free",
            smaller + ADVICE,
        )
    return limit


def _mebibytes(size: int) -> str:
    """A size in MiB."""
    return f"{size / 2**20:,.0f} MiB"
