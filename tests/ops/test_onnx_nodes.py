"""During an export the operators become nodes of our domain, with all inputs and attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from backends import ORT_LIBRARY
from cases import CONV_CASES, SCAN_CASES, ConvCase, ScanCase, to_torch
from onnx_models import open_session
from tolerances import OPERATOR, assert_close

from vmexport.errors import ShapeError, UsageError
from vmexport.ops import causal_conv1d, directional_selective_scan, selective_scan
from vmexport.ops.native import library_path

SCAN = next(case for case in SCAN_CASES if case.name == "spatial")
CONV = next(case for case in CONV_CASES if case.name == "all_orders")


class Scan(torch.nn.Module):
    """The directional scan as a model."""

    def forward(self, *tensors: Any) -> Any:
        names = [
            name for name in ("u", "delta", "A", "BC", "D", "delta_bias", "z") if name not in self.without
        ]
        given = {**dict.fromkeys(self.without), **dict(zip(names, tensors, strict=True))}
        return directional_selective_scan(
            *(given[name] for name in ("u", "delta", "A", "BC", "D", "delta_bias", "z")),
            **SCAN.order,
            scale=0.5,
        )

    def __init__(self, without: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.without = without


class Conv(torch.nn.Module):
    """The convolution as a model."""

    def forward(self, x: Any, weight: Any) -> Any:
        return causal_conv1d(x, weight, None, **CONV.order)


class Mamba(torch.nn.Module):
    """Somebody else's use of the scan, in mamba-ssm's layout."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.settings = {"delta_softplus": True, **settings}

    def forward(self, u: Any, delta: Any, A: Any, B: Any, C: Any) -> Any:
        return selective_scan(u, delta, A, B, C, **self.settings)


def export(model: torch.nn.Module, arguments: tuple[Any, ...]) -> onnx.ModelProto:
    """The model as torch's exporter writes it."""
    with torch.no_grad():
        program = torch.onnx.export(model.eval(), arguments, dynamo=True, opset_version=18, verbose=False)
    assert program is not None
    return program.model_proto


def our_node(model: onnx.ModelProto, op: str) -> tuple[onnx.NodeProto, Mapping[str, Any]]:
    """The only node of our domain and its attributes."""
    (node,) = [node for node in model.graph.node if node.domain == "vmexport"]
    assert node.op_type == op
    assert ("vmexport", 1) in {(entry.domain, entry.version) for entry in model.opset_import}
    return node, {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}


def tensors_of(case: ScanCase | ConvCase, without: tuple[str, ...] = ()) -> tuple[Any, ...]:
    return tuple(to_torch(array) for name, array in case.inputs().items() if name not in without)


def run(model: onnx.ModelProto, arguments: tuple[Any, ...]) -> Any:
    """The exported model with the operator library."""
    path = library_path(ORT_LIBRARY)
    if path is None:
        pytest.skip(f"{ORT_LIBRARY} is not built")
    session = open_session(model, str(path))
    feeds = {item.name: value.numpy() for item, value in zip(session.get_inputs(), arguments, strict=True)}
    (result,) = session.run(None, feeds)
    return result


@pytest.mark.parametrize("without", [(), ("z",), ("D", "delta_bias", "z")], ids=["all", "no_gate", "few"])
def test_a_scan_becomes_one_node(without: tuple[str, ...]) -> None:
    arguments = tensors_of(SCAN, without)
    model = export(Scan(without), arguments)
    node, attributes = our_node(model, "SelectiveScan")
    assert len([name for name in node.input if name]) == 7
    assert attributes == {
        "directions": [0, 2],
        "tokens_per_frame": 32,
        "class_token": 1,
        "scale": 0.5 / 32 if "z" in without else 0.5,
        "plugin_namespace": b"vmexport",
    }
    assert_close(run(model, arguments), Scan(without)(*arguments).numpy(), OPERATOR["float32"])


def test_a_convolution_becomes_one_node() -> None:
    arguments = tensors_of(CONV)[:2]
    model = export(Conv(), arguments)
    node, attributes = our_node(model, "CausalConv1d")
    assert len([name for name in node.input if name]) == 3
    assert attributes == {
        "directions": [0, 1, 2, 3],
        "tokens_per_frame": 32,
        "class_token": 1,
        "plugin_namespace": b"vmexport",
    }
    assert_close(run(model, arguments), Conv()(*arguments).numpy(), OPERATOR["float32"])


@pytest.fixture
def mamba_arguments(rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
    shapes = ((2, 6, 9), (2, 6, 9), (6, 4), (2, 4, 9), (2, 4, 9))
    values = [torch.tensor(rng.standard_normal(shape), dtype=torch.float32) for shape in shapes]
    values[2] = -values[2].abs()
    return tuple(values)


def test_a_foreign_model_can_be_exported(mamba_arguments: tuple[torch.Tensor, ...]) -> None:
    model = export(Mamba(), mamba_arguments)
    _, attributes = our_node(model, "SelectiveScan")
    assert attributes["directions"] == [0]
    assert_close(run(model, mamba_arguments), Mamba()(*mamba_arguments).numpy(), OPERATOR["float32"])


@pytest.mark.parametrize("settings", [{"delta_softplus": False}, {"return_last_state": True}])
def test_what_the_node_cannot_say_is_refused(
    mamba_arguments: tuple[torch.Tensor, ...], settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    with pytest.raises(UsageError, match="cannot become an ONNX node"):
        Mamba(**settings)(*mamba_arguments)


def test_bad_arguments_are_refused_during_export_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    arguments = list(tensors_of(SCAN))
    arguments[3] = arguments[3][..., :-1]
    with pytest.raises(ShapeError, match=r"BC: expected shape \(2, 2, 257, 34\), got \(2, 2, 257, 33\)"):
        directional_selective_scan(*arguments, **SCAN.order)
    with pytest.raises(ShapeError, match="tokens_per_frame: expected a divisor"):
        causal_conv1d(*tensors_of(CONV), **{**CONV.order, "tokens_per_frame": 7})
