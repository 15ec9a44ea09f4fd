"""Ablations: the paper's rows for any card, each trained once, taken up again after an interruption."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from labelled import write_set
from typer.testing import CliRunner

from vmexport.cli.main import app
from vmexport.config import Architecture
from vmexport.errors import InputError, UsageError
from vmexport.eval import ablation
from vmexport.eval.ablation import RESULT, ablate
from vmexport.eval.ablation_plan import TABLES, table
from vmexport.train import TrainingRequest
from vmexport.train.run import train_model

PAPER = Architecture()
CARD = """
[architecture]
d_model = 16
depth = 1
frames = 4
size = 32
[recipe]
epochs = 1
batch_size = 3
warmup_epochs = 0
randaugment_ops = 0
"""


def test_the_papers_own_rows() -> None:
    rows = {number: TABLES[number].rows(PAPER, True) for number in TABLES}
    assert [row.changes["directions"][1] for row in rows[2]] == ["spatial", "temporal", "spatiotemporal"]
    assert all(row.changes["cls_position"] == "none" for row in rows[2])  # section 5.3
    assert [row.changes["position"] for row in rows[3]] == ["none", "sinusoidal", *["learned"] * 4]
    assert [row.init_position for row in rows[3]][2:] == [
        "random", "interpolate-space", "interpolate-dim", "expanding",
    ]  # fmt: skip
    assert [row.changes["frames"] for row in rows[5]] == [8, 16, 32]
    assert [row.changes["d_model"] for row in rows[6]] == [192, 384]
    for variants in rows.values():
        assert len({row.name for row in variants}) == len(variants)
        for row in variants:
            PAPER.with_overrides(**row.changes)  # every row is a model


def test_without_an_image_model_there_is_nothing_to_expand() -> None:
    assert [row.name for row in table(3).rows(PAPER, False)] == ["none", "sinusoidal", "learned-random"]


def test_other_tables_are_no_ablations() -> None:
    with pytest.raises(UsageError, match="2, 3, 5, 6"):
        table(4)


@pytest.fixture
def request_of_a_set(tmp_path: Path) -> TrainingRequest:
    (tmp_path / "small.toml").write_text(f'summary = "small"\nsource = "a test"\n{CARD}')
    return TrainingRequest(data=write_set(tmp_path / "set"), config=tmp_path / "small.toml", workers=0)


def test_rows_are_trained_once(
    request_of_a_set: TrainingRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[TrainingRequest] = []
    real = train_model

    def train(request: TrainingRequest, **words: Any) -> Any:
        trained.append(request)
        if len(trained) == 2:
            raise KeyboardInterrupt
        return real(request=request, **words)

    monkeypatch.setattr(ablation, "train_model", train)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        ablate(2, request=request_of_a_set, out=tmp_path / "out")
    report = ablate(2, request=request_of_a_set, out=tmp_path / "out")
    names = ["spatial", "temporal", "temporal", "spatiotemporal"]  # the interrupted one twice
    assert [Path(str(request.out)).name for request in trained] == names
    assert [row.name for row in report.rows] == ["spatial", "temporal", "spatiotemporal"]
    assert all(row.videos == 6 and 0 <= row.top1 <= 1 and row.epochs == 1 for row in report.rows)
    assert not (tmp_path / "model.safetensors").exists()
    again = ablate(2, request=request_of_a_set, out=tmp_path / "out")
    assert (again.rows, len(trained)) == (report.rows, 4)

    other = replace(request_of_a_set, settings={"recipe.seed": 1})
    with pytest.raises(InputError, match="they differ in settings"):
        ablate(2, request=other, out=tmp_path / "out")
    (tmp_path / "out" / "spatial" / RESULT).write_text("{")
    with pytest.raises(InputError, match="damaged"):
        ablate(2, request=request_of_a_set, out=tmp_path / "out")


def test_weights_that_make_all_rows_the_same_are_refused(
    request_of_a_set: TrainingRequest, tmp_path: Path, fixtures_dir: Path
) -> None:
    video = replace(request_of_a_set, init=fixtures_dir / "opengvlab_videomamba.pth")
    with pytest.raises(UsageError, match="compares widths"):
        ablate(6, request=video, out=tmp_path / "out")
    with pytest.raises(UsageError, match="an image model's positions"):
        ablate(3, request=video, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_prints_the_papers_table(
    request_of_a_set: TrainingRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["ablate", "--data", "set", "--config", "small.toml", "--table", "6"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "GFLOPs" in done.stdout
    assert " 0.0 " not in done.stdout  # a small model costs little, but not nothing
    done = CliRunner().invoke(app, [*words, "--json"])
    rows = json.loads(done.stdout)["rows"]
    assert [row["cells"] for row in rows] == [["8"], ["16"]]
    assert rows[0]["paper_macs"] < rows[1]["paper_macs"]
    assert CliRunner().invoke(app, [*words[:-1], "7"]).exit_code == 2

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ablation, "train_model", stop)
    done = CliRunner().invoke(app, [*words[:-1], "2"])
    assert done.exit_code == 130
    assert "the same command goes on" in done.stderr
