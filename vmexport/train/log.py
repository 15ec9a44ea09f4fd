"""The record of a run: one JSON line a step and an epoch, a CSV of the epochs, TensorBoard where wanted."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Literal

import msgspec

from vmexport.documents import fit
from vmexport.files import atomic_write, explain_write_error
from vmexport.opening import read_bytes
from vmexport.train.request import EpochRecord

LOG = "log.jsonl"
TABLE = "epochs.csv"
LARGEST_LOG_BYTES = 1 << 30


class RunLog:
    """Writes a run's record.

    Args:
        out: the run's folder.
        step: step that the run goes on from; what an interrupted run wrote beyond it is taken back.
        epoch: epochs that had ended by then; a run may be taken up between an epoch's last step and its end.
        tensorboard: write event files too.

    Raises:
        InputError: the folder is not writable.
        BuildError: the disk is full.
    """

    def __init__(self, out: Path, step: int, epoch: int, tensorboard: bool = False) -> None:
        self.out, self.path = out, out / LOG
        kept = [
            line
            for line in _lines(self.path)
            if line["step"] <= step and (line["kind"] != "epoch" or line["epoch"] <= epoch)
        ]
        self.epochs = [_epoch(line) for line in kept if line["kind"] == "epoch"]
        with atomic_write(self.path) as temporary:
            temporary.write_text("".join(f"{json.dumps(line)}\n" for line in kept), encoding="utf-8")
        self._board = _board(out, step) if tensorboard else None

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Note one optimiser step."""
        self._append({"kind": "step", "step": step, **values})
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(f"step/{name}", value, step)

    def epoch(self, record: EpochRecord) -> None:
        """Note one epoch, and write the table of all."""
        self.epochs.append(record)
        self._append({"kind": "epoch", **asdict(record)})
        with (
            atomic_write(self.out / TABLE) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            table = csv.DictWriter(file, [field.name for field in fields(EpochRecord)])
            table.writeheader()
            table.writerows(asdict(one) for one in self.epochs)
        if self._board is not None:
            for name, value in asdict(record).items():
                if isinstance(value, float):
                    self._board.add_scalar(f"epoch/{name}", value, record.step)
            self._board.flush()

    def close(self) -> None:
        """Let go of TensorBoard's file."""
        if self._board is not None:
            self._board.close()

    def _append(self, entry: Mapping[str, Any]) -> None:
        """One line at the end of the log."""
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
        except OSError as error:
            raise explain_write_error(error, self.path) from error


def _lines(path: Path) -> Sequence[dict[str, Any]]:
    """The whole lines of a log; a killed process may have left half of one at its end."""
    if not path.is_file():
        return []
    found = []
    for text in read_bytes(path, LARGEST_LOG_BYTES).decode("utf-8", errors="replace").splitlines():
        try:
            line = fit(json.loads(text), dict[str, Any])  # a step's figures may be infinite
            kind = fit(line, _Line).kind
            if kind == "epoch":
                _epoch(line)
        except (ValueError, RecursionError):
            continue
        found.append(line)
    return found


class _Line(msgspec.Struct):
    """What every line of a log has."""

    kind: Literal["step", "epoch"]
    step: int


def _epoch(line: Mapping[str, Any]) -> EpochRecord:
    """An epoch's record out of its line.

    Raises:
        ValueError: it is none.
    """
    return fit(line, EpochRecord)


def _board(out: Path, step: int) -> Any:
    """TensorBoard's writer; whatever it has of later steps is hidden."""
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(out / "tensorboard"), purge_step=step + 1)
