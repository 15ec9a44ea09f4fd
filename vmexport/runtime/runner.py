"""What every runner shares: it exists between enter and exit, and it validates clips once, here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vmexport.config import ModelInfo
from vmexport.errors import InputError, ShapeError, UsageError

Array = NDArray[np.float32]

INPUT_NAME, OUTPUT_NAME = "clips", "logits"
"""Names of the one input and the one output of every exported file and engine."""


class Runner(ABC):
    """A model ready to classify clips; use it as `with open_runner(...) as run: logits = run(clips)`.

    Memory and threads of the backend are held only between enter and exit. A closed runner may be
    entered again.

    Args:
        source: name of the file or preset, for messages.
    """

    bounded: ClassVar[bool] = True
    """Whether only batches of `info.profile` are served; PyTorch takes any."""
    rebuild: ClassVar[str] = "vmexport onnx MODEL"
    """The command that, with another `--batch`, makes a file that serves it."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._info: ModelInfo | None = None

    @property
    def info(self) -> ModelInfo:
        """Architecture, labels, preprocessing and batch profile of the open model.

        Raises:
            UsageError: the runner is not open.
        """
        if self._info is None:
            raise _not_open(self.source)
        return self._info

    @property
    @abstractmethod
    def description(self) -> str:
        """What computes, in a few words, such as `ONNX Runtime 1.22, operator library`."""

    def __enter__(self) -> Runner:
        self._info = self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._info = None
        self._close()

    def __call__(self, clips: Any) -> Array:
        """Classify clips.

        Args:
            clips: `(B, 3, T, H, W)` float32, normalised, on the host: a NumPy array or what converts to one,
                such as a torch tensor; an image model takes T = 1.

        Returns:
            logits `(B, classes)` float32.

        Raises:
            ShapeError: wrong type, dtype, shape or batch.
            InputError: NaN or infinity among the values.
            UsageError: the runner is not open.
        """
        array = _as_array(clips, self.source)
        check_clips(array, self.info, self.source, bounded=self.bounded, rebuild=self.rebuild)
        return self._run(np.ascontiguousarray(array))

    @abstractmethod
    def _open(self) -> ModelInfo:
        """Take memory and threads; return what the model says of itself."""

    @abstractmethod
    def _close(self) -> None:
        """Give memory and threads back."""

    @abstractmethod
    def _run(self, clips: Array) -> Array:
        """Compute the logits of valid, contiguous clips."""


def check_clips(
    clips: NDArray[Any],
    info: ModelInfo,
    source: str,
    *,
    bounded: bool = True,
    rebuild: str = Runner.rebuild,
) -> None:
    """Refuse clips that the model of `info` does not take.

    Args:
        clips: what a user passed for `(B, 3, T, H, W)` float32, as an array.
        info: the model; its profile bounds B.
        source: name of the model in messages.
        bounded: whether B must lie in the profile; otherwise it is any number from 1.
        rebuild: the command that makes a file for another batch.

    Raises:
        ShapeError: wrong dtype, shape or batch.
        InputError: NaN or infinity among the values.
    """
    what = f"{source} cannot take these clips"
    if clips.dtype != np.float32:
        fix = "normalise frames as vmexport.predict does, then clips.astype(numpy.float32)"
        raise ShapeError(what, f"expected dtype float32, got {clips.dtype}", fix)
    shape = info.architecture.clip_shape
    if clips.ndim != 5 or clips.shape[1:] != shape:
        raise ShapeError(
            what,
            f"expected shape (B, {', '.join(map(str, shape))}) = (B, 3, T, H, W), got {clips.shape}",
            _shape_fix(clips.shape, shape),
        )
    if bounded or clips.shape[0] == 0:
        _check_batch(clips.shape[0], info, what, rebuild)
    if not np.isfinite(clips).all():
        raise InputError(
            what, "they hold NaN or infinity", "look at the source of the clips; drop broken frames"
        )


def _as_array(clips: Any, source: str) -> NDArray[Any]:
    """The array itself, or the array that an array-like object (a torch tensor) offers."""
    if isinstance(clips, np.ndarray):
        return clips
    what, fix = f"{source} cannot take these clips", "pass numpy.asarray(clips, numpy.float32)"
    if not hasattr(clips, "__array__"):
        raise ShapeError(what, f"expected a NumPy array, got {type(clips).__name__}", fix)
    try:
        return np.asarray(clips)
    except (TypeError, RuntimeError) as error:  # a tensor that needs gradients, or lies on a device
        reason = str(error).splitlines()[0]
        raise ShapeError(what, reason, "pass clips.detach().cpu().numpy()") from error


def _check_batch(batch: int, info: ModelInfo, what: str, rebuild: str) -> None:
    """Refuse a batch of nothing, or one outside the profile."""
    if batch == 0:
        raise ShapeError(what, "expected a batch of at least 1, got 0", "pass at least one clip")
    if batch not in info.profile:
        raise ShapeError(
            what,
            f"batch {batch} lies outside the profile {info.profile} of the export",
            f"run another batch, or export again with: {rebuild} --batch 1:{batch}:{batch}",
        )


def _shape_fix(got: tuple[int, ...], expected: tuple[int, ...]) -> str:
    """The likeliest way to reach the expected clip shape."""
    if got == expected:
        return "add the batch axis: clips[None]"
    if len(got) == 5 and (got[2], got[1], *got[3:]) == expected:
        return "the time and channel axes are swapped: clips.swapaxes(1, 2)"
    if len(got) == 5 and (got[4], *got[1:4]) == expected:
        return "the channels come last: numpy.moveaxis(clips, -1, 1)"
    return "sample, resize and crop as vmexport.predict does"


def _not_open(source: str) -> UsageError:
    """The error for use outside of `with`."""
    return UsageError(
        f"the runner of {source} is not open",
        "a runner holds its session only between enter and exit",
        f"with open_runner({source!r}) as run: logits = run(clips)",
    )
