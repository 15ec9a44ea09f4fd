"""`vmexport onnx FILE.py:NAME` and `load_module`: a module out of somebody's Python file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from program import vmexport
from safetensors.torch import save_file

from vmexport.errors import InputError, UsageError
from vmexport.foreign import load_module
from vmexport.runtime.module_runner import ModuleRunner

THEIRS = """
import torch
from dataclasses import dataclass
from helper_of_theirs import WIDTH
from mamba_ssm import Mamba

@dataclass
class Config:
    depth: int = 1

class Net(torch.nn.Module):
    def __init__(self, depth=1, name="plain"):
        super().__init__()
        self.blocks = torch.nn.ModuleList(Mamba(WIDTH, d_state=4) for _ in range(Config(depth).depth))

    def forward(self, image):
        for block in self.blocks:
            image = image + block(image)
        return image

def build(depth=1, name="plain"):
    return Net(depth, name)

def fails():
    raise KeyError("no such size")

def number():
    return 3
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A repository of two files."""
    (tmp_path / "helper_of_theirs.py").write_text("WIDTH = 8\n")
    path = tmp_path / "their_net.py"
    path.write_text(THEIRS)
    return path


def test_the_command_writes_a_checked_file(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.onnx"
    words = ("--input", "2x5x8", "--set", "depth=2", "--batch", "1:2:3", "-o", out.name)
    done = vmexport("onnx", f"{file.name}:build", *words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "passed at batch 1, 2, 3" in done.stdout
    assert "2 vmexport::SelectiveScan" in done.stdout
    with ModuleRunner(out) as run:
        assert run.inputs == ["image"]


def test_a_module_and_its_weights(file: Path, tmp_path: Path) -> None:
    module = load_module(f"{file}:build", {"depth": 2})
    torch.save({"model": {f"module.{k}": v for k, v in module.state_dict().items()}}, tmp_path / "w.pth")
    save_file(module.state_dict(), tmp_path / "w.safetensors")
    for name in ("w.pth", "w.safetensors"):
        again = load_module(f"{file}:Net", {"depth": 2}, tmp_path / name)
        for key, value in module.state_dict().items():
            assert torch.equal(value, again.state_dict()[key])
    assert str(tmp_path) not in sys.path
    with pytest.raises(InputError, match="weights of another model"):
        load_module(f"{file}:build", {"depth": 1}, tmp_path / "w.pth")
    save_file(load_module(f"{file}:build").state_dict(), tmp_path / "one.safetensors")
    with pytest.raises(InputError, match=r"blocks\.1\..* is missing"):
        load_module(f"{file}:build", {"depth": 2}, tmp_path / "one.safetensors")


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("nothing", UsageError, "has no function nothing"),
        ("fails", InputError, "KeyError: 'no such size'"),
        ("number", UsageError, "makes a int"),
    ],
)
def test_what_is_no_module(file: Path, name: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        load_module(f"{file}:{name}")


def test_a_file_that_cannot_be_run(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import nothing_of_that_name\n")
    with pytest.raises(InputError, match="ModuleNotFoundError"):
        load_module(f"{tmp_path}/broken.py:build")
    with pytest.raises(InputError, match="no such file"):
        load_module(f"{tmp_path}/absent.py:build")
    with pytest.raises(UsageError, match="names no function"):
        load_module("build")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--input", "3xfoo"), "cannot read --input"),
        (("--input", "0x3"), "cannot read --input"),
        (("--input", "999999999x999999999"), "at most"),
        ((), "example inputs"),
        (("--input", "1x5x8", "--frames", "4"), "--frames is no option"),
    ],
)
def test_a_command_that_is_refused(file: Path, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    done = vmexport("onnx", f"{file}:build", *words, folder=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr


def test_options_of_a_module_for_another_model(tmp_path: Path) -> None:
    done = vmexport("onnx", "videomamba_tiny", "--input", "1x3", folder=tmp_path)
    assert done.returncode == 2
    assert "FILE.py:NAME" in done.stderr
