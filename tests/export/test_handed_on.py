"""Our files in the tools that people hand them to: quantisation, half precision, another opset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, inliner, version_converter
from small import noise, small_model
from test_export_onnx import torch_logits

from vmexport.export import export_onnx

quantization = pytest.importorskip("onnxruntime.quantization", reason="the tools come with onnxruntime")

MODEL = small_model()
CLIPS = noise(MODEL.architecture, 1)
EXPECTED = torch_logits(MODEL, CLIPS)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`quant_pre_process` leaves files in the working directory."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def portable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("handed") / "portable.onnx"
    export_onnx(MODEL, path, batch="1:2:4", portable=True, check=False)
    return path


@pytest.fixture(scope="module")
def with_bodies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("handed") / "bodies.onnx"
    export_onnx(MODEL, path, batch="1:2:4", check=False)
    return path


def run(model: onnx.ModelProto | Path) -> NDArray[np.float32]:
    """Logits of a model in ONNX Runtime, without our library."""
    import onnxruntime

    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
    logits: NDArray[np.float32] = session.run(None, {"clips": CLIPS})[0]
    return logits


def cosine(logits: NDArray[np.float32]) -> float:
    return float((logits * EXPECTED).sum() / np.linalg.norm(logits) / np.linalg.norm(EXPECTED))


def calibration() -> Any:
    """One batch, as `quantize_static` asks for it."""
    batches: Iterator[dict[str, NDArray[np.float32]]] = iter([{"clips": CLIPS}])

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc, name-defined]
        def get_next(self) -> Any:
            return next(batches, None)

    return Reader()


def quantize(source: Path, target: Path, **options: Any) -> onnx.ModelProto:
    """Quantise the products of a file to int8."""
    quantization.quantize_static(
        str(source), str(target), calibration(), op_types_to_quantize=["MatMul"], **options
    )
    return onnx.load(str(target))


def int8_products(model: onnx.ModelProto) -> int:
    """Products whose right-hand side is an int8 weight."""
    weights = {
        t.name for t in model.graph.initializer if t.data_type in (TensorProto.INT8, TensorProto.UINT8)
    }
    made = {value: node for node in model.graph.node for value in node.output}
    products = [node for node in model.graph.node if node.op_type == "MatMul"]
    return sum(made[node.input[1]].input[0] in weights for node in products if node.input[1] in made)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("prepared", [False, True])
def test_the_portable_form_is_quantised_whole(
    prepared: bool, per_channel: bool, portable: Path, tmp_path: Path
) -> None:
    source = portable
    if prepared:
        from onnxruntime.quantization.shape_inference import quant_pre_process

        source = tmp_path / "prepared.onnx"
        quant_pre_process(str(portable), str(source))
    model = quantize(source, tmp_path / "int8.onnx", per_channel=per_channel)
    products = [node for node in onnx.load(str(source)).graph.node if node.op_type == "MatMul"]
    assert len(products) >= 5 * MODEL.architecture.depth - 1  # the last one may have become a Gemm
    assert int8_products(model) == len(products)
    assert cosine(run(tmp_path / "int8.onnx")) > 0.995


@pytest.mark.parametrize("form", ["portable", "with_bodies"])
def test_quantised_without_clips(form: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    quantization.quantize_dynamic(str(request.getfixturevalue(form)), str(tmp_path / "int8.onnx"))
    assert cosine(run(tmp_path / "int8.onnx")) > 0.995


def test_with_bodies_dt_proj_stays_as_it_is(with_bodies: Path, tmp_path: Path) -> None:
    products = [n.name for n in onnx.load(str(with_bodies)).graph.node if n.op_type == "MatMul"]
    dt_proj = [name for name in products if name.endswith("/MatMul_3")]
    assert len(dt_proj) == MODEL.architecture.depth
    model = quantize(with_bodies, tmp_path / "int8.onnx", nodes_to_exclude=dt_proj)
    assert int8_products(model) == 4 * MODEL.architecture.depth
    assert cosine(run(tmp_path / "int8.onnx")) > 0.995


def test_pre_processing_with_bodies_skips_symbolic_shapes(with_bodies: Path, tmp_path: Path) -> None:
    from onnxruntime.quantization.shape_inference import quant_pre_process

    quant_pre_process(str(with_bodies), str(tmp_path / "model.onnx"), skip_symbolic_shape=True)
    np.testing.assert_allclose(run(tmp_path / "model.onnx"), EXPECTED, rtol=1e-4, atol=1e-4)


def half(path: Path, **options: Any) -> onnx.ModelProto:
    from onnxruntime.transformers import float16

    model: onnx.ModelProto = float16.convert_float_to_float16(
        onnx.load(str(path)), keep_io_types=True, **options
    )
    return model


def test_half_precision(portable: Path, with_bodies: Path) -> None:
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST

    assert cosine(run(half(portable))) > 0.9999
    ours = [*DEFAULT_OP_BLOCK_LIST, "SelectiveScan", "CausalConv1d"]
    assert cosine(run(half(with_bodies, op_block_list=ours))) > 0.9999


def _as_it_is(model: onnx.ModelProto) -> onnx.ModelProto:
    return model


@pytest.mark.parametrize("opset", [19, 20, 21])
@pytest.mark.parametrize(
    ("form", "first"), [("portable", _as_it_is), ("with_bodies", inliner.inline_local_functions)]
)
def test_another_opset(
    form: str,
    first: Callable[[onnx.ModelProto], onnx.ModelProto],
    opset: int,
    request: pytest.FixtureRequest,
) -> None:
    model = first(onnx.load(str(request.getfixturevalue(form))))
    converted = version_converter.convert_version(model, opset)
    np.testing.assert_allclose(run(converted), EXPECTED, rtol=1e-4, atol=1e-4)
