"""Files that must be refused, with key, expected, found and fix, and with nothing of them run."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from plain_vim import State, random_state

from vmexport.errors import ExitCode, InputError
from vmexport.model import create_model, load_checkpoint, save_checkpoint


class Payload:
    """Unpickling this makes a file: the proof that code ran."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.target),)


def refused(path: Path, **options: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        load_checkpoint(path, **options)
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    assert str(path.name) in caught.value.what
    return caught.value


@pytest.mark.parametrize("zipped", [True, False])
def test_a_payload_is_not_run(tmp_path: Path, zipped: bool) -> None:
    mark = tmp_path / "mark"
    content = {"model": random_state(), "hook": Payload(mark)}
    torch.save(content, tmp_path / "evil.pth", _use_new_zipfile_serialization=zipped)
    error = refused(tmp_path / "evil.pth")
    assert not mark.exists()
    assert "mkdir" in error.why
    assert "--trust-pickle" in error.fix
    load_checkpoint(tmp_path / "evil.pth", trust_pickle=True, scale=0.5)
    assert mark.exists()


def test_a_bare_pickle_is_not_run(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    mark = tmp_path / "mark"
    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"model": Payload(mark)}))
    error = refused(tmp_path / "evil.pth")
    assert not mark.exists()
    assert "nothing of it was run" in error.what
    assert not recwarn


def test_a_harmless_looking_class_is_refused_too(tmp_path: Path) -> None:
    torch.save({"model": random_state(), "config": Path("somewhere")}, tmp_path / "m.pth")
    error = refused(tmp_path / "m.pth")
    assert "--trust-pickle" in error.fix
    assert "PosixPath" in error.why


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("keep", [0.02, 0.5, 0.97])
def test_truncated_files(tmp_path: Path, zipped: bool, keep: float) -> None:
    torch.save(random_state(), tmp_path / "whole.pth", _use_new_zipfile_serialization=zipped)
    data = (tmp_path / "whole.pth").read_bytes()
    (tmp_path / "m.pth").write_bytes(data[: int(len(data) * keep)])
    assert "damaged or incomplete" in refused(tmp_path / "m.pth").what


@pytest.mark.parametrize("keep", [0.01, 0.5, 0.99])
def test_truncated_safetensors(tmp_path: Path, keep: float) -> None:
    model = create_model("videomamba_tiny", frames=2, d_model=16, depth=1, size=16)
    save_checkpoint(model, tmp_path / "whole.safetensors")
    data = (tmp_path / "whole.safetensors").read_bytes()
    (tmp_path / "m.safetensors").write_bytes(data[: int(len(data) * keep)])
    assert "damaged or incomplete" in refused(tmp_path / "m.safetensors").what


@pytest.mark.parametrize("content", [b"", b"hello, I am a text file\n", b"\x89PNG\r\n\x1a\n" + b"0" * 64])
def test_no_checkpoint_at_all(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.pth").write_bytes(content)
    assert "is no checkpoint" in refused(tmp_path / "m.pth").what


@pytest.mark.parametrize("content", [b"\x80", b"\x80\x02garbage", b"PK\x03\x04garbage", b"12345678{not json"])
def test_garbage_behind_a_familiar_beginning(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.pth").write_bytes(content)
    assert "damaged or incomplete" in refused(tmp_path / "m.pth").what


def test_a_header_larger_than_anyone_needs(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    for length in (2**63, 64 << 20):
        with path.open("wb") as file:
            file.write(length.to_bytes(8, "little") + b"{")
            file.truncate(128 << 20)  # a hole of that size takes no place on the disk
        assert "header claims" in refused(path).why


def test_pipes_and_devices_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pth")
    (tmp_path / "zero.safetensors").symlink_to("/dev/zero")
    for name in ("pipe.pth", "zero.safetensors"):
        assert "not a regular file" in refused(tmp_path / name).why


def test_a_folder(tmp_path: Path) -> None:
    assert "is a folder" in refused(tmp_path).why


@pytest.mark.parametrize("name", ["a" * 300 + ".pth", "a\0b.pth"])
def test_a_name_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    assert "cannot read" in refused(tmp_path / name).what


def test_a_missing_file(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "no.pth").why


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file(tmp_path: Path) -> None:
    torch.save(random_state(), tmp_path / "m.pth")
    (tmp_path / "m.pth").chmod(0)
    assert "cannot read" in refused(tmp_path / "m.pth").what


@pytest.mark.parametrize(
    "content", [[1, 2], torch.zeros(3), {"epoch": 3}, {"model": {"fc.weight": torch.zeros(2)}}]
)
def test_other_contents(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "m.pth")
    error = refused(tmp_path / "m.pth")
    assert "expected" in error.why
    assert "got" in error.why


def spoil(state: State, how: str) -> None:
    """Damage a good state dictionary in place."""
    key = "layers.1.mixer.x_proj_b.weight"
    if how == "missing":
        del state[key]
    elif how == "transposed":
        state[key] = state[key].T.contiguous()
    elif how == "nan":
        state[key][0, 0] = float("nan")
    elif how == "infinite":
        state[key][0, 0] = float("inf")
    elif how == "integers":
        state[key] = state[key].long()
    elif how == "no values":
        state[key] = state[key].to("meta")
    elif how == "flat":
        state["layers.0.mixer.A_log"] = state["layers.0.mixer.A_log"].flatten()
    elif how == "empty":
        state["patch_embed.proj.weight"] = torch.zeros(16, 3, 0, 0)
    elif how == "no blocks":
        for name in [name for name in state if name.startswith("layers.")]:
            del state[name]
    elif how == "gap":
        for name in [name for name in state if name.startswith("layers.0.")]:
            state[name.replace("layers.0", "layers.3")] = state[name]
    elif how == "not square":
        state["pos_embed"] = state["pos_embed"][:, :-1]
    elif how == "oblong patch":
        state["patch_embed.proj.weight"] = torch.zeros(16, 3, 4, 5)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("missing", ("missing key layers.1.mixer.x_proj_b.weight",)),
        ("transposed", ("layers.1.mixer.x_proj_b.weight", "expected (9, 32)", "got (32, 9)")),
        ("nan", ("layers.1.mixer.x_proj_b.weight", "1 NaN or infinite")),
        ("infinite", ("layers.1.mixer.x_proj_b.weight", "1 NaN or infinite")),
        ("integers", ("layers.1.mixer.x_proj_b.weight", "torch.int64")),
        ("no values", ("layers.1.mixer.x_proj_b.weight", "has a shape but no values")),
        ("flat", ("layers.0.mixer.A_log", "expected 2 dimensions", "got (128,)")),
        ("empty", ("patch_embed.proj.weight", "none empty")),
        ("no blocks", ("missing key layers.0.mixer.in_proj.weight",)),
        ("gap", ("expected layers 0 to 3", "[2]")),
        ("not square", ("pos_embed", "got 4")),
        ("oblong patch", ("patch_embed.proj.weight", "expected (16, 3, 5, 5)", "got (16, 3, 4, 5)")),
    ],
)
def test_damaged_weights(tmp_path: Path, how: str, words: tuple[str, ...]) -> None:
    state = random_state()
    spoil(state, how)
    torch.save({"model": state}, tmp_path / "m.pth")
    text = str(refused(tmp_path / "m.pth"))
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("rope.freqs_cos", "rotary"),
        ("cls_token_head", "two class tokens"),
        ("head_dist.weight", "distillation"),
        ("dist_token", "distillation"),
        ("layers.0.mixer.in_proj.bias", "biases"),
        ("layers.0.mlp.fc1.weight", "unexpected key layers.0.mlp.fc1.weight"),
        ("clip_decoder.0.weight", "unexpected key clip_decoder.0.weight"),
    ],
)
def test_other_variants(tmp_path: Path, key: str, words: str) -> None:
    torch.save({**random_state(), key: torch.zeros(3)}, tmp_path / "m.pth")
    text = str(refused(tmp_path / "m.pth"))
    assert words in text
    assert key in text


def test_bimamba_v1(tmp_path: Path) -> None:
    state = random_state(directions=1)
    for i in range(2):
        state[f"layers.{i}.mixer.A_b_log"] = torch.zeros(32, 4)
    torch.save(state, tmp_path / "m.pth")
    assert "bimamba v1" in refused(tmp_path / "m.pth").what


def test_overlapping_patches(tmp_path: Path) -> None:
    state = random_state(side=27, patch=16, depth=1)
    torch.save(state, tmp_path / "m.pth")
    error = refused(tmp_path / "m.pth")
    assert "overlapping" in error.what
    assert "size=432" in error.fix
    assert load_checkpoint(tmp_path / "m.pth", size=432, scale=0.5).architecture.size == 432
