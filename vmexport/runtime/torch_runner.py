"""The PyTorch runner: the frozen form of a network, on the CPU or a GPU, without gradients."""

from __future__ import annotations

import reprlib

import numpy as np
import torch

from vmexport.config import ModelInfo
from vmexport.errors import EnvironmentProblem, OutOfMemory, UsageError
from vmexport.model import VideoMamba
from vmexport.model.float32 import full_float32
from vmexport.model.freeze import FrozenVideoMamba, freeze
from vmexport.runtime.runner import Array, Runner
from vmexport.runtime.session import CPU, CUDA


class TorchRunner(Runner):
    """Runs a `VideoMamba`; any batch.

    float32 is float32: it never multiplies in TF32, whatever PyTorch is set to (`full_float32`).

    Args:
        model: the network, which is not changed, or its inference form, whose precision is then its own.
        source: name in messages.
        threads: threads of PyTorch while the runner is open; 0 leaves them alone.
        precision: "fp32" or "fp16", the precision of the frozen form.
        device: "cpu" or "cuda".

    Raises:
        UsageError: something that is no such network.

    Raises (on enter):
        EnvironmentProblem: PyTorch sees no GPU.

    Raises (on a call):
        EnvironmentProblem: the CUDA kernels are not built, or not for this GPU.
        OutOfMemory: the GPU's memory does not suffice.
    """

    bounded = False

    def __init__(
        self,
        model: VideoMamba | FrozenVideoMamba,
        source: str = "the model",
        threads: int = 0,
        precision: str = "fp32",
        device: str = CPU,
    ) -> None:
        super().__init__(source)
        if not isinstance(model, VideoMamba | FrozenVideoMamba):
            raise UsageError(
                f"cannot run {reprlib.repr(model)} as a model",
                f"expected a VideoMamba, the name of a file or of a preset, got {type(model).__name__}",
                "vmexport models lists the presets; vmexport.load_checkpoint reads a file",
            )
        self._model = model
        self._threads = threads
        self._precision = precision
        self._device = device
        self._frozen: FrozenVideoMamba | None = None
        self._threads_before = 0

    @property
    def description(self) -> str:
        """Name and version of the backend."""
        where = "" if self._device == CPU else f" on {self._device}"
        return f"PyTorch {torch.__version__.split('+')[0]}{where}"

    def block_outputs(self, clips: Array) -> list[Array]:
        """The residual stream of valid clips: after the embedding, then after every block.

        Returns:
            `depth + 1` arrays `(B, L, d)` float32.
        """
        assert self._frozen is not None
        with torch.inference_mode(), full_float32():
            streams = self._frozen.forward_blocks(torch.from_numpy(clips).to(self._device))
            return [stream.float().cpu().numpy() for stream in streams]

    def _open(self) -> ModelInfo:
        if self._device == CUDA and not torch.cuda.is_available():
            raise EnvironmentProblem(
                "PyTorch sees no GPU",
                "this PyTorch was built without CUDA"
                if torch.version.cuda is None
                else "no driver or no GPU",
                "look at nvidia-smi and pip show torch   (or go without: --device cpu)",
            )
        model = self._model
        frozen = model if isinstance(model, FrozenVideoMamba) else freeze(model, self._precision)
        self._frozen = frozen.to(self._device)
        if self._threads:
            self._threads_before = torch.get_num_threads()
            torch.set_num_threads(self._threads)
        return self._model.info

    def _close(self) -> None:
        self._frozen = None
        if self._threads_before:
            torch.set_num_threads(self._threads_before)
            self._threads_before = 0

    def _run(self, clips: Array) -> Array:
        assert self._frozen is not None
        with torch.inference_mode(), full_float32():
            try:
                logits: Array = self._frozen(torch.from_numpy(clips).to(self._device)).cpu().numpy()
            except torch.OutOfMemoryError as error:
                what, why = f"not enough GPU memory to run {self.source}", str(error).splitlines()[0]
                raise OutOfMemory(what, why, "use a smaller batch") from error
        return logits.astype(np.float32, copy=False)
