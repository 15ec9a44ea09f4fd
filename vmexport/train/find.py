"""What a run works on where the caller did not say: the data set of this folder, the run to resume."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from vmexport.config.choices import Layout
from vmexport.data import VideoIndex, open_index
from vmexport.documents import fit, read_json
from vmexport.errors import InputError, UsageError, VmexportError, brief
from vmexport.train.card import RunSettings
from vmexport.train.request import TrainingRequest
from vmexport.train.state import FOLDER, checkpoints

RUNS = Path("runs")
CONFIG = "config.json"


class Remembered(msgspec.Struct):
    """Entries of a request that a resumed run takes from the one before; older runs may lack some."""

    data: str | msgspec.UnsetType | None = msgspec.UNSET
    layout: Layout | msgspec.UnsetType = msgspec.UNSET
    videos: str | msgspec.UnsetType | None = msgspec.UNSET
    fold: int | msgspec.UnsetType = msgspec.UNSET
    init_cls_position: str | msgspec.UnsetType | None = msgspec.UNSET
    init_scale: float | msgspec.UnsetType | None = msgspec.UNSET
    init_weights: str | msgspec.UnsetType | None = msgspec.UNSET
    interpolate_space: bool | msgspec.UnsetType = msgspec.UNSET


class RunConfig(msgspec.Struct):
    """What is read of a run's `config.json`.

    Attributes:
        request: what it was asked.
        settings: its tables, as `RunSettings.from_tables` takes them.
        card: name of the card that it began with.
    """

    request: Remembered
    settings: dict[str, dict[str, Any]]
    card: str = "run"


CANDIDATES = 64
"""Folders looked at in search of a data set."""


def open_data(request: TrainingRequest) -> tuple[VideoIndex, VideoIndex, list[str]]:
    """Training and validation part of the data set, and what was decided on the way.

    Raises:
        InputError: no data set, more than one where none was named, or one that cannot be used.
    """
    notes: list[str] = []
    where = request.data
    if where is None:
        where = _only_data_set(request)
        notes.append(f"no --data was given: took the data set {where}")
    parts = [
        open_index(where, split, request.layout, videos=request.videos, fold=request.fold)
        for split in ("train", "val")
    ]
    training, validation = parts
    if training.classes != validation.classes:
        raise InputError(
            f"the parts of {where} do not have the same classes",
            f"{training.num_classes} in train, {validation.num_classes} in val",
            f"vmexport data check {where}",
        )
    notes += list(dict.fromkeys((*training.notes, *validation.notes)))
    return training, validation, notes


def _only_data_set(request: TrainingRequest) -> Path:
    """`./data`, or the only folder here that is a data set."""
    default = Path("data")
    if default.exists():
        return default
    found = [folder for folder in _folders(Path()) if _is_data_set(folder, request)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(
            "which data set?",
            f"this folder has {len(found)}: {', '.join(str(folder) for folder in found)}",
            f"vmexport train --data {found[0]}",
        )
    raise UsageError(
        "there is no data set here",
        "looked for ./data and for a folder with videos in a published format",
        "vmexport train --data DIR; to make one: vmexport data synth data",
    )


def _folders(place: Path) -> list[Path]:
    """Folders that may be data sets."""
    skipped = {"runs", "build", "__pycache__", "node_modules"}
    found = sorted(
        path for path in place.iterdir() if path.is_dir() and path.name not in skipped and path.name[0] != "."
    )
    return found[:CANDIDATES]


def _is_data_set(folder: Path, request: TrainingRequest) -> bool:
    """Whether a folder opens as one."""
    try:
        open_index(folder, "train", request.layout, videos=request.videos, fold=request.fold)
    except VmexportError:
        return False
    return True


def resumption(request: TrainingRequest) -> tuple[TrainingRequest, Path | None]:
    """Find the checkpoint to go on from, and fill the request up with what its run was given.

    Returns:
        The request with `out` set, and the checkpoint; None where a run is to begin.

    Raises:
        InputError: nothing to resume there.
    """
    if request.resume is None:
        return request, None
    if str(request.resume) == "auto":
        out = Path(request.out) if request.out is not None else _newest_run()
        if out is None or not (out / CONFIG).is_file():
            return replace(request, resume=None, out=out), None
        return _remember(request, out), _newest(out)
    path = Path(request.resume)
    if path.is_file():
        out = path.parent.parent if path.parent.name == FOLDER else path.parent
        _check_out(request, out)
        return _remember(request, out), path
    if not path.is_dir() or not (path / CONFIG).is_file():
        raise InputError(
            f"there is no run to resume in {path}",
            f"expected a folder with {CONFIG} and {FOLDER}/",
            "name the folder of a run, such as runs/synthetic-1, or use --resume auto",
        )
    _check_out(request, path)
    return _remember(request, path), _newest(path)


def _check_out(request: TrainingRequest, out: Path) -> None:
    """A resumed run stays where it is."""
    if request.out is not None and Path(request.out).resolve() != out.resolve():
        raise UsageError(
            "a resumed run stays in its folder",
            f"--resume is in {out}, --output is {request.out}",
            "leave out --output",
        )


def _newest_run() -> Path | None:
    """The run of `runs/` that was begun last."""
    runs = [path.parent for path in RUNS.glob(f"*/{CONFIG}")]
    return max(runs, key=lambda run: (run / CONFIG).stat().st_mtime, default=None)


def _newest(out: Path) -> Path:
    """The last checkpoint of a run that was begun: its settings are written after its first one.

    Raises:
        InputError: somebody removed them all.
    """
    found = checkpoints(out)
    if not found:
        raise InputError(
            f"the run {out} has no checkpoint left to resume from",
            f"{out / FOLDER} holds none",
            f"start a new run, from its best weights if it has any: --init {out}/model.safetensors",
        )
    return found[-1]


def _remember(request: TrainingRequest, out: Path) -> TrainingRequest:
    """What was not said now is as it was said before."""
    saved = read_config(out).request
    default = TrainingRequest()
    changes: dict[str, Any] = {
        name: value
        for name, value in msgspec.structs.asdict(saved).items()
        if value is not msgspec.UNSET and getattr(request, name) == getattr(default, name)
    }
    return replace(request, out=out, **changes)


def read_config(out: Path) -> RunConfig:
    """The settings that a run was begun with.

    Raises:
        InputError: the file is missing or damaged.
    """
    path = out / CONFIG
    try:
        content = fit(read_json(path), RunConfig)
        RunSettings.from_tables(content.settings)
    except (ValueError, VmexportError) as error:
        raise InputError(
            f"the settings of the run {out} cannot be read",
            f"{path}: {brief(error)}",
            "start a new run: --output DIR",
        ) from error
    return content


def new_run(name: str) -> Path:
    """The first free `runs/NAME-NUMBER`."""
    number = 1
    while (RUNS / f"{name}-{number}").exists():
        number += 1
    return RUNS / f"{name}-{number}"
