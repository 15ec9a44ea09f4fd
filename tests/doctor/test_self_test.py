"""The self-test of the native libraries: what does not load or computes wrong numbers does not pass."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backends import forget_loaded_libraries, native_library

import vmexport
from vmexport.doctor import child as selftest
from vmexport.doctor import front_ends as kernels
from vmexport.doctor import oracle
from vmexport.doctor import self_test as plugins
from vmexport.doctor.finding import BROKEN, MISSING, OK, SKIPPED, Finding
from vmexport.errors import EnvironmentProblem, ShapeError
from vmexport.native.libraries import (
    CUDA_LIBRARY,
    LIBRARIES,
    ORT_CUDA_LIBRARY,
    ORT_LIBRARY,
    SCAN_LIBRARY,
    TRT_LIBRARIES,
    TRT_LIBRARY,
    build_fix,
)
from vmexport.native.plugin_info import PluginBuild

needs_library = pytest.mark.skipif(native_library() is None, reason="the native kernels are not built")


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The `_native` folder of an installation without libraries."""
    folder = tmp_path / "package" / "_native"
    folder.mkdir(parents=True)
    monkeypatch.setattr(vmexport, "__path__", [str(folder.parent)])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    forget_loaded_libraries()
    yield folder
    forget_loaded_libraries()


def child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str) -> None:
    """Another program in the place of the Python that runs the self-test."""
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr("vmexport.doctor.self_test.sys.executable", str(program))


def test_the_oracles_agree_with_the_reference() -> None:
    torch = pytest.importorskip("torch")
    from vmexport.ops.reference import causal_conv1d_reference, selective_scan_reference

    order: dict[str, Any] = {"directions": oracle.ORDERS, "tokens_per_frame": oracle.FRAME, "class_token": 1}
    scan = {name: torch.from_numpy(value).double() for name, value in oracle.scan_inputs().items()}
    conv = {name: torch.from_numpy(value).double() for name, value in oracle.conv_inputs().items()}
    np.testing.assert_allclose(
        oracle.scan_oracle(oracle.scan_inputs()), selective_scan_reference(**scan, **order), rtol=1e-12
    )
    np.testing.assert_allclose(
        oracle.conv_oracle(oracle.conv_inputs()), causal_conv1d_reference(**conv, **order), rtol=1e-12
    )


def test_judge_tells_right_wrong_refused_and_untestable() -> None:
    expected = np.ones((2, 3))

    def judged(run: Callable[[], Any]) -> str:
        return selftest.judge("kernel", SCAN_LIBRARY, run, expected).status

    def raising(error: Exception) -> Callable[[], Any]:
        def run() -> Any:
            raise error

        return run

    assert judged(lambda: np.ones((2, 3), np.float32)) == OK
    assert judged(lambda: np.full((2, 3), 1.001, np.float32)) == BROKEN
    assert judged(lambda: np.full((2, 3), np.nan, np.float32)) == BROKEN
    assert judged(raising(ShapeError("wrong shape"))) == BROKEN
    assert judged(raising(EnvironmentProblem("it was loaded, and is of another version"))) == BROKEN
    assert judged(raising(RuntimeError("of a framework"))) == BROKEN
    assert judged(raising(kernels.Untestable("no GPU"))) == SKIPPED


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_library_that_is_not_built_is_missing_with_a_fix(installation: Path, name: str) -> None:
    finding = selftest.examine_library(name)
    assert (finding.status, finding.detail) == (MISSING, "not built")
    assert finding.fix.startswith("vmexport plugin build")
    assert finding.fix == build_fix(name)


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_library_that_does_not_load_is_broken_not_missing(installation: Path, name: str) -> None:
    (installation / name).write_bytes(b"\x7fELF and then nothing")
    finding = selftest.examine_library(name)
    assert finding.status == BROKEN
    assert "cannot load" in finding.detail
    assert finding.fix.endswith("--force")


@needs_library
@pytest.mark.parametrize("name", [CUDA_LIBRARY, ORT_LIBRARY, ORT_CUDA_LIBRARY, *TRT_LIBRARIES])
def test_a_library_without_its_functions_is_broken(installation: Path, name: str) -> None:
    root = Path(vmexport.__file__).parent
    shutil.copy(root / "_native" / SCAN_LIBRARY, installation / name)
    (installation / name).chmod(0o755)
    finding = selftest.examine_library(name)
    assert finding.status == BROKEN
    assert "undefined symbol" in finding.detail


def test_a_library_that_others_could_replace_is_broken(installation: Path) -> None:
    library = installation / SCAN_LIBRARY
    library.write_bytes(b"")
    library.chmod(0o777)
    finding = selftest.examine_library(SCAN_LIBRARY)
    assert finding.status == BROKEN
    assert "everybody may write it" in finding.detail
    assert finding.fix.startswith(f"chmod o-w {library}")


def test_kernels_fare_as_their_library(installation: Path) -> None:
    (installation / SCAN_LIBRARY).write_bytes(b"nothing")
    found = [finding for kind, finding in selftest.findings() if kind == "kernel"]
    assert {finding.purpose: finding.status for finding in found} == {
        SCAN_LIBRARY: BROKEN, ORT_LIBRARY: MISSING, CUDA_LIBRARY: MISSING, ORT_CUDA_LIBRARY: MISSING,
    }  # fmt: skip


def test_without_a_gpu_cuda_kernels_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmexport.native.gpu.present", lambda: False)
    finding = selftest.judge(
        "scan, CUDA", CUDA_LIBRARY, lambda: kernels.cuda_scan(oracle.scan_inputs()), np.zeros(1)
    )
    assert (finding.status, finding.detail) == (SKIPPED, "no GPU")


def test_a_gpu_that_the_library_was_not_built_for_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    class Library:
        def architectures(self) -> str:
            return "sm_90"

    monkeypatch.setattr("vmexport.ops.native_cuda.load_native_cuda", Library)
    monkeypatch.setattr("vmexport.native.gpu.compute_capabilities", lambda: ("87",))
    built = selftest._cuda_architectures()
    assert selftest._suits_gpus(built)[0] == "built for sm_90, not for this machine's sm_87"
    assert "--cuda on" in selftest._suits_gpus(built)[1]
    monkeypatch.setattr("vmexport.native.gpu.compute_capabilities", lambda: ("90",))
    assert selftest._suits_gpus(built) == ("built for sm_90", "")


@pytest.mark.parametrize(("installed", "fits"), [(None, True), ("10.13.3", True), ("11.1.0", False)])
def test_a_plugin_says_what_it_was_built_for(
    installation: Path, monkeypatch: pytest.MonkeyPatch, installed: str | None, fits: bool
) -> None:
    (installation / TRT_LIBRARY).touch()
    build = PluginBuild("0.1.0", "10.3.0", "IPluginV3", "sm_87 compute_87")
    monkeypatch.setattr(selftest, "read_plugin_build", lambda _path: build)
    monkeypatch.setattr(selftest, "installed_version", lambda _name: installed)
    monkeypatch.setattr("vmexport.native.gpu.compute_capabilities", lambda: ())
    finding = selftest.examine_library(TRT_LIBRARY)
    assert finding.status == OK
    assert "IPluginV3 for TensorRT 10.3.0, built for sm_87 compute_87" in finding.detail
    assert ("here is TensorRT 11.1.0" in finding.detail) is not fits
    assert finding.fix.startswith("TENSORRT_INCLUDE_DIR=<include folder of TensorRT 11>") is not fits


@needs_library
def test_the_libraries_here_pass() -> None:
    report = plugins.self_test()
    assert not report.broken
    assert [finding.name for finding in report.libraries] == list(LIBRARIES)
    states = {finding.name: finding.status for finding in report.kernels}
    assert states["scan, C ABI"] == states["convolution, C ABI"] == OK
    assert report.tier


def test_a_self_test_that_crashes_is_a_finding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = '{"library": {"name": "libvmexport_scan.so", "status": "ok", "detail": ""}}'
    child(monkeypatch, tmp_path, f"echo '{first}'; echo 'a word of a library'; kill -SEGV $$")
    report = plugins.self_test()
    assert report.libraries[0] == Finding("libvmexport_scan.so", OK, "")
    assert [finding.status for finding in report.libraries[1:]] == [SKIPPED] * (len(LIBRARIES) - 1)
    (finding,) = report.broken
    assert finding.detail == "the self-test ended early: signal 11"
    assert finding.fix == "vmexport plugin build --force"


def test_a_self_test_that_hangs_is_a_finding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    child(monkeypatch, tmp_path, "exec sleep 30")
    monkeypatch.setattr(plugins, "SELF_TEST_SECONDS", 0.2)
    assert "no answer within" in plugins.self_test().broken[0].detail


def test_without_numpy_nothing_is_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    report = plugins.self_test()
    assert [(finding.status, finding.fix) for finding in report.kernels] == [(MISSING, "pip install numpy")]
    assert not report.broken
