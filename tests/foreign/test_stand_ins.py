"""`stand_ins`: repositories import without the packages that they name, and nothing of it stays behind."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from published_models import Weights, plain_scan
from test_patch import assert_same, operands

from vmexport.errors import UsageError
from vmexport.foreign import stand_ins

pytestmark = pytest.mark.usefixtures("seeded")

REPOSITORY = """
import torch
import triton
import triton.language as tl
from causal_conv1d import causal_conv1d_fn, causal_conv1d_update
from causal_conv1d.causal_conv1d_interface import causal_conv1d_fn as same
from mamba_ssm import Mamba
from mamba_ssm.modules.mamba_simple import Mamba as Again
from mamba_ssm.ops.selective_scan_interface import bimamba_inner_fn, mamba_inner_fn, selective_scan_fn
from mamba_ssm.ops.triton.layernorm import RMSNorm, layer_norm_fn, rms_norm_fn
from mamba_ssm.utils.generation import GenerationMixin
from mamba_ssm.utils.hf import load_config_hf

assert same is causal_conv1d_fn and Again is Mamba

@triton.autotune(configs=[triton.Config({"BLOCK": 64}, num_warps=n) for n in (2, 4)], key=["n"])
@triton.heuristics({"EVEN": lambda args: args["n"] % 2 == 0})
@triton.jit
def kernel(x, n, BLOCK: tl.constexpr):
    offsets = tl.arange(0, BLOCK)

@triton.jit
def plain(x):
    pass

class Model(torch.nn.Module, GenerationMixin):
    blocks = triton.cdiv(10, 4) + triton.next_power_of_2(5)

    def __init__(self):
        super().__init__()
        self.norm, self.mixer = RMSNorm(8), Mamba(8, d_state=4)

    def forward(self, x):
        y, residual = self.norm(x, prenorm=True)
        return self.mixer(y) + residual
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file that imports as its authors wrote it; its module's name."""
    (tmp_path / "their_repo.py").write_text(REPOSITORY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "their_repo", raising=False)
    return "their_repo"


def test_a_repository_imports_and_runs(repository: str) -> None:
    with stand_ins() as standing_in:
        theirs = importlib.import_module(repository)
    assert set(standing_in) <= {"mamba_ssm", "causal_conv1d", "triton"}
    assert theirs.Model.blocks == 3 + 8
    model = theirs.Model()
    x = torch.randn(2, 9, 8)
    out = model(x)
    out.sum().backward()
    assert out.shape == x.shape
    assert all(parameter.grad is not None for parameter in model.parameters())
    for kernel in (theirs.kernel, theirs.plain):
        with pytest.raises(UsageError, match="triton is not installed"):
            kernel[(1,)](x, 3)


def test_nothing_stays_behind(repository: str) -> None:
    """Also after an error; in a process of its own, where nothing was imported before."""
    code = f"""
import sys
from vmexport.foreign import stand_ins
try:
    with stand_ins():
        import {repository}
        1 / 0
except ZeroDivisionError:
    pass
left = [name for name in sys.modules if name.split(".")[0] in ("mamba_ssm", "causal_conv1d", "triton")]
assert not left, left
assert not any(type(finder).__module__ == "vmexport.foreign.stand_ins" for finder in sys.meta_path)
try:
    import mamba_ssm
except ModuleNotFoundError:
    pass
else:
    raise SystemExit("a stand-in was left behind")
import torch
step = torch.compile(lambda x: x + 1, backend="eager")
assert step(torch.zeros(1)).item() == 1  # torch takes no stand-in for triton
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(sys.path[0]), capture_output=True, text=True, check=False,
        env={"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin:/bin", "HOME": "/tmp"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_an_installed_package_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "causal_conv1d.py").write_text("real = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    with stand_ins() as standing_in:
        import causal_conv1d

        assert causal_conv1d.real
    assert "causal_conv1d" not in standing_in
    del sys.modules["causal_conv1d"]


def test_a_name_that_no_version_has_is_an_import_error() -> None:
    with stand_ins(), pytest.raises(ImportError):
        from mamba_ssm import nonsense  # noqa: F401


def test_the_functions_are_the_published_ones() -> None:
    w, values = Weights(), operands()
    x = torch.randn(2, 12, 9)
    with stand_ins():
        from mamba_ssm.ops import selective_scan_interface as theirs
    found = theirs.selective_scan_fn(**values, delta_softplus=True)
    assert_same(found, plain_scan(**values, delta_softplus=True))
    first = (x, w.conv, w.conv_bias, w.x_proj, w.dt_proj)
    inner = theirs.mamba_inner_fn_no_out_proj(*first, w.A, D=w.D, delta_bias=w.dt_bias)
    assert_same(inner, w.plain(x).transpose(1, 2))
    both = theirs.bimamba_inner_fn(*first, w.out_proj, None, w.A, w.A_b, D=w.D, delta_bias=w.dt_bias)
    expected = torch.nn.functional.linear(w.plain(x, both=True), w.out_proj)
    assert_same(both, expected)


def test_a_block_reads_mamba_ssms_weights() -> None:
    """Names and shapes of the state dict of mamba-ssm's block of d_model 8, d_state 4, expand 2."""
    with stand_ins():
        from mamba_ssm import Mamba
    assert {name: tuple(value.shape) for name, value in Mamba(8, d_state=4).state_dict().items()} == {
        "A_log": (16, 4), "D": (16,), "in_proj.weight": (32, 8), "conv1d.weight": (16, 1, 4),
        "conv1d.bias": (16,), "x_proj.weight": (9, 16), "dt_proj.weight": (16, 1), "dt_proj.bias": (16,),
        "out_proj.weight": (8, 16),
    }  # fmt: skip


def test_first_versions_of_norm_and_convolution() -> None:
    x, weight = torch.randn(1, 3, 8), torch.ones(8)
    with stand_ins():
        from causal_conv1d import causal_conv1d_fn
        from mamba_ssm.ops.triton.layernorm import rms_norm_fn
    first = rms_norm_fn(x, weight, None, None, 1e-5, True)  # eps, prenorm
    later = rms_norm_fn(x, weight, None, None, None, None, None, 1e-5, 0.0, None, True)
    assert_same(first[0], later[0])
    kernel = torch.randn(3, 4)
    assert_same(causal_conv1d_fn(x, kernel, None, "silu"), causal_conv1d_fn(x, kernel, activation="silu"))


def test_decoding_is_refused() -> None:
    with stand_ins():
        from causal_conv1d import causal_conv1d_update
    with pytest.raises(UsageError, match="token by token"):
        causal_conv1d_update()
