"""`ablate`: a table of the paper on any data set, one training run and one evaluation a row."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import torch

from vmexport.config import ModelInfo
from vmexport.config.flops import count, count_parameters
from vmexport.config.progress import Progress
from vmexport.documents import fit, read_json
from vmexport.errors import InputError, UsageError, VmexportError, brief
from vmexport.eval.ablation_plan import EMBEDDING, WIDTH, Variant
from vmexport.eval.ablation_plan import table as paper_table
from vmexport.eval.evaluation import evaluate
from vmexport.eval.request import EvaluationRequest
from vmexport.files import atomic_write
from vmexport.model import load_checkpoint
from vmexport.train import TrainingRequest
from vmexport.train.plan import Plan, make_plan
from vmexport.train.request import ordered
from vmexport.train.run import train_model

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from vmexport.train.request import TrainingOptions

FOLDER = Path("ablation")
"""Where the rows of a table lie, below its number, unless a caller says otherwise."""

RESULT = "ablation.json"
"""File in a finished row's folder, by which a second call knows that it is done."""


@dataclass(frozen=True)
class AblationRow:
    """One trained and evaluated variant.

    Attributes:
        name: of the variant, and of its folder.
        cells: what stands in the paper's row before the figures.
        top1: share of validation videos that are right, 0 to 1.
        videos: number of them.
        paper_macs: the paper's "GFLOPs", in single multiply-accumulates: in_proj, out_proj, patch embedding.
        parameters: learned numbers.
        epochs: passes over the training videos.
        seed: of the run.
        seconds: training and evaluation.
    """

    name: str
    cells: tuple[str, ...]
    top1: float
    videos: int
    paper_macs: int
    parameters: int
    epochs: int
    seed: int
    seconds: float


@dataclass(frozen=True)
class AblationReport:
    """A table of the paper, measured on the user's data.

    Attributes:
        table: its number in the paper.
        title: what is compared.
        columns: heads of the rows' cells.
        costs: whether the paper prints "GFLOPs" in it.
        data: the data set.
        rows: in the paper's order.
        notes: remarks, in sentences.
    """

    table: int
    title: str
    columns: tuple[str, ...]
    costs: bool
    data: str
    rows: tuple[AblationRow, ...]
    notes: tuple[str, ...] = ()


def ablate(
    table: int,
    data: Path | str | None = None,
    *,
    views: str = EvaluationRequest.views,
    request: TrainingRequest | None = None,
    progress: Progress | None = None,
    **options: Unpack[TrainingOptions],
) -> AblationReport:
    """Train and evaluate every variant of one of the paper's ablation tables.

    All variants have the card's recipe and seed. Each row has a folder of its own in `out`: a second call
    takes finished rows as they are and goes on with an interrupted one.

    Args:
        table: 2 (scan order), 3 (positional embedding), 5 (frames) or 6 (width).
        data: a data set in any published format; None: that of `request`, or else the one of this folder.
        views: test views of the evaluation, clips x crops.
        request: how each variant is trained, made beforehand; None takes the defaults. `resume` and `publish`
            are not used.
        progress: told what is being done.
        **options: fields of `TrainingRequest` that differ; `out` is the folder of all rows, by default
            `ablation/table-N`.

    Raises:
        UsageError: no such table, a setting that does not fit, or a start that makes all rows the same.
        InputError: data, card or start cannot be used, or a row was made with other settings.
        Interrupted: a signal asked to stop; the same call goes on.
    """
    chosen = paper_table(table)
    request = ordered(data, request, options)
    _check_start(table, request)
    out = Path(request.out) if request.out is not None else FOLDER / f"table-{table}"
    say = progress or (lambda _what, _done, _total: None)
    base = replace(request, out=out / "unused", resume=None, publish=False)
    plan = make_plan(base)
    variants = chosen.rows(plan.settings.architecture, request.init is not None)
    rows = []
    for position, variant in enumerate(variants, start=1):

        def told(what: str, done: int, total: int, position: int = position) -> None:
            say(f"row {position} of {len(variants)}: {what}", done, total)

        rows.append(_row(variant, plan, out / variant.name, views, told))
    return AblationReport(
        table=chosen.number,
        title=chosen.title,
        columns=chosen.columns,
        costs=chosen.costs,
        data=str(plan.validation.root),
        rows=tuple(rows),
        notes=_notes(request, table),
    )


def _check_start(number: int, request: TrainingRequest) -> None:
    """Refuse weights from which rows that should differ would all come out the same.

    Raises:
        UsageError: widths are compared, or ways out of an image model's positions without such a model.
        InputError: the weights cannot be read.
    """
    init = request.init
    if init is None:
        return
    if number == WIDTH:
        raise UsageError(
            f"table {number} compares widths, and the weights of {init} have one",
            "every row starts from random weights",
            "leave --init out",
        )
    frames = _frames_of(request) if number == EMBEDDING else 1
    if frames != 1:
        raise UsageError(
            f"table {number} compares what becomes of an image model's positions",
            f"{init} is a video model of {frames} frames",
            "--init with an image model (Vim's), or leave it out",
        )


def _frames_of(request: TrainingRequest) -> int:
    """Frames of the model that the runs start from."""
    assert request.init is not None
    place, scale = request.init_cls_position, request.init_scale
    return load_checkpoint(request.init, num_classes=2, cls_position=place, scale=scale).architecture.frames


def _row(variant: Variant, plan: Plan, folder: Path, views: str, say: Progress) -> AblationRow:
    """Train and evaluate one variant, or read what an earlier call found."""
    base = plan.request
    changes = {f"architecture.{name}": _plain(value) for name, value in variant.changes.items()}
    settings = {**base.settings, **changes}
    request = replace(
        base,
        out=folder,
        resume="auto",
        settings=settings,
        init_position=variant.init_position or base.init_position,
        interpolate_time=base.interpolate_time or "frames" in variant.changes,
    )
    identity = _identity(request, views)
    done = _finished(folder, identity)
    if done is not None:
        return replace(done, cells=variant.cells)
    began = time.perf_counter()
    trained = train_model(request=request, progress=say)
    say("evaluating", 0, 0)
    device = "cuda" if base.device != "cpu" and torch.cuda.is_available() else "cpu"
    report = evaluate(trained.model, plan.validation, views=views, device=device)
    info: ModelInfo = load_checkpoint(trained.model).info
    row = AblationRow(
        name=variant.name,
        cells=variant.cells,
        top1=report.top1,
        videos=report.videos,
        paper_macs=count(info.architecture).paper_macs,
        parameters=count_parameters(info.architecture),
        epochs=len(trained.epochs),
        seed=plan.settings.recipe.seed,
        seconds=time.perf_counter() - began,
    )
    with atomic_write(folder / RESULT) as temporary:
        record = {"identity": identity, "row": asdict(row)}
        temporary.write_text(json.dumps(record, indent=1), encoding="utf-8")
    return row


def _plain(value: Any) -> Any:
    """A setting as a card holds it."""
    return list(value) if isinstance(value, tuple) else value


def _identity(request: TrainingRequest, views: str) -> dict[str, Any]:
    """What a finished row must have been made with."""
    return {
        "data": str(request.data),
        "videos": str(request.videos),
        "fold": request.fold,
        "config": str(request.config),
        "init": str(request.init),
        "init_cls_position": request.init_cls_position,
        "init_scale": request.init_scale,
        "init_position": request.init_position,
        "settings": json.loads(json.dumps(dict(request.settings), sort_keys=True)),
        "views": views,
    }


class _Result(msgspec.Struct):
    """What is kept of a finished row."""

    row: AblationRow
    identity: dict[str, Any]


def _finished(folder: Path, identity: Mapping[str, Any]) -> AblationRow | None:
    """The row of an earlier call, or None.

    Raises:
        InputError: it was made with other settings.
    """
    path = folder / RESULT
    if not path.is_file():
        return None
    try:
        found = fit(read_json(path), _Result)
    except (ValueError, VmexportError) as error:
        raise InputError(f"{path} is damaged", brief(error), f"rm -r {folder}") from error
    row, made_with = found.row, found.identity
    if made_with != identity:
        names = [name for name in identity if made_with.get(name) != identity[name]]
        raise InputError(
            f"{folder} holds a row that was made with other settings",
            f"they differ in {', '.join(names)}",
            "choose another --output, or remove that folder",
        )
    return row


def _notes(request: TrainingRequest, number: int) -> tuple[str, ...]:
    """What a reader of the table has to know."""
    notes = ["each row is one run with one seed: differences of a few videos mean nothing"]
    if number == EMBEDDING and request.init is None:
        notes.append("without --init there is no image model whose embedding could be expanded")
    return tuple(notes)
