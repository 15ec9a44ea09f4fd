"""`export_module`: modules that call published entry points become checked files, library or not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import published_models
import pytest
import torch
from published_models import Weights
from torch import Tensor, nn

import vmexport
from vmexport.errors import BuildError, InputError, ParityError, UsageError
from vmexport.export.graph import operator_nodes
from vmexport.export.module import DEFINITION, OWN_CODE
from vmexport.foreign import stand_ins
from vmexport.ops.schema import CAUSAL_CONV1D, SELECTIVE_SCAN
from vmexport.runtime.module_runner import MODULE_ENTRY, ModuleRunner
from vmexport.runtime.session import SessionOptions

pytestmark = pytest.mark.usefixtures("seeded")

published: Any = published_models


def noise(*shape: int) -> Tensor:
    """Seeded values."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5))


class Scan(nn.Module):
    """A scan in mamba-ssm's layout, called as its authors call it; one image in, two outputs out."""

    def __init__(self, call: Any, channels: int = 6, states: int = 4, gate: bool = True) -> None:
        super().__init__()
        self.call, self.gate = call, gate
        self.A = nn.Parameter(-torch.rand(channels, states))
        self.bc = nn.Linear(channels, 2 * states)
        self.delta_bias = nn.Parameter(noise(channels))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        B, C = self.bc(x.transpose(1, 2)).transpose(1, 2).chunk(2, dim=1)
        gate = (x.flip(-1),) if self.gate else ()
        y = self.call(x, x / 2, self.A, B, C, None, *gate, self.delta_bias, True)
        return y, y.mean(-1)


class Fused(nn.Module):
    """A fused block of both directions, as Vim calls it."""

    def __init__(self) -> None:
        super().__init__()
        self.w = Weights()

    def forward(self, xz: Tensor) -> Tensor:
        w = self.w
        found: Tensor = published.bimamba_inner_fn(
            xz, w.conv, w.conv_bias, w.x_proj, w.dt_proj, w.out_proj, None, w.A, w.A_b, D=w.D,
            delta_bias=w.dt_bias,
        )  # fmt: skip
        return found


class Side(nn.Module):
    """Blocks of different widths and states, gated and ungated scans, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        with stand_ins():
            from mamba_ssm import Mamba
            from mamba_ssm.ops.selective_scan_interface import selective_scan_fn
        self.first, self.second = Mamba(8, d_state=16), Mamba(12, d_state=8)
        self.between = nn.Linear(8, 12)
        self.third = Scan(lambda *a: selective_scan_fn(*a[:6], None, *a[6:]), 12, 3, gate=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.between(x + self.first(x))
        y = (y + self.second(y)).transpose(1, 2)
        scanned: Tensor = self.third(y)[0]
        return y + scanned


def both_ways(path: Path, *values: Tensor) -> list[list[Any]]:
    """Outputs of a file by the operator library (where it is built) and by its function bodies."""
    found = []
    for library in ("auto", "off"):
        with ModuleRunner(path, SessionOptions(library=library)) as run:
            found.append(run(*(value.numpy() for value in values)))
    return found


def assert_alike(path: Path, *values: Tensor, limit: float = 2e-5) -> None:
    """The function bodies compute what the library computes."""
    ours, bodies = both_ways(path, *values)
    for a, b in zip(ours, bodies, strict=True):
        assert np.abs(a - b).max() <= limit * np.abs(a).max()


MODULES: dict[str, Callable[[], tuple[nn.Module, Tensor]]] = {
    "mamba-ssm, early apply": lambda: (Scan(published.bound_early), noise(2, 6, 9)),
    "VMamba": lambda: (Scan(published.SelectiveScanOflex.apply, gate=False), noise(2, 6, 9)),
    "Vim, both directions": lambda: (Fused(), noise(2, 12, 9)),
}


@pytest.mark.parametrize("name", MODULES)
def test_kernels_that_are_not_here_are_compared_by_definition(name: str, tmp_path: Path) -> None:
    module, x = MODULES[name]()
    module.train()
    report = vmexport.export_module(module, tmp_path / "m.onnx", inputs=[x])
    assert report.parity is not None
    assert report.parity.passed
    assert report.nodes[f"vmexport::{SELECTIVE_SCAN}"] == 1
    assert module.training
    graph = onnx.load(report.path)
    described = json.loads(next(e.value for e in graph.metadata_props if e.key == MODULE_ENTRY))
    assert described["parity"]["reference"] == DEFINITION
    assert described["batch"] == "2"
    assert [value.name for value in graph.graph.input] == ["xz" if name.startswith("Vim") else "x"]
    assert_alike(tmp_path / "m.onnx", x)
    with pytest.raises(RuntimeError, match="custom kernel"):
        module(x)


def test_both_directions_are_one_node(tmp_path: Path) -> None:
    vmexport.export_module(Fused(), tmp_path / "m.onnx", inputs=[noise(1, 12, 9)])
    (node,) = operator_nodes(onnx.load(str(tmp_path / "m.onnx")).graph, SELECTIVE_SCAN)
    assert list(next(a.ints for a in node.attribute if a.name == "directions")) == [0, 1]


@pytest.mark.parametrize(
    "options", [{}, {"batch": "1:2:4"}, {"precision": "fp16"}, {"portable": True}], ids=str
)
def test_kinds_side_by_side(options: dict[str, Any], tmp_path: Path) -> None:
    """N = 16, 8 and 3; channels of 16, 24 and 12; with a gate and without."""
    x = noise(2, 10, 8)
    report = vmexport.export_module(Side(), tmp_path / "m.onnx", inputs=[x], **options)
    assert report.parity is not None
    assert report.parity.passed
    if "portable" not in options:
        assert report.nodes[f"vmexport::{SELECTIVE_SCAN}"] == 3
        assert report.nodes[f"vmexport::{CAUSAL_CONV1D}"] == 2
        assert report.functions == (SELECTIVE_SCAN, CAUSAL_CONV1D)
    first = x[:1] if report.profile == "1:2:4" else x
    assert_alike(tmp_path / "m.onnx", first, limit=5e-3 if "precision" in options else 2e-5)
    graph = onnx.load(report.path)
    described = json.loads(next(e.value for e in graph.metadata_props if e.key == MODULE_ENTRY))
    assert described["parity"]["reference"] == OWN_CODE


def test_orders_side_by_side(tmp_path: Path) -> None:
    """One direction and both: two bodies of one operator."""

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.out = Scan(published.bound_early), Fused(), nn.Linear(3, 6)

        def forward(self, x: Tensor) -> Tensor:
            y = self.out(self.two(torch.cat([x, x], dim=1))).transpose(1, 2)
            scanned: Tensor = self.one(y)[0]
            return scanned

    x = noise(2, 6, 9)
    report = vmexport.export_module(Both(), tmp_path / "m.onnx", inputs=[x])
    assert report.functions == (SELECTIVE_SCAN, SELECTIVE_SCAN, CAUSAL_CONV1D)
    assert_alike(tmp_path / "m.onnx", x)


def test_several_inputs(tmp_path: Path) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scan, self.names = Scan(published.bound_early), nn.Embedding(7, 6)

        def forward(self, x: Tensor, token: Tensor) -> dict[str, Tensor]:
            y, mean = self.scan(x + self.names(token)[..., None])
            return {"map": y, "mean": mean}

    inputs = [noise(1, 6, 9), torch.tensor([3])]
    vmexport.export_module(Two(), tmp_path / "m.onnx", inputs=inputs, batch="1:2:3")
    with ModuleRunner(tmp_path / "m.onnx") as run:
        assert run.inputs == ["x", "token"]
        assert [value.shape for value in run(*(value.numpy() for value in inputs))] == [(1, 6, 9), (1, 6)]
        with pytest.raises(UsageError, match="takes 2 inputs"):
            run(inputs[0].numpy())


class Loud(Scan):
    """Its first output is a million times as large as its second."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y, mean = super().forward(x)
        return y * 1e6, mean


def test_a_small_output_is_measured_by_its_own_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = ModuleRunner.__call__

    def slightly_wrong(self: ModuleRunner, *values: Any) -> list[Any]:
        first, second = run(self, *values)
        return [first, second * 1.1]

    monkeypatch.setattr(ModuleRunner, "__call__", slightly_wrong)
    with pytest.raises(ParityError, match=r"relative 0\.1"):
        vmexport.export_module(Loud(published.bound_early), tmp_path / "m.onnx", inputs=[noise(2, 6, 9)])
    assert not list(tmp_path.iterdir())


class NoSoftplus(Scan):
    """What the operator's node cannot express."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        B, C = self.bc(x.transpose(1, 2)).transpose(1, 2).chunk(2, dim=1)
        y: Tensor = self.call(x, x / 2, self.A, B, C)
        return y, y


REFUSALS: dict[str, tuple[Any, list[Any], type[Exception], str]] = {
    "no scan": (lambda: nn.Linear(4, 4), [noise(1, 4)], BuildError, "no Mamba-1 scan"),
    "no softplus": (
        lambda: NoSoftplus(published.selective_scan_fn), [noise(1, 6, 9)], UsageError, "softplus",
    ),
    "no inputs": (lambda: nn.Linear(4, 4), [], UsageError, "example inputs"),
    "an array": (lambda: nn.Linear(4, 4), [np.zeros((1, 4))], UsageError, "example inputs"),
    "two batches": (lambda: nn.Linear(4, 4), [noise(1, 4), noise(2, 4)], UsageError, "different batches"),
    "control flow": (
        lambda: Branching(), [noise(1, 6, 9)], BuildError, "could not export",
    ),
}  # fmt: skip


class Branching(Scan):
    """Looks at values."""

    def __init__(self) -> None:
        super().__init__(published.bound_early)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return super().forward(x if bool(x.sum() > 0) else -x)


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_refused(name: str, tmp_path: Path) -> None:
    make, inputs, error, words = REFUSALS[name]
    with pytest.raises(error, match=words):
        vmexport.export_module(make(), tmp_path / "m.onnx", inputs=inputs)
    assert not list(tmp_path.iterdir())
    with pytest.raises(RuntimeError, match="custom kernel"):  # nothing stays patched
        published.bound_early(*[torch.ones(1)] * 5)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    module = Scan(published.bound_early)
    module.A.data[0] = float("nan")
    with pytest.raises(InputError, match="A holds NaN"):
        vmexport.export_module(module, tmp_path / "m.onnx", inputs=[noise(1, 6, 9)])


def test_another_file_is_not_a_modules(tmp_path: Path) -> None:
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "g", [value], [
        onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])])  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, str(tmp_path / "m.onnx"))
    with pytest.raises(InputError, match="export_module"):
        ModuleRunner(tmp_path / "m.onnx")
