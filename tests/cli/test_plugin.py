"""`vmexport plugin`: what it prints, and its exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_cmake import FakeCmake
from typer.testing import CliRunner

import vmexport
from vmexport.cli import render
from vmexport.cli.main import app
from vmexport.doctor import self_test as plugins
from vmexport.doctor.finding import BROKEN, MISSING, OK, SKIPPED, Finding
from vmexport.doctor.self_test import PluginReport
from vmexport.native.libraries import CUDA_BUILD_FIX, LIBRARIES, TRT_BUILD_FIX

runner = CliRunner()


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    yield
    render.set_verbosity(0)


@pytest.fixture
def cmake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeCmake:
    """A fake cmake and an empty cache."""
    fake = FakeCmake(tmp_path)
    for name, value in fake.environment.items():
        monkeypatch.setenv(name, value)
    return fake


@pytest.fixture
def native(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The `_native` folder of an installation without libraries."""
    folder = tmp_path / "package" / "_native"
    folder.mkdir(parents=True)
    monkeypatch.setattr(vmexport, "__path__", [str(folder.parent)])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def run(*words: str) -> Any:
    """`vmexport plugin WORDS`."""
    return runner.invoke(app, ["plugin", *words])


def test_build_shows_each_target_with_its_reason(cmake: FakeCmake) -> None:
    cmake.announce((("libvmexport_scan.so", "BUILT", "CPU"), ("libvmexport_ort.so", "SKIPPED", "no headers")))
    done = run("build", "--cuda", "off")
    assert done.exit_code == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if "libvmexport_" in line]
    assert "BUILT" in rows[0]
    assert "SKIPPED" in rows[1]
    assert "no headers" in rows[1]
    assert "log: " in done.stdout
    assert "configuring" in done.stderr
    assert "one.cpp" not in done.stderr  # no step a line where nobody watches
    assert "reused" in run("build", "--cuda", "off").stdout


def test_build_as_json(cmake: FakeCmake) -> None:
    done = run("build", "--cuda", "off", "--json")
    report = json.loads(done.stdout)
    assert [target["state"] for target in report["targets"]] == ["BUILT", "BUILT"]
    assert Path(report["folder"]).is_dir()
    assert report["toolchain"]["cmake"].endswith("3.30.0")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--cuda", "maybe"), 2, "'maybe' is not one of"),
        (("--architectures", "sm_87"), 2, "capabilities without the dot"),
        (("--jobs", "-1"), 2, "jobs"),
    ],
)
def test_wrong_words_are_exit_2(cmake: FakeCmake, words: tuple[str, ...], code: int, said: str) -> None:
    done = run("build", *words)
    assert done.exit_code == code
    assert said in done.stderr
    assert not cmake.calls("-S")


def test_a_compile_failure_is_exit_5(cmake: FakeCmake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_MODE", "fail")
    done = run("build", "--cuda", "off")
    assert done.exit_code == 5
    assert "expected a semicolon" in done.stderr
    assert "build.log" in done.stderr


def test_a_missing_tool_is_exit_3(cmake: FakeCmake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDACXX", "/nowhere/nvcc")
    done = run("build", "--cuda", "on")
    assert done.exit_code == 3
    assert "CUDACXX=/nowhere/nvcc names no program" in done.stderr


def test_path_of_one_library_is_all_of_stdout(native: Path) -> None:
    library = native / "libvmexport_ort.so"
    library.write_text("library")
    for word in ("ort", "libvmexport_ort.so"):
        done = run("path", word)
        assert done.exit_code == 0
        assert done.stdout == f"{library.resolve()}\n"
    assert json.loads(run("path", "ort", "--json").stdout)["origin"] == "package"


def test_path_of_a_missing_library_is_exit_3_with_the_fix(native: Path) -> None:
    done = run("path", "scan_cuda")
    assert done.exit_code == 3
    assert done.stdout == ""
    assert "fix: vmexport plugin build --cuda on" in done.stderr
    done = run("path", "scan_cuda", "--json")
    assert done.exit_code == 3
    assert json.loads(done.stdout)["path"] is None


def test_path_of_an_unknown_library_is_exit_2(native: Path) -> None:
    done = run("path", "trt9")
    assert done.exit_code == 2
    assert "scan, ort, scan_cuda, ort_cuda" in done.stderr


def test_path_of_all(native: Path) -> None:
    assert run("path").exit_code == 3
    (native / "libvmexport_scan.so").write_text("library")
    done = run("path")
    assert done.exit_code == 0
    assert [line for line in done.stdout.splitlines() if "libvmexport_scan.so" in line and "package" in line]
    for fix in (CUDA_BUILD_FIX, TRT_BUILD_FIX):  # each once, for all that it builds
        assert sum(line.endswith(f": {fix}") for line in done.stdout.splitlines()) == 1
    found = json.loads(run("path", "--json").stdout)
    assert [one["name"] for one in found] == list(LIBRARIES)
    (native / "libvmexport_ort.so").write_text("library")
    (native / "libvmexport_ort.so").chmod(0o777)
    done = run("path")
    assert done.exit_code == 3
    assert "everybody may write it" in done.stderr


@pytest.mark.parametrize(
    ("libraries", "kernels", "code"),
    [
        ((OK, MISSING), (OK, SKIPPED), 0),
        ((BROKEN,), (), 3),
        ((OK,), (BROKEN,), 3),
        ((MISSING,), (MISSING,), 3),
    ],
)
def test_test_is_exit_3_where_something_is_broken_or_nothing_is_there(
    monkeypatch: pytest.MonkeyPatch, libraries: tuple[str, ...], kernels: tuple[str, ...], code: int
) -> None:
    def report() -> PluginReport:
        found = tuple(Finding(f"library {status}", status, "detail", fix="a fix") for status in libraries)
        return PluginReport("avx2", found, tuple(Finding(f"kernel {x}", x, "detail") for x in kernels))

    monkeypatch.setattr(plugins, "self_test", report)
    done = run("test")
    assert done.exit_code == code
    assert all(f"library {status}" in done.stdout for status in libraries)
    done = run("test", "--json")
    assert done.exit_code == code
    assert json.loads(done.stdout)["usable"] is (code == 0)
