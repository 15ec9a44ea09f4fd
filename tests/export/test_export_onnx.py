"""Every kind of network through the exporter, with the operator library and on the function body."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from small import noise, small_architecture, small_model

from vmexport.errors import EnvironmentProblem, InputError, UsageError
from vmexport.export import export_onnx
from vmexport.export.metadata import read_info
from vmexport.model import load_checkpoint
from vmexport.native.libraries import ORT_LIBRARY
from vmexport.native.loading import library_path
from vmexport.runtime import open_runner

LIBRARIES = ("off", "require")

NETWORKS: dict[str, dict[str, Any]] = {
    "plain": {},
    "class token in the middle, scale 0.5": {"cls_position": "middle", "scale": 0.5},
    "no class token": {"cls_position": "none"},
    "spatial order": {"directions": ("forward", "spatial")},
    "temporal order": {"directions": ("forward", "temporal")},
    "one direction": {"directions": ("forward",)},
    "three directions": {"directions": ("forward", "spatial", "temporal")},
    "sinusoidal position": {"position": "sinusoidal"},
    "separate position on the class token": {"position": "separate", "position_on_cls": True},
    "no position": {"position": "none"},
    "layer norm": {"norm": "layer"},
    "one block": {"depth": 1},
    "odd sizes": {"d_model": 40, "d_state": 5, "d_conv": 3, "dt_rank": 3},
    "image": {"frames": 1, "tubelet": 1},
}


def need(library: str) -> str:
    """Skip where the operator library is required and not built."""
    if library == "require" and library_path(ORT_LIBRARY) is None:
        pytest.skip(f"{ORT_LIBRARY} is not built (make native)")
    return library


def torch_logits(model: torch.nn.Module, clips: NDArray[np.float32]) -> NDArray[np.float32]:
    with torch.no_grad():
        logits: NDArray[np.float32] = model(torch.from_numpy(clips)).numpy()
    return logits


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_gives_the_same_logits(name: str, tmp_path: Path) -> None:
    model = small_model(**NETWORKS[name])
    path = tmp_path / "model.onnx"
    report = export_onnx(model, path, batch="1:2:3")
    assert report.parity is not None
    assert report.parity.passed
    assert [result.batch for result in report.parity.batches] == [1, 2, 3]
    clips = noise(model.architecture, 3)
    for library in LIBRARIES if library_path(ORT_LIBRARY) else ("off",):
        with open_runner(path, library=library) as run:
            for batch in (1, 2, 3):
                np.testing.assert_allclose(
                    run(clips[:batch]), torch_logits(model, clips[:batch]), rtol=1e-4, atol=1e-4
                )


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("batch", [2, "1:2:4"])
def test_fp16_is_close_and_typed(batch: int | str, library: str, tmp_path: Path) -> None:
    need(library)
    model = small_model()
    report = export_onnx(model, tmp_path / "half.onnx", batch=batch, precision="fp16")
    assert report.parity is not None
    assert report.parity.precision == "fp16"
    clips = noise(model.architecture, 2)
    with open_runner(tmp_path / "half.onnx", library=library) as run:
        logits = run(clips)
    assert logits.dtype == np.float32
    expected = torch_logits(model, clips)
    cosine = (logits * expected).sum() / np.linalg.norm(logits) / np.linalg.norm(expected)
    assert cosine >= 0.9999


def test_fp16_keeps_its_float32_islands(tmp_path: Path) -> None:
    export_onnx(small_model(), tmp_path / "half.onnx", precision="fp16", check=False)
    graph = onnx.load(str(tmp_path / "half.onnx")).graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    half = {name for name, kind in types.items() if kind == TensorProto.FLOAT16}
    assert {name.rsplit(".", 1)[-1] for name in half} == {
        "patch_weight", "x_weight", "z_weight", "x_proj", "dt_proj", "out_weight",
    }  # fmt: skip
    streams = {info.name: info.type.tensor_type.elem_type for info in graph.value_info}
    assert streams["block_00"] == TensorProto.FLOAT
    assert streams["blocks.0/SelectiveScan"] == TensorProto.FLOAT16


@pytest.mark.parametrize("opset", [18, 19, 20])
def test_opsets(opset: int, tmp_path: Path) -> None:
    report = export_onnx(small_model(), tmp_path / "model.onnx", opset=opset)
    model = onnx.load(str(tmp_path / "model.onnx"))
    assert report.opset == opset
    assert {entry.domain: entry.version for entry in model.opset_import} == {"": opset, "vmexport": 1}
    assert all(
        entry.version == opset for body in model.functions for entry in body.opset_import if not entry.domain
    )


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", ["opengvlab_videomamba", "opengvlab_videomamba_tubelet2", "vim"])
def test_foreign_checkpoints_keep_their_published_logits(
    name: str, library: str, fixtures_dir: Path, tmp_path: Path
) -> None:
    need(library)
    overrides: dict[str, Any] = {"cls_position": "middle", "scale": 0.5} if name == "vim" else {}
    model = load_checkpoint(fixtures_dir / f"{name}.pth", **overrides)
    export_onnx(model, tmp_path / "model.onnx", batch="1:1:4")
    expected = np.load(fixtures_dir / f"{name}_io.npz")
    clips = expected["input"].astype(np.float32)
    if clips.ndim == 4:  # an image model takes one frame
        clips = clips[:, :, None]
    with open_runner(tmp_path / "model.onnx", library=library) as run:
        np.testing.assert_allclose(run(clips), expected["logits"], atol=1e-4)


def test_without_fallback_only_the_library_runs_it(tmp_path: Path) -> None:
    model = small_model()
    report = export_onnx(model, tmp_path / "bare.onnx", fallback=False, check=False)
    assert report.functions == ()
    assert not onnx.load(str(tmp_path / "bare.onnx")).functions
    with pytest.raises(EnvironmentProblem, match="needs operators"), open_runner(
        tmp_path / "bare.onnx", library="off"
    ):  # fmt: skip
        pass
    need("require")
    clips = noise(model.architecture)
    with open_runner(tmp_path / "bare.onnx", library="require") as run:
        np.testing.assert_allclose(run(clips), torch_logits(model, clips), rtol=1e-4, atol=1e-4)


def test_the_file_tells_where_it_comes_from(tmp_path: Path) -> None:
    model = small_model()
    export_onnx(model, tmp_path / "model.onnx", batch="1:2:4")
    info = read_info(tmp_path / "model.onnx")
    assert info.architecture == small_architecture()
    assert (str(info.profile), info.precision) == ("1:2:4", "fp32")
    record = json.loads(info.extra["parity"])
    assert record["status"] == "passed"
    assert [batch["batch"] for batch in record["batches"]] == [1, 2, 3, 4]
    assert record["versions"]["torch"]


def test_the_file_is_the_same_on_every_run_and_tells_nothing_of_the_machine(tmp_path: Path) -> None:
    model = small_model()
    for name in ("a.onnx", "b.onnx"):
        export_onnx(model, tmp_path / name, batch="1:2:4")
    content = (tmp_path / "a.onnx").read_bytes()
    assert content == (tmp_path / "b.onnx").read_bytes()
    for trace in ("stack_trace", "pkg.torch", ".py", str(tmp_path), f"{Path.home()}/"):
        assert trace.encode() not in content


def test_names_are_readable_and_attributes_clean(tmp_path: Path) -> None:
    report = export_onnx(small_model(), tmp_path / "model.onnx", batch="1:2:4")
    model = onnx.load(str(tmp_path / "model.onnx"))
    scan = next(node for node in model.graph.node if node.op_type == "SelectiveScan")
    assert scan.name == "blocks.0/SelectiveScan"
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in scan.attribute}
    assert attributes == {
        "directions": [0, 1], "tokens_per_frame": 4, "class_token": 1, "scale": 1.0,
        "plugin_namespace": b"vmexport",
    }  # fmt: skip
    names = {value for node in model.graph.node for value in node.output}
    assert {"embedding", "block_00", "block_01", "logits"} <= names
    assert not any(name.startswith(("val_", "_")) for name in names)
    assert report.nodes["vmexport::SelectiveScan"] == report.nodes["vmexport::CausalConv1d"] == 2
    assert report.size_bytes == (tmp_path / "model.onnx").stat().st_size


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"opset": 17}, UsageError, "opset 17"),
        ({"opset": 23}, UsageError, "18, 19, 20"),
        ({"precision": "int8"}, UsageError, "precision"),
        ({"batch": "4:2:8"}, UsageError, "ordered"),
        ({"batch": "many"}, UsageError, "cannot read the batch"),
        ({"path": "model.pb"}, UsageError, "ends in .onnx"),
        ({"path": "folder.onnx"}, InputError, "folder"),
        ({"path": "nowhere/model.onnx"}, InputError, "mkdir -p"),
    ],
)
def test_refusals(arguments: dict[str, Any], error: type[Exception], words: str, tmp_path: Path) -> None:
    (tmp_path / "folder.onnx").mkdir()
    path = tmp_path / arguments.pop("path", "model.onnx")
    with pytest.raises(error, match=words):
        export_onnx(small_model(), path, **arguments)
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder.onnx"]


def test_a_check_that_nothing_here_can_run_is_refused_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vmexport.export.refusals.library_path", lambda name: None)
    with pytest.raises(EnvironmentProblem, match="--no-check"):
        export_onnx(small_model(), tmp_path / "model.onnx", fallback=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EnvironmentProblem, match="pip install"):
        export_onnx(small_model(), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_nan_weights_are_refused(tmp_path: Path) -> None:
    model = small_model()
    dict(model.named_parameters())["blocks.1.mixer.x_proj"].data[0, 0, 0] = float("nan")
    with pytest.raises(InputError, match=r"blocks\.1\.mixer\.x_proj holds NaN"):
        export_onnx(model, tmp_path / "model.onnx")


def test_a_preset_by_name(tmp_path: Path) -> None:
    report = export_onnx("vim_tiny", tmp_path / "model.onnx", check=False)
    assert report.nodes["vmexport::SelectiveScan"] == 24


@pytest.mark.integration
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_full_size(precision: str, tmp_path: Path) -> None:
    began = time.process_time()
    report = export_onnx("videomamba_small", tmp_path / "model.onnx", precision=precision)
    assert report.parity is not None
    assert report.parity.passed
    assert report.seconds > 0
    assert time.process_time() - began < 240  # of two cores, 120 s each: others' work does not count
