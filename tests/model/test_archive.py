"""PyTorch files that would take more memory than they have bytes: refused before torch reads them."""

from __future__ import annotations

import contextlib
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from plain_vim import random_state

from vmexport.errors import InputError
from vmexport.model import load_checkpoint
from vmexport.model.checkpoints import archive

Change = Callable[[bytearray], None]


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("honest") / "model.pth"
    torch.save({"model": random_state()}, path)
    return path


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch must not even be asked."""

    def load(*arguments: object, **settings: object) -> None:
        pytest.fail("torch was given the file")

    monkeypatch.setattr(torch, "load", load)


def refused(path: Path, words: str, **options: bool) -> None:
    with pytest.raises(InputError, match=words) as caught:
        load_checkpoint(path, **options)  # type: ignore[arg-type]
    assert str(path) in caught.value.what
    assert caught.value.fix


def changed(source: Path, target: Path, change: Change) -> Path:
    content = bytearray(source.read_bytes())
    change(content)
    target.write_bytes(content)
    return target


def entry(content: bytearray, name: bytes) -> int:
    """Where the directory's entry of a record begins."""
    return content.rindex(b"model/" + name) - 46


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("trust_pickle", [True, False])
def test_a_record_that_unpacks_is_refused(
    tmp_path: Path, honest: Path, method: int, trust_pickle: bool
) -> None:
    with zipfile.ZipFile(honest) as source, zipfile.ZipFile(tmp_path / "bomb.pth", "w") as bomb:
        for record in source.infolist():
            bomb.writestr(record.filename, source.read(record), method)
        bomb.writestr("model/data/999", bytes(32 << 20), method)
    assert (tmp_path / "bomb.pth").stat().st_size < 1 << 20
    refused(tmp_path / "bomb.pth", "is compressed to unpack", trust_pickle=trust_pickle)


def larger(content: bytearray) -> None:
    at = entry(content, b"data/0")
    content[at + 20 : at + 28] = struct.pack("<2L", 0x7FFFFFFF, 0x7FFFFFFF)


def two_sizes(content: bytearray) -> None:
    at = entry(content, b"data/0")
    content[at + 24 : at + 28] = struct.pack("<L", 0x7FFFFFFF)


def deflated(content: bytearray) -> None:
    at = entry(content, b"data/0")
    content[at + 10 : at + 12] = struct.pack("<H", zipfile.ZIP_DEFLATED)


def encrypted(content: bytearray) -> None:
    content[entry(content, b"data/0") + 8] |= 1


def overlapping(content: bytearray) -> None:
    one, other = entry(content, b"data/0"), entry(content, b"data/1")
    content[other + 42 : other + 46] = content[one + 42 : one + 46]


def twice(content: bytearray) -> None:
    at = entry(content, b"data/11") + 46
    content[at : at + len("model/data/11")] = b"model/data/10"


def many(content: bytearray) -> None:
    content[-12:-10] = struct.pack("<H", 0xFFFF)
    content[-14:-12] = struct.pack("<H", 0xFFFF)


def elsewhere(content: bytearray) -> None:
    content[:] = content[: entry(content, b"data.pkl")] + b"PK" + content[entry(content, b"data.pkl") :]


def behind_a_comment(content: bytearray) -> None:
    content[-2:] = struct.pack("<H", 22)
    content += content[-22:-2] + b"\0\0"


def in_front(content: bytearray) -> None:
    content[:0] = b"PK\x03\x04" + bytes(60)


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (larger, "larger than the file"),
        (two_sizes, "two sizes"),
        (deflated, "compressed"),
        (encrypted, "encrypted"),
        (overlapping, "overlap"),
        (twice, "one name"),
        (elsewhere, "director"),
        (behind_a_comment, "damaged|director"),
        (in_front, "director"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_an_archive_that_claims_more_than_it_has(
    tmp_path: Path, honest: Path, change: Change, words: str
) -> None:
    refused(changed(honest, tmp_path / "evil.pth", change), words)


@pytest.mark.usefixtures("unread")
def test_more_records_than_anyone_needs(
    tmp_path: Path, honest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MOST_RECORDS", 10)
    refused(honest, "at most 10")
    refused(changed(honest, tmp_path / "model.pth", many), "at most 10|damaged")


def test_one_number_that_claims_to_be_a_tensor(tmp_path: Path) -> None:
    state = random_state()
    for name, value in state.items():
        if name == "head.weight":
            state[name] = torch.zeros(1, 1).expand(10_000_000, value.shape[1])
    for zipped in (True, False):
        torch.save(state, tmp_path / "model.pth", _use_new_zipfile_serialization=zipped)
        refused(tmp_path / "model.pth", "claims more than it holds")


def test_what_torch_saves_is_read(tmp_path: Path, honest: Path) -> None:
    load_checkpoint(honest, scale=0.5)
    torch.save(random_state(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    load_checkpoint(tmp_path / "old.pth", scale=0.5)


def test_whatever_the_bytes_only_one_kind_of_error_comes_out(tmp_path: Path, honest: Path) -> None:
    content = honest.read_bytes()
    directory = content.index(b"PK\x01\x02")
    chance = random.Random(14)
    for _ in range(300):
        evil = bytearray(content)
        for _ in range(chance.randint(1, 4)):
            evil[chance.randrange(directory, len(evil))] = chance.randrange(256)
        (tmp_path / "evil.pth").write_bytes(evil)
        with contextlib.suppress(InputError):
            load_checkpoint(tmp_path / "evil.pth", scale=0.5)
