"""Device memory before a build: Jetson boards share theirs with everything else and die of it."""

from __future__ import annotations

from vmexport.errors import OutOfMemory
from vmexport.export.trt.settings import EngineSettings
from vmexport.export.trt.target import Target
from vmexport.runtime.tensorrt.library import AUTO

LARGEST_WORKSPACE_BYTES = 2 << 30
WEIGHT_COPIES = 2
"""While it builds, TensorRT holds the weights as they are and as the kernel under test wants them."""
ADVICE = (
    "close other programs (see: nvidia-smi, on a Jetson: free -h), build for a smaller batch (--batch 1), "
    "or with --fp16"
)


def workspace_bytes(settings: EngineSettings, target: Target, weight_bytes: int) -> int | None:
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
