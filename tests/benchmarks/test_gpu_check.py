"""`benchmarks/gpu_check.py` around its steps: the clock, what is written when, and what counts as ok."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gpu_check
import pytest
from gpu_check import FAILED, NOT_RUN, OK, Outcome, Step
from patience import HANG_S
from sources import digest_of

H200 = "9.0"


def shell(name: str, words: str, limit_s: int = 30, tests: bool = False) -> Step:
    """A step of the first call that is a line of shell."""
    return Step(name, gpu_check.FIRST, limit_s, lambda setup: [["sh", "-c", words]], tests=tests)


Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs steps in a call of their own, where a GPU is and nothing has to be built: status and summary."""
    monkeypatch.setattr(gpu_check, "gpu_capability", lambda: (H200, ""))
    monkeypatch.setattr(gpu_check, "prepare", lambda check, capability: None)

    def run(*steps: Step, seconds: int = 100) -> tuple[int, dict[str, Any]]:
        monkeypatch.setattr(gpu_check, "STEPS", steps)
        status = gpu_check.main(["first", "--results", str(tmp_path), "--seconds", str(seconds)])
        return status, json.loads((tmp_path / "check-first.json").read_text())

    return run


def outcomes(summary: dict[str, Any]) -> list[tuple[str, str]]:
    return [(row["step"], row["outcome"]) for row in summary["steps"]]


def test_all_is_well(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, summary = run(shell("one", "echo a figure"), shell("two", "true"))
    assert status == 0
    assert outcomes(summary) == [("one", OK), ("two", OK)]
    assert "a figure" in (tmp_path / "check-first.log").read_text()
    assert capsys.readouterr().out.splitlines()[-1] == "2 ok, 0 failed, 0 not run"


def test_a_failed_step_does_not_stop_the_later_ones(run: Run) -> None:
    status, summary = run(shell("one", "echo wrong by far; exit 6"), shell("two", "true"))
    assert status == 6
    assert outcomes(summary) == [("one", FAILED), ("two", OK)]
    assert summary["steps"][0]["why"] == "exit status 6; wrong by far"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("printf 'it needs a GPU\\nwhy: no driver\\nfix: get one\\n'; exit 3", "it needs a GPU (no driver)"),
        ("echo 'not run: no TensorRT here'; exit 77", "no TensorRT here"),
        ("echo '==ERROR== Device not supported'; exit 1", "does not support this (virtual) machine"),
        ("echo 'ERR_NVGPUCTRPERM'; exit 1", "reserves them for administrators"),
    ],
)
def test_what_could_not_run_is_no_success_and_no_failure(run: Run, words: str, why: str) -> None:
    status, summary = run(shell("one", words), shell("two", "true"))
    assert status == 3
    assert outcomes(summary) == [("one", NOT_RUN), ("two", OK)]
    assert why in summary["steps"][0]["why"]


def test_a_part_that_did_not_run_is_a_row_of_its_own(run: Run) -> None:
    status, summary = run(shell("operator", "echo 'not run: mamba-ssm: it is not installed'; echo 20 us"))
    assert status == 3
    assert outcomes(summary) == [("operator", OK), ("operator: mamba-ssm", NOT_RUN)]
    assert summary["counts"] == {OK: 1, FAILED: 0, NOT_RUN: 1}


def test_skipped_tests_are_rows_but_for_those_of_other_machines(run: Run) -> None:
    skips = "SKIPPED [1] tests/a.py:3: one GPU only\nSKIPPED [2] tests/b.py:5: a library is not built"
    status, summary = run(shell("pytest", f"printf '{skips}\\n7 passed, 3 skipped\\n'", tests=True))
    assert status == 3
    assert outcomes(summary) == [("pytest", OK), ("pytest: tests", NOT_RUN)]
    assert summary["steps"][1]["why"].endswith("a library is not built")


def test_tests_that_all_skipped_did_not_run(run: Run) -> None:
    words = "printf 'SKIPPED [9] tests/b.py:5: PyTorch sees no GPU\\n9 skipped\\n'"
    status, summary = run(shell("pytest", words, tests=True))
    assert status == 3
    assert outcomes(summary) == [("pytest", NOT_RUN)]
    assert "every test skipped; [9] tests/b.py:5: PyTorch sees no GPU" in summary["steps"][0]["why"]


def test_a_missed_goal_is_no_failed_check(run: Run) -> None:
    status, summary = run(shell("operator", "exit 8"), shell("two", "true"))
    assert status == 8
    assert outcomes(summary) == [("operator", OK), ("two", OK)]


def test_a_step_that_hangs_is_ended_with_its_children(run: Run, tmp_path: Path) -> None:
    began = time.monotonic()
    words = f"echo begun; (sleep 60; touch {tmp_path}/late) & sleep 60"
    status, summary = run(shell("one", words, limit_s=gpu_check.LEAST_SECONDS), shell("two", "true"))
    assert time.monotonic() - began < 45
    assert status == 6
    assert outcomes(summary) == [("one", FAILED), ("two", OK)]
    assert "no end after 10 s" in summary["steps"][0]["why"]
    assert not (tmp_path / "late").exists()


def test_a_call_keeps_its_time(run: Run) -> None:
    status, summary = run(shell("one", "true"), seconds=gpu_check.LEAST_SECONDS - 1)
    assert status == 3
    assert summary["steps"][0]["why"] == "no time left of the call's 9 s"


def test_a_killed_run_has_lost_its_own_step_only(root_dir: Path, tmp_path: Path) -> None:
    """What is on disk at that moment is whole: the first step's outcome, and that the second was running."""
    program = (
        "import signal, sys; sys.path.insert(0, 'benchmarks'); import gpu_check as g\n"
        "signal.signal(signal.SIGTERM, g.stop)\n"
        "g.gpu_capability = lambda: ('9.0', ''); g.prepare = lambda check, capability: None\n"
        "step = lambda name, words: g.Step(name, g.FIRST, 99, lambda setup: [['sh', '-c', words]])\n"
        "g.STEPS = (step('one', 'true'), step('two', 'echo half; sleep 99'))\n"
        f"g.main(['first', '--results', {str(tmp_path)!r}])"
    )
    command = [sys.executable, "-c", program]
    process = subprocess.Popen(command, cwd=root_dir, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == "half":
            break
    os.kill(process.pid, signal.SIGTERM)
    process.wait(HANG_S)
    summary = json.loads((tmp_path / "check-first.json").read_text())
    assert outcomes(summary) == [("one", OK), ("two", "running")]
    assert "half" in (tmp_path / "check-first.log").read_text()


def test_the_steps_of_both_calls_and_single_ones() -> None:
    names = {call: [step.name for step in gpu_check.parse([call])[1]] for call in ("first", "second")}
    assert names["first"][:5] == ["machine", "device-tests", "operator", "pytest", "model"]
    assert names["first"][-1] == "memcheck"
    assert names["second"] == ["ort-tests", "ort-model", "racecheck", "synccheck", "lengths", "tensorrt"]
    assert [step.name for step in gpu_check.parse([])[1]] == [*names["first"], *names["second"]]
    assert [step.name for step in gpu_check.parse(["model", "operator"])[1]] == ["operator", "model"]


def test_counts_of_nothing() -> None:
    assert gpu_check.counts([]) == {OK: 0, FAILED: 0, NOT_RUN: 0}
    assert gpu_check.exit_status([Outcome("one", OK)]) == 0


def script(root: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The script itself, run by this very Python."""
    return subprocess.run(
        ["bash", "benchmarks/gpu_check.sh", *words],
        cwd=root,
        env={**os.environ, "PYTHON": sys.executable, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
    )


def test_without_a_gpu_every_step_says_so(root_dir: Path, tmp_path: Path) -> None:
    done = script(root_dir, "--results", str(tmp_path), PATH="/usr/bin:/bin")
    assert done.returncode == 3, done.stdout + done.stderr
    for call in ("first", "second"):
        summary = json.loads((tmp_path / f"check-{call}.json").read_text())
        assert {row["outcome"] for row in summary["steps"]} == {NOT_RUN}
        assert {row["why"] for row in summary["steps"]} == {"no GPU: nvidia-smi is not installed"}
    assert done.stdout.splitlines()[-1] == "0 ok, 0 failed, 7 not run"


def test_an_unknown_step_is_a_usage_error(root_dir: Path) -> None:
    done = script(root_dir, "tests")
    assert done.returncode == 2
    assert "unknown step tests" in done.stderr
    assert "first, second, or of machine, device-tests, operator" in done.stderr


def test_a_python_that_is_not_there(root_dir: Path) -> None:
    done = script(root_dir, PYTHON="/no/such/python")
    assert done.returncode == 3
    assert "there is no /no/such/python" in done.stderr


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_check, "PACKAGES", ("json", "no_such_package"))
    assert gpu_check.no_package().endswith("-m pip install no_such_package")
    monkeypatch.setattr(gpu_check, "PACKAGES", ("json",))
    assert gpu_check.no_package() == ""


def test_a_bundle_of_other_sources_or_for_another_gpu_is_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bundle = tmp_path / "build/gpu-bundle"
    monkeypatch.setattr(gpu_check, "ROOT", tmp_path)
    monkeypatch.setattr(gpu_check, "BUNDLE", bundle)
    assert "there is no whole bundle in build/gpu-bundle" in gpu_check.bundle_misfit(H200)
    source = tmp_path / "plugins/kernel.cu"
    source.parent.mkdir()
    source.write_text("one")
    bundle.mkdir(parents=True)
    (bundle / "capability").write_text("9.0\n")
    digest = digest_of(source)
    (bundle / "sources.json").write_text(json.dumps({"files": {"plugins/kernel.cu": digest, "docs.md": "0"}}))
    assert gpu_check.bundle_misfit(H200) == ""
    assert gpu_check.bundle_misfit("8.7") == "the bundle is for compute capability 9.0, this GPU has 8.7"
    source.write_text("another")
    assert gpu_check.bundle_misfit(H200) == "the bundle is of other sources: plugins/kernel.cu"
