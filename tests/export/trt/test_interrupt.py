"""Progress of a build, and Ctrl-C in the middle of one."""

from __future__ import annotations

from pathlib import Path

import pytest
from build_machine import BuildMachine, MakeMachine
from engines import RTX_VERSION

from vmexport.export.trt import build_engine
from vmexport.export.trt.build import STEPS, BuildProgress


@pytest.mark.parametrize(("version", "rtx"), [("10.3.0", False), ("11.1.0", False), (RTX_VERSION, True)])
def test_ctrl_c_leaves_the_old_engine_and_the_timing_cache(
    version: str, rtx: bool, make_machine: MakeMachine, exported: Path, tmp_path: Path
) -> None:
    machine = make_machine(version, rtx=rtx, capability=(8, 9))
    engine = tmp_path / "model.engine"
    build_engine(exported, engine, check=False)
    before = engine.read_bytes()
    machine.workshop.interrupt = True
    with pytest.raises(KeyboardInterrupt):
        build_engine(exported, engine, check=False, force=True)
    assert engine.read_bytes() == before
    assert sorted(path.name for path in tmp_path.glob("*model*")) == ["model.engine", "model.engine.json"]
    if not rtx:
        (cache,) = (tmp_path / "cache").rglob("*.cache")
        assert cache.read_bytes().endswith(b"2]")  # what the interrupted build measured is in it


def test_ctrl_c_does_not_wait_for_a_builder_that_cannot_stop(
    make_machine: MakeMachine, exported: Path, tmp_path: Path
) -> None:
    machine = make_machine("8.6.1")
    machine.workshop.interrupt = True
    with pytest.raises(KeyboardInterrupt):
        build_engine(exported, tmp_path / "model.engine", check=False)
    assert not list(tmp_path.glob("*model*"))


def test_progress_is_told_and_never_goes_back(machine: BuildMachine, exported: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    build_engine(exported, tmp_path / "model.engine", check=False, progress=lambda *words: told.append(words))
    assert machine.workshop.config.progress_monitor is not None
    counted = [(step, done) for step, done, total in told if total]
    assert {step for step, _ in counted} == {"Building engine", "Timing tactics"}
    assert [done for _, done in counted] == sorted(done for _, done in counted)
    assert counted[-1][1] == STEPS
    assert any("reads the network" in step for step, _, total in told if not total)


def test_a_display_that_fails_does_not_end_the_build(
    machine: BuildMachine, exported: Path, tmp_path: Path
) -> None:
    assert machine.cuda.count == 1

    def broken(step: str, done: int, total: int) -> None:
        if total:
            raise OSError("the terminal is gone")

    assert build_engine(exported, tmp_path / "model.engine", check=False, progress=broken).size_bytes


def test_inner_phases_count_for_part_of_a_step_of_the_outer() -> None:
    told: list[int] = []
    progress = BuildProgress(lambda step, done, total: told.append(done))
    progress.start("outer", None, 2)
    progress.start("inner", "outer", 4)
    assert progress.step("inner", 1)
    assert told[-1] == STEPS // 4
    progress.finish("inner")
    progress.step("outer", 0)
    assert told[-1] == STEPS // 2
    progress.step("unknown", 3)
    progress.cancelled.set()
    assert not progress.step("outer", 1)
    assert told[-1] == STEPS
