"""Equal logits are no equal answers: what the two sides say of themselves is compared and named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from small import small_architecture, small_model
from typer.testing import CliRunner

from vmexport.check import TOLERANCES, check_parity
from vmexport.cli.main import app
from vmexport.config import ModelInfo
from vmexport.errors import ExitCode, ParityError
from vmexport.export import export_onnx
from vmexport.export.metadata import load_onnx, read_info, write_info
from vmexport.model import save_checkpoint
from vmexport.runtime.compare import ParityReport
from vmexport.runtime.record import parity_record, read_record, record_fault, seal
from vmexport.runtime.tolerance import Agreement

LABELS = ("climb", "dive", "row")
Change = Callable[[ModelInfo], ModelInfo]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One network with labels as `model.safetensors` and, compared with it, as `model.onnx`."""
    path = tmp_path_factory.mktemp("descriptions")
    model = small_model(num_classes=3)
    model.info = replace(model.info, labels=LABELS)
    save_checkpoint(model, path / "model.safetensors")
    export_onnx(path / "model.safetensors", path / "model.onnx")
    return path


def changed(folder: Path, target: Path, change: Change) -> Path:
    """A copy of the ONNX file that says something else of itself."""
    model = load_onnx(folder / "model.onnx")
    write_info(model, change(read_info(folder / "model.onnx")))
    onnx.save(model, str(target))
    return target


def record(change: Callable[[dict[str, Any]], object]) -> Change:
    """What changes the parity record by hand."""

    def apply(info: ModelInfo) -> ModelInfo:
        content = json.loads(info.extra["parity"])
        change(content)
        return replace(info, extra={**info.extra, "parity": json.dumps(content)})

    return apply


def without(entry: str) -> Change:
    """What removes an entry."""
    return lambda info: replace(info, extra={key: info.extra[key] for key in info.extra if key != entry})


def test_nothing_is_named_where_nothing_differs(folder: Path) -> None:
    report = check_parity(folder / "model.safetensors", folder / "model.onnx")
    assert report.passed
    assert report.differences == report.remarks == ()
    done = CliRunner().invoke(app, ["check", str(folder / "model.safetensors"), str(folder / "model.onnx")])
    assert done.exit_code == 0
    assert "same function" in done.stdout


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda info: replace(info, labels=("climb", "row", "dive")),
            "2 of 3 labels differ: class 1 is 'dive' against 'row'",
        ),
        (
            lambda info: replace(info, preprocessing=replace(info.preprocessing, stride=4)),
            "preprocessing.stride is 2 against 4",
        ),
        (
            lambda info: replace(info, preprocessing=replace(info.preprocessing, sampling="uniform")),
            "preprocessing.sampling is dense",
        ),
        (
            lambda info: replace(info, preprocessing=replace(info.preprocessing, resize=40)),
            "preprocessing.resize is 0 against 40",
        ),
        (
            lambda info: replace(info, preprocessing=replace(info.preprocessing, mean=(0.5, 0.5, 0.5))),
            "preprocessing.mean",
        ),
        (
            lambda info: replace(info, preprocessing=replace(info.preprocessing, std=(0.5, 0.5, 0.5))),
            "preprocessing.std",
        ),
    ],
)
def test_another_answer_from_the_same_logits_fails(
    change: Change, words: str, folder: Path, tmp_path: Path
) -> None:
    path = changed(folder, tmp_path / "m.onnx", change)
    report = check_parity(folder / "model.safetensors", path)
    assert report.same_function
    assert not report.passed
    assert words in report.reason
    with pytest.raises(ParityError, match="does not give the same answers"):
        report.require()
    for more in ((), ("--json",), ("--bisect",)):
        done = CliRunner().invoke(app, ["check", str(folder / "model.safetensors"), str(path), *more])
        assert done.exit_code == ExitCode.PARITY_FAILED
        assert words in done.stderr
        assert "same function" not in done.stdout
        if more == ("--json",):
            assert words in json.loads(done.stdout)["differences"][0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("parity"), "parity record is missing"),
        (record(lambda content: content.update(reason="fine")), "changed after it was written"),
        (record(lambda content: content.pop("batches")), "changed after it was written"),
        (record(lambda content: content.pop("digest") and content.update(batches=[])), "beyond the limits"),
        (record(lambda content: content.pop("digest") and content.pop("batches")), "without its figures"),
        (
            record(lambda content: content.pop("digest") and content["batches"][0].update(max_rel=0.5)),
            "beyond the limits",
        ),
        (
            record(lambda content: content.pop("digest") and content["tolerance"].update(relative=9.0)),
            "other limits",
        ),
        (record(lambda content: content.clear()), "unknown status"),
        (lambda info: replace(info, extra={"parity": "{"}), "its parity record:"),
        (
            lambda info: replace(info, extra={"parity": seal({"status": "failed", "reason": "x"})}),
            "export failed",
        ),
        (lambda info: replace(info, labels=()), "has no labels"),
        (
            lambda info: replace(info, architecture=replace(info.architecture, depth=3)),
            "architecture.depth is 2 against 3",
        ),
    ],
)
def test_what_else_cannot_be_relied_on_is_named(
    change: Change, words: str, folder: Path, tmp_path: Path
) -> None:
    path = changed(folder, tmp_path / "m.onnx", change)
    report = check_parity(folder / "model.safetensors", path)
    assert report.passed
    assert any(words in one for one in report.remarks), report.remarks
    done = CliRunner().invoke(app, ["check", str(folder / "model.safetensors"), str(path)])
    assert done.exit_code == 0
    assert words.split()[0] in done.stdout
    assert "same function" not in done.stdout


def test_a_record_of_a_version_without_the_digest_is_taken(folder: Path) -> None:
    info = read_info(folder / "model.onnx")
    assert record_fault(record(lambda content: content.pop("digest"))(info)) == ""


def test_a_comparison_that_was_not_finite_is_written_as_json() -> None:
    nan = float("nan")
    report = ParityReport("a", "b", "fp32", TOLERANCES["fp32"], (Agreement(1, False, nan, nan, nan, 0.0),))
    info = ModelInfo(small_architecture(), extra={"parity": parity_record(report, "x")})
    assert read_record(info, "m")["status"] == "failed"
    assert "NaN or infinite" in record_fault(info)
