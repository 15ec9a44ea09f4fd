"""The searches work: seeds are good files, a finding is told, and a short search finds nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import fuzz_onnx
import fuzz_safetensors
import fuzz_sidecar
import fuzz_video
import pytest
from campaign import Target, keep_promise, search, seeds_of

from vmexport.errors import BuildError, InputError, VmexportError

TARGETS = [fuzz_video.TARGET, fuzz_sidecar.TARGET, fuzz_onnx.TARGET, fuzz_safetensors.TARGET]
SMOKE_S = 20

targets = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)


@targets
def test_seeds_are_read_and_their_halves_keep_the_promise(target: Target, tmp_path: Path) -> None:
    seeds, read = tmp_path / "seeds", target.reader()
    seeds.mkdir()
    (tmp_path / "one").mkdir()
    path = tmp_path / "one" / target.file
    good = 0
    for seed in seeds_of(target, seeds):
        shutil.copyfile(seed, path)
        try:
            read(path)
            good += 1
        except VmexportError:
            assert seed.name in {"foreign"}
        keep_promise(read, path, target.allowed)
        path.write_bytes(seed.read_bytes()[: seed.stat().st_size // 2])
        keep_promise(read, path, target.allowed)
    assert good


def test_what_breaks_the_promise_is_told(tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.touch()

    def refuse(error: Exception) -> None:
        raise error

    keep_promise(lambda _: refuse(InputError("no", "because")), path)
    with pytest.raises(AssertionError, match="exit code"):
        keep_promise(lambda _: refuse(BuildError("no")), path)
    with pytest.raises(RecursionError):
        keep_promise(lambda _: refuse(RecursionError()), path)
    opened: list[int] = []
    with pytest.raises(AssertionError, match="still open"):
        keep_promise(lambda _: opened.append(os.open(path, os.O_RDONLY)), path)
    os.close(opened[0])
    with pytest.raises(AssertionError, match=r"left behind: \['two'\]"):
        keep_promise(lambda _: (tmp_path / "two").touch(), path)


@pytest.mark.integration
@targets
def test_a_short_search_finds_nothing(target: Target, tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="Atheris has no wheel for this Python or processor")
    outcome = search(target, SMOKE_S, tmp_path)
    assert outcome.findings == []
    assert outcome.inputs > 100
