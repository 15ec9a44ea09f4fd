"""What a failed build says of itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vmexport.errors import BuildError, EnvironmentProblem, OutOfMemory
from vmexport.native.cmake import explain, run_step


@pytest.mark.parametrize(
    ("line", "kind", "fix"),
    [
        ("a.cpp:1:1: error: no", BuildError, "read the whole log: "),
        ("nvcc error : 'ptxas' died", BuildError, "vmexport plugin build --cuda off"),
        ("#error -- unsupported GNU version! gcc versions later than 12", BuildError, "CUDAHOSTCXX="),
        ("CMake Error: No CMAKE_CXX_COMPILER could be found.", EnvironmentProblem, "apt-get install g++"),
        ("c++: fatal error: Killed signal terminated program cc1plus", OutOfMemory, "--jobs 1"),
        ("write error: No space left on device", BuildError, "df -h"),
        ("write error: Disk quota exceeded", BuildError, "df -h"),
    ],
)
def test_failures_are_told_apart(line: str, kind: type[Exception], fix: str, tmp_path: Path) -> None:
    error = explain(["[1/2] Building", line], 1, tmp_path / "build.log")
    assert type(error) is kind
    assert fix in error.fix


def test_long_output_is_cut_to_what_tells(tmp_path: Path) -> None:
    lines = [f"fine {i}" for i in range(50)] + ["FAILED: a.o", "x" * 999] + [f"note {i}" for i in range(50)]
    shown = explain(lines, 1, tmp_path / "build.log").why.splitlines()
    assert shown[0] == "FAILED: a.o"
    assert len(shown) == 15
    assert max(map(len, shown)) < 210


def test_without_a_telling_line_the_end_is_shown(tmp_path: Path) -> None:
    assert explain([], 7, tmp_path / "log").why == "exit status 7, no output"
    assert explain([f"line {i}" for i in range(50)], 7, tmp_path / "log").why.endswith("line 49")


def test_steps_of_ninja_and_make_are_counted(tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    script = "echo '[3/14] Building a'; echo 'warning: [x]'; echo '[ 21%] Building b'"
    run_step(["sh", "-c", script], tmp_path / "log", lambda *step: steps.append(step), os.environ)
    assert steps == [("Building a", 3, 14), ("Building b", 21, 100)]
    assert "warning: [x]" in (tmp_path / "log").read_text()
