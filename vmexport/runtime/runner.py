"""What every runner shares: it exists between enter and exit, and it validates clips once, here."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vmexport.config import ModelInfo
from vmexport.errors import InputError, ShapeError, UsageError

if TYPE_CHECKING:
    from typing_extensions import Self

Array = NDArray[np.float32]

INPUT_NAME, OUTPUT_NAME = "clips", "logits"
"""Names of the one input and the one output of every exported file and engine."""


class Runner(ABC):
    """A model ready to classify clips; use it as `with open_runner(...) as run: logits = run(clips)`.

    Memory and threads of the backend are held only between enter and exit. A closed runner may be
    entered again. An open one may be entered once more, here or in another thread, and stays open until
    everybody has left it and no call is running. Several threads may call it. A copy (`copy`, `pickle`) is a
    closed runner of the same model, to be opened wherever it was brought.

    Args:
        source: name of the file or preset, for messages.
    """

    concurrent: ClassVar[bool] = True
    """Whether the backend computes several calls at a time; otherwise they wait for each other."""

    bounded: ClassVar[bool] = True
    """Whether only batches of `info.profile` are served; PyTorch takes any."""
    rebuild: ClassVar[str] = "vmexport onnx MODEL"
    """The command that, with another `--batch`, makes a file that serves it."""

    _arguments: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *arguments: Any, **named: Any) -> Self:
        """Remember the arguments, of which a copy is made."""
        runner = super().__new__(cls)
        runner._arguments = (arguments, named)
        return runner

    def __reduce__(self) -> tuple[Any, ...]:
        arguments, named = self._arguments
        return _new_runner, (type(self), arguments, named)

    def __init__(self, source: str) -> None:
        self.source = source
        self._info: ModelInfo | None = None
        self._entered = self._running = 0
        self._state = threading.Lock()  # of the three above
        self._turn: AbstractContextManager[Any] = nullcontext() if self.concurrent else threading.Lock()

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

    def __enter__(self) -> Self:
        with self._state:
            if self._info is None:
                self._info = self._open()
            self._entered += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._state:
            self._entered = max(0, self._entered - 1)
            self._close_unless_used()

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
        with self._in_use() as info:
            check_clips(array, info, self.source, bounded=self.bounded, rebuild=self.rebuild)
            with self._turn:
                return self._run(np.ascontiguousarray(array))

    @contextmanager
    def _in_use(self) -> Iterator[ModelInfo]:
        """Keep an open runner open, whoever leaves it meanwhile."""
        with self._state:
            if not self._entered or self._info is None:
                raise _not_open(self.source)
            info = self._info
            self._running += 1
        try:
            yield info
        finally:
            with self._state:
                self._running -= 1
                self._close_unless_used()

    def _close_unless_used(self) -> None:
        """Close an open runner that nobody is in and that computes nothing."""
        if self._info is not None and not self._entered and not self._running:
            self._info = None
            self._close()

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


def _new_runner(kind: type[Runner], arguments: tuple[Any, ...], named: dict[str, Any]) -> Runner:
    """The closed runner that a copy is."""
    return kind(*arguments, **named)


def _not_open(source: str) -> UsageError:
    """The error for use outside of `with`."""
    return UsageError(
        f"the runner of {source} is not open",
        "a runner holds its session only between enter and exit",
        f"with open_runner({source!r}) as run: logits = run(clips)",
    )
