"""The doctor's findings, and that a kernel which computes wrong numbers does not pass."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vmexport.bench import doctor, selftest
from vmexport.bench.doctor import BROKEN, EXTRAS, MISSING, OK, Finding
from vmexport.errors import EnvironmentProblem, ShapeError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def test_extras_are_those_of_pyproject(root_dir: Path) -> None:
    project = tomllib.loads((root_dir / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for name, distributions in EXTRAS.items():
        declared = [line.split(">")[0] for line in project["optional-dependencies"][name]]
        assert tuple(declared) == distributions


def test_the_oracles_agree_with_the_reference() -> None:
    torch = pytest.importorskip("torch")
    from vmexport.ops.reference import causal_conv1d_reference, selective_scan_reference

    order: dict[str, Any] = {
        "directions": selftest.ORDERS,
        "tokens_per_frame": selftest.FRAME,
        "class_token": 1,
    }
    scan = {name: torch.from_numpy(value).double() for name, value in selftest.scan_inputs().items()}
    conv = {name: torch.from_numpy(value).double() for name, value in selftest.conv_inputs().items()}
    np.testing.assert_allclose(
        selftest.scan_oracle(selftest.scan_inputs()), selective_scan_reference(**scan, **order), rtol=1e-12
    )
    np.testing.assert_allclose(
        selftest.conv_oracle(selftest.conv_inputs()), causal_conv1d_reference(**conv, **order), rtol=1e-12
    )


def test_judge_tells_right_wrong_missing_and_refused() -> None:
    expected = np.ones((2, 3))

    def judged(run: Any) -> str:
        return selftest.judge("kernel", run, expected)["status"]

    def missing() -> Any:
        raise EnvironmentProblem("not built", "", "make native")

    def refused() -> Any:
        raise ShapeError("wrong shape")

    assert judged(lambda: np.ones((2, 3), np.float32)) == OK
    assert judged(lambda: np.full((2, 3), 1.001, np.float32)) == BROKEN
    assert judged(lambda: np.full((2, 3), np.nan, np.float32)) == BROKEN
    assert judged(missing) == MISSING
    assert judged(refused) == BROKEN


def test_this_machine_is_usable() -> None:
    report = doctor.examine()
    assert report.usable, [finding for finding in report.self_tests if finding.status == BROKEN]
    assert {finding.name for finding in report.libraries} == set(doctor.LIBRARIES)
    assert report.environment.cores >= 1


def test_a_self_test_that_crashes_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmexport.bench.doctor.sys.executable", "/bin/false")
    tier, findings = doctor._self_tests()
    assert tier == ""
    assert findings[-1].status == BROKEN


def test_a_library_that_others_could_replace_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def untrusted(_: str) -> Path:
        raise EnvironmentProblem("will not load it", "everybody may write it", "chmod o-w it")

    monkeypatch.setattr(doctor, "library_path", untrusted)
    finding = doctor._library("libvmexport_scan.so", "operators")
    assert finding == Finding(
        "libvmexport_scan.so", BROKEN, "will not load it: everybody may write it", "operators", "chmod o-w it"
    )
