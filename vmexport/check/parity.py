"""`check_parity`: do two artefacts compute the same function? It fails, it never just warns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vmexport.check.descriptions import differing_answers, remarks
from vmexport.config.progress import Say
from vmexport.runtime import open_runner
from vmexport.runtime.compare import ParityReport, compare_runners, random_clips
from vmexport.runtime.runner import Array, Runner
from vmexport.runtime.tolerance import Tolerance

if TYPE_CHECKING:
    from vmexport.model import VideoMamba


def check_parity(
    a: VideoMamba | Path | str,
    b: VideoMamba | Path | str,
    *,
    clips: Array | None = None,
    batches: Sequence[int] | None = None,
    tolerance: Tolerance | None = None,
    bisect: bool = False,
    library: str = "auto",
    threads: int = 0,
    progress: Say | None = None,
) -> ParityReport:
    """Compare two models: finite first, then differences, cosine and first class, at every batch.

    Labels and preprocessing are compared too: with others, the same logits are another answer.

    Args:
        a: the reference: a `VideoMamba`, a checkpoint, an `.onnx` file, an engine, or a preset's name.
        b: the other side, in any of these forms.
        clips: `(B, 3, T, H, W)` float32, normalised; by default seeded noise.
        batches: by default minimum, optimum, maximum and one between of the profiles.
        tolerance: by default that of the less precise side (`vmexport.runtime.tolerance.TOLERANCES`).
        bisect: where the comparison fails, name the first stage whose output differs.
        library: for `.onnx` sides: "auto", "off" or "require", as in `open_runner`.
        threads: threads within an operator; 0 stands for the cores this process may use.
        progress: called with a few words at the start of each step.

    Returns:
        the report; `report.passed` tells, `report.require()` raises `ParityError` (exit code 6).

    Raises:
        ParityError: the two are different models: other clips, other classes, no common batch.
        InputError, EnvironmentProblem: one of the two cannot be opened.
        UsageError: both `clips` and `batches` are given, or `bisect` with an engine.
    """
    say = progress or (lambda _: None)
    say("opening both models")
    with _open(a, library, threads) as ours, _open(b, library, threads) as theirs:
        if bisect:
            from vmexport.check.bisect import first_difference, require_blocks  # needs torch

            require_blocks(ours, theirs)
        report = compare_runners(
            ours,
            theirs,
            clips=clips,
            batches=batches,
            tolerance=tolerance,
            progress=lambda batch: say(f"comparing at batch {batch}"),
        )
        report = replace(
            report, differences=differing_answers(ours.info, theirs.info), remarks=remarks(ours, theirs)
        )
        if report.same_function or not bisect:
            return report
        say("looking for the first block that differs")
        bad = next(result.batch for result in report.batches if not result.within(report.tolerance))
        inputs = clips if clips is not None else random_clips(ours.info.architecture, bad)
        return replace(report, first_difference=first_difference(ours, theirs, inputs, report.tolerance))


def _open(model: VideoMamba | Path | str, library: str, threads: int) -> Runner:
    """A runner that also takes files marked as failed: those are the ones worth looking into."""
    return open_runner(model, library=library, threads=threads, allow_failed=True)
