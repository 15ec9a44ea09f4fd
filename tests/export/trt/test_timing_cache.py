"""The timing cache: kept by GPU, TensorRT and CUDA, never in the way of a build that could go on without."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from build_machine import BuildMachine, MakeMachine
from fake_builder import CACHE_MAGIC

from vmexport.errors import EnvironmentProblem, InputError
from vmexport.export.trt import EngineReport, build_engine


def build(exported: Path, folder: Path, where: Path | str | None = None) -> EngineReport:
    return build_engine(exported, folder / "model.engine", timing_cache=where, check=False, force=True)


def test_the_second_build_starts_from_the_first_ones_times(
    machine: BuildMachine, exported: Path, tmp_path: Path
) -> None:
    first, second = build(exported, tmp_path), build(exported, tmp_path)
    assert (first.timing_cache_reused, second.timing_cache_reused) == (False, True)
    assert first.timing_cache == second.timing_cache
    assert machine.workshop.config.cache.entries == 2
    assert not first.notes
    assert not second.notes


def test_it_belongs_to_gpu_tensorrt_and_cuda(
    make_machine: MakeMachine, exported: Path, tmp_path: Path
) -> None:
    names = set()
    for version, name, driver in (
        ("10.3.0", "Fake Orin", 12060),
        ("10.3.1", "Fake Orin", 12060),
        ("10.3.0", "Fake/Thor", 12060),
        ("10.3.0", "Fake Orin", 13000),
    ):
        machine = make_machine(version, name=name)
        machine.cuda.driver = driver
        report = build(exported, tmp_path)
        assert not report.timing_cache_reused
        names.add(report.timing_cache)
    assert len(names) == 4
    assert {Path(str(name)).parent for name in names} == {tmp_path / "cache" / "vmexport" / "timing"}


@pytest.mark.parametrize("content", [b"\x00garbage", CACHE_MAGIC + b'["another GPU", 7]'])
def test_one_that_is_of_no_use_is_replaced_with_a_note(
    content: bytes, machine: BuildMachine, exported: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "timing.cache"
    cache.write_bytes(content)
    report = build(exported, tmp_path, cache)
    assert not report.timing_cache_reused
    assert f"{cache} was ignored" in report.notes[0]
    assert cache.read_bytes() == CACHE_MAGIC + b'["Fake Orin", 1]'
    assert machine.workshop.config.cache.entries == 1


def test_off(machine: BuildMachine, exported: Path, tmp_path: Path) -> None:
    assert build(exported, tmp_path, "off").timing_cache is None
    assert machine.workshop.config.flags == {"DISABLE_TIMING_CACHE"}
    assert not list(tmp_path.rglob("*.cache"))


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_read_only_cache_folder_is_refused_before_the_build(
    machine: BuildMachine, exported: Path, tmp_path: Path
) -> None:
    root = tmp_path / "cache"
    root.mkdir(mode=0o500)
    with pytest.raises(EnvironmentProblem, match="cannot write the cache folder") as caught:
        build(exported, tmp_path)
    assert "--timing-cache off" in caught.value.fix
    assert not machine.workshop.networks


def test_a_cache_folder_that_cannot_be_made(machine: BuildMachine, exported: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(EnvironmentProblem) as caught:
        build(exported, tmp_path)
    assert "--timing-cache off" in caught.value.fix
    assert not machine.workshop.networks


def test_a_cache_folder_that_others_may_write(machine: BuildMachine, exported: Path, tmp_path: Path) -> None:
    root = tmp_path / "cache" / "vmexport"
    root.mkdir(parents=True)
    root.chmod(0o777)
    with pytest.raises(EnvironmentProblem, match="will not use the cache folder"):
        build(exported, tmp_path)
    assert not machine.workshop.networks


def test_places_that_cannot_hold_one(machine: BuildMachine, exported: Path, tmp_path: Path) -> None:
    assert machine.cuda.count == 1
    cases = ((tmp_path, "a folder lies in its place"), (tmp_path / "no" / "cache", "does not exist"))
    for where, words in cases:
        with pytest.raises(InputError, match=words) as caught:
            build(exported, tmp_path, where)
        assert str(where) in caught.value.what
        assert caught.value.fix


def test_a_cache_that_cannot_be_written_does_not_cost_the_engine(
    machine: BuildMachine, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: object) -> bytes:
        raise RuntimeError("cannot serialise")

    monkeypatch.setattr("fake_builder.TimingCache.serialize", broken)
    report = build(exported, tmp_path)
    assert "was not written: RuntimeError: cannot serialise" in report.notes[0]
    assert report.size_bytes
    assert machine.workshop.config.cache.entries == 1
