"""What holds for every command: --json, --output, words that complete, and one precision."""

from __future__ import annotations

import dataclasses
import inspect
import json
import shutil
import typing
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
import typer
from fake_cmake import FakeCmake
from program import vmexport
from small import small_model
from typer.testing import CliRunner

from vmexport.cli import render
from vmexport.cli.main import app
from vmexport.config.prediction import PredictionRequest
from vmexport.data import SynthSettings, synthesize
from vmexport.eval import EvaluationRequest
from vmexport.export import ExportRequest, export_onnx
from vmexport.export.trt import EngineRequest
from vmexport.model import save_checkpoint
from vmexport.native.build import BuildRequest
from vmexport.train import TrainingRequest

HEAVY = ("torch", "onnx", "onnxruntime", "onnxscript", "av", "safetensors", "numpy")
WRITERS = {"convert", "onnx", "trt", "delta", "data index", "train", "ablate"}
"""Commands that write what the user names; `data synth` is told by its argument."""

WORDS = {
    "device",
    "layout",
    "split",
    "precision",
    "runtime",
    "cuda",
    "init_position",
    "cls_position",
    "table",
}
"""Parameters that take one of a few words, in every command that has them."""

TRAIN = (
    "--data", "data", "--epochs", "1", "--device", "cpu", "--set", "recipe.batch_size=4",
    "--set", "architecture.d_model=16", "--set", "architecture.depth=1", "--set", "architecture.size=32",
    "--set", "architecture.frames=4",
)  # fmt: skip
COMMANDS = {
    "doctor": (),
    "models": (),
    "convert": ("model.safetensors", "-o", "again.safetensors"),
    "info": ("model.onnx",),
    "train": (*TRAIN, "-o", "run", "--workers", "0"),
    "onnx": ("model.safetensors", "-o", "new.onnx"),
    "trt": (
        "model.onnx",
        "--runtime",
        "rtx",
        "--compute-capability",
        "8.9",
        "--no-check",
        "-o",
        "new.engine",
    ),
    "check": ("model.safetensors", "model.onnx"),
    "bench": ("model.onnx", "--runs", "1"),
    "predict": ("model.onnx", "film.mp4"),
    "eval": ("model.onnx", "--data", "data"),
    "ablate": (*TRAIN, "--table", "6", "-o", "rows"),
    "delta": ("model.safetensors", "film.mp4", "-o", "delta.png"),
    "data check": ("data",),
    "data index": ("data", "-o", "index.json"),
    "data synth": ("made", "--clips", "8", "--classes", "2", "--size", "32", "--frames", "8"),
    "plugin build": ("--cuda", "off"),
    "plugin path": (),
    "plugin test": (),
}
"""Every command, on files of the folder below."""

REQUESTS: dict[str, type[Any]] = {
    "train": TrainingRequest,
    "ablate": TrainingRequest,
    "eval": EvaluationRequest,
    "predict": PredictionRequest,
    "onnx": ExportRequest,
    "trt": EngineRequest,
    "plugin build": BuildRequest,
    "data synth": SynthSettings,
}
"""Where the defaults of a command stand."""

runner = CliRunner()


def leaves(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every command that does something, with its words."""
    if hasattr(command, "commands"):
        for word, inner in command.commands.items():
            yield from leaves(inner, f"{name} {word}".strip())
    else:
        yield name, command


LEAVES = dict(leaves(typer.main.get_command(app)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set, a model of its classes, its ONNX file and a film."""
    path = tmp_path_factory.mktemp("conventions")
    synthesize(path / "data", SynthSettings(clips=8, classes=2, size=32, frames=8, validation=0.5))
    model = small_model(num_classes=2)
    save_checkpoint(model, path / "model.safetensors")
    export_onnx(model, path / "model.onnx", check=False)
    shutil.copy(next((path / "data").rglob("*.mp4")), path / "film.mp4")
    return path


@pytest.fixture
def here(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """That folder as the working directory, and a compiler that takes no time."""
    monkeypatch.chdir(folder)
    for name, value in FakeCmake(tmp_path).environment.items():
        monkeypatch.setenv(name, value)
    yield
    render.set_verbosity(0)


def test_every_command_is_tried() -> None:
    assert set(COMMANDS) == set(LEAVES)
    assert set(LEAVES) >= WRITERS


@pytest.mark.parametrize("name", sorted(LEAVES))
def test_options_are_called_the_same_everywhere(name: str) -> None:
    shown = {option for param in LEAVES[name].params if not param.hidden for option in param.opts}
    assert "--json" in shown
    assert ({"--output", "-o"} <= shown) == (name in WRITERS)
    assert "--out" not in shown
    if "--precision" in shown:
        assert {"--fp32", "--fp16", "--bf16"} <= shown


@pytest.mark.parametrize("name", sorted(LEAVES))
def test_one_of_few_words_is_an_enum(name: str) -> None:
    hints = typing.get_type_hints(LEAVES[name].callback)
    for parameter in WORDS & set(hints):
        kinds = typing.get_args(hints[parameter]) or (hints[parameter],)
        assert any(isinstance(kind, type) and issubclass(kind, Enum) for kind in kinds), parameter


@pytest.mark.parametrize(("name", "request_type"), REQUESTS.items())
def test_a_default_is_the_requests(name: str, request_type: type[Any]) -> None:
    fields = {field.name: field.default for field in dataclasses.fields(request_type)}
    parameters = inspect.signature(LEAVES[name].callback).parameters
    given = {
        word: one.default
        for word, one in parameters.items()
        if word in fields and one.default not in (None, inspect.Parameter.empty)
    }
    assert given
    for word, default in given.items():
        expected = fields[word] if fields[word] is not None else ""
        assert str(default) == (",".join(expected) if isinstance(expected, tuple) else str(expected)), word


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.usefixtures("here")
def test_json_is_all_of_stdout(name: str) -> None:
    if name == "trt":
        pytest.importorskip("tensorrt_rtx")
    done = runner.invoke(app, [*name.split(), *COMMANDS[name], "--json"])
    assert done.exit_code in ((0, 3) if name.startswith("plugin") else (0,)), done.stderr
    document = json.loads(done.stdout)
    assert document
    assert "─" not in done.stdout


@pytest.mark.usefixtures("here")
def test_json_of_an_error_is_nothing() -> None:
    done = runner.invoke(app, ["info", "missing.onnx", "--json"])
    assert (done.exit_code, done.stdout) == (4, "")
    assert "error: " in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["onnx", "--fp16", "--precision", "fp32"], "got --fp16 and --precision fp32"),
        (["trt", "--bf16", "--precision", "fp16"], "got --bf16 and --precision fp16"),
        (["train", "--bf16", "--fp32"], "got --fp32 and --bf16"),
        (["train", "--data", "data", "--fp16"], "training does not compute in fp16"),
        (["onnx", "model.safetensors", "--bf16"], "an ONNX file is not exported in bf16"),
        (["onnx", "--precision", "half"], "'half' is not one of fp32, fp16, bf16"),
        (["train", "-o", "a", "--out", "b"], "got --output a and --out b"),
        (["eval", "model.onnx", "--data", "data", "--layout", "kinetic"], "--layout kinetics"),
        (["predict", "model.onnx", "film.mp4", "--device", "gpu"], "'gpu' is not one of cpu, cuda"),
        (["bench", "--nonsense"], "vmexport bench --help"),
        (["--nonsense"], "--help"),
        (["benhc"], "no such command"),
    ],
)
@pytest.mark.usefixtures("here")
def test_words_that_do_not_fit_are_refused_by_our_own_printer(words: list[str], said: str) -> None:
    done = runner.invoke(app, words)
    assert done.exit_code == 2, done.stderr
    assert done.stderr.startswith(("error: ", "loading"))
    assert said in done.stderr
    assert "fix: " in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("words", [["--precision", "fp16"], ["--fp16"], ["--fp16", "--precision", "fp16"]])
@pytest.mark.usefixtures("here")
def test_precision_has_short_forms(words: list[str]) -> None:
    done = runner.invoke(
        app, ["onnx", "model.safetensors", "-o", "half.onnx", "--no-check", "--json", *words]
    )
    assert json.loads(done.stdout)["precision"] == "fp16", done.stderr


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("vmexport train --precision ", {"auto", "fp32", "fp16", "bf16"}),
        ("vmexport trt --precision f", {"fp32", "fp16"}),
        ("vmexport eval --layout u", {"ucf101"}),
        ("vmexport eval --reorder blockwise,p", {"blockwise,pairwise"}),
        ("vmexport plugin build --cuda o", {"on", "off"}),
        ("vmexport pre", {"predict"}),
    ],
)
def test_the_shell_completes_words_without_anything_heavy(
    line: str, expected: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_VMEXPORT_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
    done = vmexport(folder=tmp_path, blocked=HEAVY)
    assert set(done.stdout.split()) == expected, done.stderr


def test_completion_can_be_installed() -> None:
    help_text = runner.invoke(app, ["--help"]).stdout
    assert "--install-completion" in help_text
    assert "--show-completion" in help_text
