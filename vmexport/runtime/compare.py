"""Two runners on the same clips: the comparison that exports and `vmexport check` share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from vmexport.config import Architecture
from vmexport.config.names import is_engine
from vmexport.errors import ParityError, UsageError
from vmexport.runtime.runner import Array, Runner
from vmexport.runtime.tolerance import TOLERANCES, Agreement, Tolerance, coarser, compare_logits

SEED = 0


@dataclass(frozen=True)
class ParityReport:
    """The outcome of a comparison.

    Attributes:
        a: name of the reference.
        b: name of the other side.
        precision: of the less precise side; it chose the tolerance.
        tolerance: the limits.
        batches: agreement at each batch that was run.
        first_difference: the first stage that differs (`embedding`, `block_03`, `head`), where a bisection
            was asked for and the comparison failed; otherwise empty.
        differences: what makes another answer of the same logits (labels, preprocessing), in sentences.
        remarks: what else the two say differently of themselves, or of their own comparison, in sentences.
    """

    a: str
    b: str
    precision: str
    tolerance: Tolerance
    batches: tuple[Agreement, ...]
    first_difference: str = ""
    differences: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the two give the same answers: the same function, described in the same way."""
        return self.same_function and not self.differences

    @property
    def same_function(self) -> bool:
        """Whether every batch is finite and within the tolerance."""
        return all(batch.within(self.tolerance) for batch in self.batches)

    @property
    def reason(self) -> str:
        """Why it failed, in one sentence; empty where it passed."""
        bad = next((batch for batch in self.batches if not batch.within(self.tolerance)), None)
        if bad is None:
            return "; ".join(self.differences)
        if not bad.finite:
            return f"batch {bad.batch}: NaN or infinite logits"
        return (
            f"batch {bad.batch}: difference {bad.max_abs:.3g}, relative {bad.max_rel:.3g} (limit "
            f"{self.tolerance.relative:g}), cosine {bad.cosine:.7f} (limit {self.tolerance.cosine:g})"
        )

    def require(self) -> None:
        """Raise where the comparison failed.

        Raises:
            ParityError: with the first batch that differs and, after a bisection, the first block.
        """
        if self.passed:
            return
        if self.same_function:
            raise ParityError(
                f"{self.b} computes the same as {self.a}, but does not give the same answers",
                self.reason,
                f"make {self.b} again from the file whose labels and preprocessing are right",
            )
        what = f"{self.b} does not compute the same as {self.a}"
        if self.first_difference:
            where = f"{self.reason}; the first stage that differs is {self.first_difference}"
            raise ParityError(what, where, "export again, or compare that block's weights")
        fix = f"find the first block that differs: vmexport check MODEL {self.b} --bisect"
        if is_engine(self.b):  # an engine shows no blocks
            fix = f"compare the .onnx file it was built from, or build again: vmexport trt MODEL -o {self.b}"
        raise ParityError(what, self.reason, fix)


def random_clips(architecture: Architecture, batch: int, seed: int = SEED) -> Array:
    """Clips `(B, 3, T, H, W)` float32 of standard normal noise, the scale of normalised frames."""
    generator = np.random.default_rng(seed)
    return generator.standard_normal((batch, *architecture.clip_shape), dtype=np.float32)


def compare_runners(
    a: Runner,
    b: Runner,
    *,
    clips: Array | None = None,
    batches: Sequence[int] | None = None,
    tolerance: Tolerance | None = None,
    progress: Callable[[int], None] | None = None,
) -> ParityReport:
    """Run two open runners on the same clips and compare their logits.

    Args:
        a: the reference, open.
        b: the other side, open.
        clips: `(B, 3, T, H, W)` float32; by default seeded noise at every batch of `batches`.
        batches: batch sizes; by default minimum, optimum, maximum and one between of the profile.
        tolerance: by default that of the less precise side.
        progress: called with each batch before it runs.

    Returns:
        the report; `report.require()` raises where it failed.

    Raises:
        ParityError: the two do not even take the same clips or know the same number of classes.
        UsageError: both clips and batches are given.
    """
    if clips is not None and batches is not None:
        raise UsageError("give clips or batches, not both", "", "drop batches: clips bring their own")
    _check_same_task(a, b)
    precision = coarser(a.info.precision, b.info.precision)
    results = []
    for batch in [len(clips)] if clips is not None else batches or common_batches(a, b):
        if progress is not None:
            progress(batch)
        inputs = clips if clips is not None else random_clips(a.info.architecture, batch)
        results.append(compare_logits(a(inputs), b(inputs)))
    return ParityReport(
        a=a.source,
        b=b.source,
        precision=precision,
        tolerance=tolerance or TOLERANCES[precision],
        batches=tuple(results),
    )


def common_batches(a: Runner, b: Runner) -> tuple[int, ...]:
    """Batches to probe that both sides take.

    Raises:
        ParityError: the two profiles share no probe.
    """
    bounded = [runner.info.profile for runner in (a, b) if runner.bounded]
    if not bounded:
        return a.info.profile.probes()
    wanted: Iterable[int] = sorted({batch for profile in bounded for batch in profile.probes()})
    found = tuple(batch for batch in wanted if all(batch in profile for profile in bounded))
    if not found:
        raise ParityError(
            f"{a.source} and {b.source} take no common batch", " and ".join(f"profile {p}" for p in bounded)
        )
    return found


def _check_same_task(a: Runner, b: Runner) -> None:
    """Both must take the same clips and know the same number of classes."""
    for name in ("clip_shape", "num_classes"):
        ours, theirs = getattr(a.info.architecture, name), getattr(b.info.architecture, name)
        if ours != theirs:
            raise ParityError(
                f"{a.source} and {b.source} are different models", f"{name} is {ours} against {theirs}"
            )
