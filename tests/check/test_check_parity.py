"""Comparison of artefacts: it passes, it fails, and it finds the block with the planted fault."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from small import noise, small_model

from vmexport.check import TOLERANCES, check_parity
from vmexport.errors import ExitCode, InputError, ParityError, UsageError
from vmexport.export import export_onnx
from vmexport.export.metadata import load_onnx
from vmexport.model import save_checkpoint

DEPTH = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One network as `model.safetensors`, `model.onnx` (batch 1 to 4) and `half.onnx` (batch 2)."""
    path = tmp_path_factory.mktemp("check")
    model = small_model(depth=DEPTH)
    save_checkpoint(model, path / "model.safetensors")
    export_onnx(model, path / "model.onnx", batch="1:2:4", check=False)
    export_onnx(model, path / "half.onnx", batch=2, precision="fp16", check=False)
    return path


def plant(source: Path, target: Path, weight: str, change: float) -> Path:
    """A copy of an exported file with one number of one weight changed."""
    model = load_onnx(source)
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == weight)
    values = numpy_helper.to_array(tensor).copy()
    values.flat[values.size // 2] += values.dtype.type(change)
    tensor.CopyFrom(numpy_helper.from_array(values, weight))
    onnx.save(model, str(target))
    return target


def test_checkpoint_and_export_agree_at_every_batch_of_the_profile(folder: Path) -> None:
    report = check_parity(folder / "model.safetensors", folder / "model.onnx")
    assert report.passed
    assert report.precision == "fp32"
    assert [result.batch for result in report.batches] == [1, 2, 3, 4]
    assert report.reason == report.first_difference == ""
    report.require()


def test_a_half_precision_side_sets_the_tolerance(folder: Path) -> None:
    report = check_parity(folder / "model.onnx", folder / "half.onnx")
    assert report.passed
    assert report.tolerance == TOLERANCES["fp16"]
    assert [result.batch for result in report.batches] == [2]
    assert not check_parity(folder / "model.onnx", folder / "half.onnx", tolerance=TOLERANCES["fp32"]).passed


def test_own_clips(folder: Path) -> None:
    model = small_model(depth=DEPTH)
    clips = noise(model.architecture, 3)
    report = check_parity(model, folder / "model.onnx", clips=clips)
    assert [result.batch for result in report.batches] == [3]
    with pytest.raises(UsageError, match="not both"):
        check_parity(model, folder / "model.onnx", clips=clips, batches=[1])


@pytest.mark.parametrize("block", range(DEPTH))
@pytest.mark.parametrize("reference", ["model.safetensors", "model.onnx"])
def test_bisect_names_the_block_with_the_fault(
    block: int, reference: str, folder: Path, tmp_path: Path
) -> None:
    weight = f"blocks.{block}.mixer.out_weight"
    bad = plant(folder / "model.onnx", tmp_path / "bad.onnx", weight, 2.0)
    report = check_parity(folder / reference, bad, batches=[1], bisect=True)
    assert not report.passed
    assert report.first_difference == f"block_{block:02d}"
    with pytest.raises(ParityError, match=f"block_{block:02d}") as caught:
        report.require()
    assert caught.value.exit_code == ExitCode.PARITY_FAILED


@pytest.mark.parametrize(("weight", "stage"), [("embedding.class_row", "embedding"), ("head.weight", "head")])
def test_bisect_looks_before_and_behind_the_blocks(
    weight: str, stage: str, folder: Path, tmp_path: Path
) -> None:
    bad = plant(folder / "model.onnx", tmp_path / "bad.onnx", weight, 2.0)
    report = check_parity(folder / "model.safetensors", bad, batches=[1], bisect=True)
    assert report.first_difference == stage


def test_nan_is_found_first(folder: Path, tmp_path: Path) -> None:
    weight = "blocks.2.mixer.out_weight"
    bad = plant(folder / "model.onnx", tmp_path / "bad.onnx", weight, float("nan"))
    report = check_parity(folder / "model.safetensors", bad, batches=[1], bisect=True)
    assert not report.batches[0].finite
    assert "NaN" in report.reason
    assert report.first_difference == "block_02"


def test_without_bisect_the_error_says_how_to_find_the_block(folder: Path, tmp_path: Path) -> None:
    bad = plant(folder / "model.onnx", tmp_path / "bad.onnx", "blocks.1.mixer.out_weight", 2.0)
    report = check_parity(folder / "model.safetensors", bad, batches=[2])
    with pytest.raises(ParityError, match="--bisect"):
        report.require()


def test_models_that_cannot_be_compared(folder: Path) -> None:
    with pytest.raises(ParityError, match="num_classes"):
        check_parity(small_model(depth=DEPTH, num_classes=3), folder / "model.onnx")
    with pytest.raises(ParityError, match="clip_shape"):
        check_parity(small_model(depth=DEPTH, frames=2), folder / "model.onnx")
    with pytest.raises(InputError):
        check_parity(folder / "model.onnx", folder / "missing.onnx")
    shallow = small_model(depth=DEPTH - 1)
    with pytest.raises(UsageError, match="block by block"):
        check_parity(shallow, folder / "model.onnx", batches=[1], bisect=True)


def test_seeded_clips_give_the_same_report_twice(folder: Path) -> None:
    pair = folder / "model.safetensors", folder / "model.onnx"
    first, second = (check_parity(*pair, batches=[1]) for _ in range(2))
    assert np.isclose(first.batches[0].max_abs, second.batches[0].max_abs, atol=1e-6)
