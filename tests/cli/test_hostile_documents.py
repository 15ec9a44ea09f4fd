"""Cards, metadata, sidecars, lists and settings of runs that others wrote: refused with a reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from labelled import write_set
from safetensors.torch import load_file, save_file
from small import small_architecture, small_model
from typer.testing import CliRunner

from vmexport.cli.main import app
from vmexport.config import ModelInfo
from vmexport.data.formats.classes import read_classes
from vmexport.errors import InputError
from vmexport.export import export_onnx
from vmexport.model import save_checkpoint
from vmexport.runtime.record import read_record
from vmexport.runtime.tensorrt.sidecar import EngineInfo, write_engine
from vmexport.train.card import RunSettings
from vmexport.train.log import RunLog
from vmexport.train.state import read_state

DEEP = "[" * 50_000
HOSTILE_VALUES = (
    DEEP,
    '{"a":' * 50_000,
    "NaN",
    "[1e999]",
    "9223372036854775808",
    "[null]",
    "3",
    '{"depth": 1, "depth": 2}',
    '{"depth": 9223372036854775808}',
    '{"d_model": true}',
    '{"directions": [[]]}',
    '{"std": [Infinity, 1, 1]}',
    '{"std": [0.2, NaN, 0.2]}',
    '{"mean": [0, 0]}',
    "[1, 2, 3]",
    '{"surprise": 1}',
    "1" * 5_000,
)

runner = CliRunner()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint, its ONNX file, a data set and a run that was begun."""
    root = tmp_path_factory.mktemp("documents")
    save_checkpoint(small_model(num_classes=3, frames=4), root / "model.safetensors")
    export_onnx(root / "model.safetensors", root / "model.onnx")
    write_set(root / "set")
    config = {"request": {"data": str(root / "set")}, "settings": RunSettings.from_tables({}).to_dict()}
    (root / "run").mkdir()
    (root / "run" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return root


def refused(*words: str) -> str:
    """The error of a command that must end with exit code 4, or 2 where the user's words are at fault."""
    done = runner.invoke(app, list(words))
    assert done.exit_code in (2, 4), (words, done.exit_code, done.stderr, done.exception)
    assert "Traceback" not in done.stderr
    assert len(done.stderr) < 3_000
    return done.stderr


@pytest.mark.parametrize("entry", ["architecture", "labels", "preprocessing", "profile", "precision"])
def test_metadata(entry: str) -> None:
    metadata = ModelInfo(small_architecture(num_classes=3)).to_metadata()
    for value in HOSTILE_VALUES:
        if (entry, value) != ("profile", "3"):
            with pytest.raises(InputError, match="metadata of m is damaged"):
                ModelInfo.from_metadata({**metadata, f"vmexport.{entry}": value}, "m")


@pytest.mark.parametrize("value", [DEEP, "NaN", "3", "{", '{"status": 9223372036854775808}', "1" * 5_000])
def test_parity_records(value: str) -> None:
    with pytest.raises(InputError, match="parity record"):
        read_record(ModelInfo(small_architecture(), extra={"parity": value}), "m")


@pytest.mark.parametrize("value", [DEEP, '{"std": [Infinity, 1, 1]}'])
def test_metadata_by_the_commands(value: str, made: Path, tmp_path: Path) -> None:
    model = onnx.load(str(made / "model.onnx"))
    metadata = {one.key: one.value for one in model.metadata_props} | {"vmexport.preprocessing": value}
    for known in model.metadata_props:
        known.value = metadata[known.key]
    onnx.save(model, str(tmp_path / "m.onnx"))
    save_file(load_file(made / "model.safetensors"), tmp_path / "m.safetensors", metadata=metadata)
    for name in ("m.onnx", "m.safetensors"):
        refused("info", str(tmp_path / name))
        refused("predict", str(tmp_path / name), str(made / "set/val/dive/0.mp4"))
        refused("check", str(made / "model.safetensors"), str(tmp_path / name))


def test_an_onnx_file_whose_metadata_is_no_text(made: Path, tmp_path: Path) -> None:
    content = (made / "model.onnx").read_bytes()
    for known in (b'"mean"', b"vmexport.labels"):
        broken = content.replace(known, b"\xff" * len(known))
        assert broken != content
        (tmp_path / "m.onnx").write_bytes(broken)
        for words in (("info",), ("predict",), ("check", str(made / "model.safetensors")), ("bench",)):
            film = [str(made / "set/val/dive/0.mp4")] if words == ("predict",) else []
            assert "damaged" in refused(*words, str(tmp_path / "m.onnx"), *film)


CARD = (Path(__file__).parent / "tiny.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "text",
    [
        CARD.replace("depth = 4", "depth = 9223372036854775808"),
        CARD.replace("depth = 4", "depth = inf"),
        CARD.replace("depth = 4", "depth = true"),
        CARD.replace("depth = 4", f"depth = {DEEP}"),
        CARD.replace("depth = 4", f"depth = {'9' * 5_000}"),
        CARD.replace("size = 32", "scale = nan"),
        CARD.replace("size = 32", "norm_eps = -inf"),
        CARD.replace("[architecture]", "[[architecture]]"),
        CARD.replace('summary = "', 'summary = 3 # "'),
        "expected = 3\n" + CARD,
        "expected = [3]\n" + CARD,
        CARD + "[preprocessing]\nstd = [inf, 1.0, 1.0]\n",
        CARD + "[preprocessing]\nmean = [nan, 1.0, 1.0]\n",
        CARD + "[preprocessing]\nstd = 'wide'\n",
        CARD + "\udcff",
    ],
)
def test_cards(text: str, tmp_path: Path) -> None:
    (tmp_path / "card.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert "is damaged" in refused("info", str(tmp_path / "card.toml"))


@pytest.mark.parametrize(
    "text",
    [
        "[recipe]\nepochs = inf\n",
        "[recipe]\nbetas = [0.9, nan]\n",
        "[recipe]\nepochs = 9223372036854775808\n",
        "[recipe]\nepochs = []\n",
        "[cropping]\narea = [0.1, inf]\n",
        "[cropping]\narea = [{}]\n",
    ],
)
def test_recipes(text: str, made: Path, tmp_path: Path) -> None:
    (tmp_path / "card.toml").write_text(CARD + text, encoding="utf-8")
    words = ("--config", str(tmp_path / "card.toml"), "-o", str(tmp_path / "run"))
    refused("train", "--data", str(made / "set"), *words)
    assert not (tmp_path / "run").exists()


def entry(path: str, value: Any) -> Callable[[Any], Any]:
    """What sets an entry, `request.fold` say, of a document."""

    def change(document: Any) -> Any:
        *above, last = path.split(".")
        inner = document
        for name in above:
            inner = inner[name]
        inner[last] = value
        return document

    return change


@pytest.mark.parametrize(
    "change",
    [
        entry("request", []),
        entry("request", {"data": 3}),
        entry("request.data", ["set"]),
        entry("request.data", "\ud800"),
        entry("request.layout", {}),
        entry("request.layout", "cubes"),
        entry("request.videos", 7),
        entry("request.fold", "one"),
        entry("request.fold", 2**63),
        entry("request.init_scale", "half"),
        entry("request.init_scale", float("inf")),
        entry("request.interpolate_space", "yes"),
        entry("settings", []),
        entry("settings.recipe", 3),
        entry("settings.recipe.epochs", "many"),
        entry("settings.recipe.epochs", None),
        entry("settings.recipe.learning_rate", float("nan")),
        entry("settings.architecture.depth", 2**63),
        entry("settings.architecture.directions", [[]]),
        entry("settings.preprocessing.std", [float("inf"), 1, 1]),
        entry("settings.cropping.area", {"a": 1}),
        entry("card", {}),
        lambda _: [],
        lambda _: "text",
        lambda _: None,
    ],
)
def test_settings_of_a_run(change: Callable[[Any], Any], made: Path) -> None:
    path = made / "run" / "config.json"
    before = path.read_text(encoding="utf-8")
    try:
        path.write_text(json.dumps(change(json.loads(before))), encoding="utf-8")
        assert "the settings of the run" in refused("train", "--resume", str(made / "run"))
    finally:
        path.write_text(before, encoding="utf-8")


@pytest.mark.parametrize(
    "content", [DEEP.encode(), b"\xff", b"", b'{"request": {}, "settings": {}, "settings": {}}']
)
def test_a_run_without_readable_settings(content: bytes, made: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_bytes(content)
    assert "cannot be read" in refused(
        "train", "--data", str(made / "set"), "--resume", str(tmp_path / "run")
    )


@pytest.mark.parametrize(
    "value",
    [
        DEEP,
        "3",
        "{}",
        '{"format": "1"}',
        '{"format": 1, "progress": [], "identity": {}}',
        '{"format": 1, "progress": {"step": 1.5}, "identity": {}}',
        '{"format": 1, "progress": {}, "identity": 3}',
        '{"format": 1, "progress": {"step": 9223372036854775808}, "identity": {}}',
        '{"format": 1, "progress": {"loss_sum": Infinity}, "identity": {}}',
    ],
)
def test_checkpoints_of_a_run(value: str, tmp_path: Path) -> None:
    save_file(
        {"model/a": torch.zeros(1)}, tmp_path / "step-00000001.safetensors", {"vmexport.training": value}
    )
    with pytest.raises(InputError, match="is damaged"):
        read_state(tmp_path / "step-00000001.safetensors")


def test_lines_of_a_log(tmp_path: Path) -> None:
    lines = [
        "[1]",
        DEEP,
        '{"kind": "epoch", "step": 1}',
        '{"kind": "epoch", "step": 1, "epoch": "one"}',
        '{"kind": [], "step": 1}',
        '{"kind": "step", "step": "1"}',
        '{"kind": "step", "step": 1, "loss": 2}',
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert not RunLog(tmp_path, 5, 5).epochs
    assert (tmp_path / "log.jsonl").read_text(encoding="utf-8") == lines[-1] + "\n"


LISTS: dict[str, str | bytes] = {
    "labels.json": '{"a": Infinity, "b": 1}',
    "classes.json": '{"a": 1e999, "b": 0}',
    "class_names.json": DEEP,
    "label_map.json": '{"a": 9223372036854775808}',
    "deep.json": DEEP,
    "index.json": '{"format": "vmexport data index 1", "classes": ["a"], "directional": 0, "parts": {}}',
    "far.json": '{"format": "vmexport data index 1", "classes": ["a"], "directional": false, '
    '"parts": {"val": [["v.mp4", 9223372036854775807]]}}',
    "kinetics.csv": "label,youtube_id,time_start,time_end\nrun,abc,inf,nan\n",
    "many.csv": "a.mp4 " + "9" * 5_000,
    "minus.csv": "a.mp4 -1",
    "odd.csv": b"a.mp4 \xff",
}


@pytest.mark.parametrize("name", LISTS)
def test_lists(name: str, tmp_path: Path, made: Path) -> None:
    content = LISTS[name]
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    (tmp_path / "a.mp4").write_bytes(b"")
    if path.suffix == ".json" and "index" not in str(content):
        refused("convert", str(made / "model.safetensors"), "--labels", str(path), "-o", str(tmp_path / "c"))
    refused("data", "check", str(path))
    refused("data", "index", str(path), "-o", str(tmp_path / "out.json"))


@pytest.mark.parametrize("text", ["0 a\n" + "9" * 5_000 + " b\n", "a " + "9" * 5_000])
def test_numbers_beside_names(text: str, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text(text, encoding="utf-8")
    assert read_classes(tmp_path / "labels.txt") == tuple(text.split("\n")[: text.count("\n") or 1])


@pytest.mark.parametrize(
    "change",
    [
        entry("model.preprocessing.std", [float("inf"), 1, 1]),
        entry("model.extra.parity", DEEP),
        entry("model.extra.parity", "[]"),
        entry("model.architecture.depth", 2**63),
        entry("size_bytes", -1),
        entry("model.labels", [3]),
    ],
)
def test_sidecars(change: Callable[[Any], Any], tmp_path: Path) -> None:
    info = EngineInfo(ModelInfo(small_architecture()), "tensorrt", "10.3.0", ("8.7",))
    write_engine(tmp_path / "m.engine", b"engine", info)
    path = tmp_path / "m.engine.json"
    path.write_text(json.dumps(change(json.loads(path.read_text(encoding="utf-8")))), encoding="utf-8")
    refused("info", str(tmp_path / "m.engine"))
