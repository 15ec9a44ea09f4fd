"""A result belongs to a commit: sources that no commit holds are not measured, or the result says so."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import common
import pytest
from common import Goal, argument_parser, begin, finish
from sources import bundled_state, source_state, write_manifest

CPU_SCRIPTS = (
    "backward_cpu",
    "function_body",
    "issue_model",
    "model_cpu",
    "operator_cpu",
    "rtx_build",
    "static_cuda",
    "synthetic_accuracy",
    "training_cpu",
)
GPU_SCRIPTS = ("gpu_model", "gpu_operator", "gpu_tensorrt", "gpu_onnxruntime")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of one commit in place of the source tree."""
    (tmp_path / "benchmarks/results").mkdir(parents=True)
    for name in ("kernel.cpp", "README.md", "benchmarks/results/old.json"):
        (tmp_path / name).write_text("old\n")
    identity = ("-c", "user.name=t", "-c", "user.email=t@t")
    for words in (("init", "-q"), ("add", "."), (*identity, "commit", "-q", "-m", "first")):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    monkeypatch.setattr(common, "ROOT", tmp_path)
    monkeypatch.setattr(common, "RESULTS", tmp_path / "benchmarks/results")
    return tmp_path


def write_result(*words: str) -> dict[str, object]:
    """A whole run that finds 1.5 where 2 is allowed; the file that it writes."""
    run = begin(argument_parser("").parse_args(words))
    assert finish(run, "new", "a test", [Goal("a ratio", 1.5, 2.0)], {"detail": 7})
    found: dict[str, object] = json.loads((common.RESULTS / "new.json").read_text(encoding="utf-8"))
    return found


def test_a_clean_commit_is_named(checkout: Path) -> None:
    found = write_result()
    commit = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=checkout, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert found["clean"] is True
    assert isinstance(found["environment"], dict)
    assert found["environment"]["commit"] == commit
    assert isinstance(found["seconds"], float)
    assert found["detail"] == 7


def test_results_and_the_pages_that_quote_them_may_differ(checkout: Path) -> None:
    """The first of several scripts writes its result; the next one still measures the same sources."""
    (checkout / "README.md").write_text("new figures\n")
    (checkout / "benchmarks/results/old.json").write_text("{}\n")
    assert source_state(checkout)[1] == []
    assert write_result()["clean"] is True


def test_changed_sources_are_refused(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (checkout / "kernel.cpp").write_text("new\n")
    with pytest.raises(SystemExit) as caught:
        write_result()
    assert caught.value.code == 3
    error = capsys.readouterr().err
    assert "kernel.cpp" in error
    assert "--allow-dirty" in error
    assert not (common.RESULTS / "new.json").exists()


def test_changed_sources_that_are_allowed_are_told(checkout: Path) -> None:
    (checkout / "kernel.cpp").write_text("new\n")
    found = write_result("--allow-dirty")
    assert found["clean"] is False
    assert isinstance(found["environment"], dict)
    assert str(found["environment"]["commit"]).endswith("-dirty")


def test_outside_of_a_checkout_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "ROOT", tmp_path)
    monkeypatch.setattr(common, "RESULTS", tmp_path / "results")
    with pytest.raises(SystemExit):
        write_result()
    found = write_result("--allow-dirty")
    assert found["clean"] is False
    assert isinstance(found["environment"], dict)
    assert found["environment"]["commit"] is None


@pytest.mark.parametrize("name", CPU_SCRIPTS)
def test_every_script_refuses_before_it_measures(
    name: str, checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / "kernel.cpp").write_text("new\n")
    monkeypatch.setattr(sys, "argv", [name])
    with pytest.raises(SystemExit) as caught:
        import_module(name).main()
    assert caught.value.code == 3
    assert "no commit holds these sources" in capsys.readouterr().err


def test_every_script_that_writes_results_is_known(root_dir: Path) -> None:
    scripts = (root_dir / "benchmarks").glob("*.py")
    writing = {path.stem for path in scripts if " begin(" in path.read_text(encoding="utf-8")} - {"common"}
    assert writing == {*CPU_SCRIPTS, *GPU_SCRIPTS}


@pytest.mark.parametrize("path", sorted(common.RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_every_figure_of_the_pages_belongs_to_a_commit(path: Path) -> None:
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["clean"] is True
    assert re.fullmatch("[0-9a-f]{12}", found["environment"]["commit"])


def test_a_copy_without_history_knows_its_commit(checkout: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "bundle/sources.json"
    commit, changed = write_manifest(checkout, manifest)
    assert (commit, changed) == source_state(checkout)
    assert bundled_state(checkout, manifest) == (commit, [])
    (checkout / "README.md").write_text("new figures\n")
    assert bundled_state(checkout, manifest) == (commit, [])
    (checkout / "kernel.cpp").write_text("changed since\n")
    assert bundled_state(checkout, manifest) == (commit, ["kernel.cpp"])
    assert bundled_state(checkout, tmp_path / "nowhere.json") == (None, [])


def test_what_was_measured_survives_a_killed_run(checkout: Path, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    run = begin(argument_parser(None).parse_args(["--results", str(folder), "--allow-dirty"]))
    common.save(run, "row", "a test", [], {"rows": [1]}, complete=False)
    written = json.loads((folder / "row.json").read_text())
    assert (written["rows"], written["complete"]) == ([1], False)
    assert finish(run, "row", "a test", [], {"rows": [1, 2]})
    written = json.loads((folder / "row.json").read_text())
    assert written["rows"] == [1, 2]
    assert "complete" not in written
