"""`examine`: what is installed and built on this machine, and does each kernel compute the right numbers."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from vmexport.bench.environment import Environment, environment, installed_version, python_environment
from vmexport.errors import EnvironmentProblem
from vmexport.ops.loading import BUILD_FIX, library_path

OK, MISSING, BROKEN = "ok", "missing", "broken"

PARTS: Mapping[str, str] = {
    "numpy": "everything",
    "torch": "checkpoints, export, the PyTorch runner",
    "onnx": "export",
    "onnxscript": "export",
    "safetensors": "checkpoints",
    "onnxruntime": "running .onnx files, the check of an export",
    "av": "reading videos",
}
"""Importable packages and what needs them."""

EXTRAS: Mapping[str, tuple[str, ...]] = {
    "cpu": ("onnxruntime",),
    "gpu": ("onnxruntime-gpu", "tensorrt", "mamba-ssm", "causal-conv1d"),
    "train": ("accelerate", "kornia", "matplotlib", "torchmetrics"),
    "bench": ("matplotlib", "nvidia-ml-py"),
}
"""Distributions of each optional extra, as in pyproject.toml."""

LIBRARIES: Mapping[str, str] = {
    "libvmexport_scan.so": "native operators for PyTorch; without it the slow reference computes",
    "libvmexport_ort.so": "native operators for ONNX Runtime; without it the function body computes",
}
"""Native libraries and what they are for."""

SELF_TEST_SECONDS = 60


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: the thing.
        status: `OK`, `MISSING` or `BROKEN`.
        detail: version, path or error.
        purpose: what needs it.
        fix: what to type where it is not `OK`.
    """

    name: str
    status: str
    detail: str
    purpose: str = ""
    fix: str = ""


@dataclass(frozen=True)
class DoctorReport:
    """All findings on this machine.

    Attributes:
        environment: machine, versions, commit.
        tier: instruction tier of the native kernels, empty where they are not built.
        packages: one finding a package of `PARTS`.
        extras: one finding an extra.
        libraries: one finding a native library.
        self_tests: one finding a kernel and front end, with its error against a float64 oracle.
    """

    environment: Environment
    tier: str
    packages: tuple[Finding, ...]
    extras: tuple[Finding, ...]
    libraries: tuple[Finding, ...]
    self_tests: tuple[Finding, ...]

    @property
    def usable(self) -> bool:
        """Whether nothing that is present is broken; a part that is not installed is only missing."""
        findings = (*self.packages, *self.extras, *self.libraries, *self.self_tests)
        return all(finding.status != BROKEN for finding in findings)


def examine() -> DoctorReport:
    """Look at this machine. Nothing optional is imported into this process, so nothing can take it down."""
    libraries = tuple(_library(name, purpose) for name, purpose in LIBRARIES.items())
    tier, self_tests = _self_tests()
    return DoctorReport(
        environment=environment(),
        tier=tier,
        packages=tuple(_package(name, purpose) for name, purpose in PARTS.items()),
        extras=tuple(_extra(name, distributions) for name, distributions in EXTRAS.items()),
        libraries=libraries,
        self_tests=self_tests,
    )


def importable(name: str) -> bool:
    """Whether a package can be found, without importing it."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _package(name: str, purpose: str) -> Finding:
    """One package of `PARTS`."""
    if importable(name):
        return Finding(name, OK, installed_version(name) or "version unknown", purpose)
    fix = "pip install 'vmexport[cpu]'" if name == "onnxruntime" else f"pip install {name}"
    return Finding(name, MISSING, "not installed", purpose, fix)


def _extra(name: str, distributions: tuple[str, ...]) -> Finding:
    """One extra: complete, or what it lacks."""
    lacking = [distribution for distribution in distributions if installed_version(distribution) is None]
    if not lacking:
        return Finding(name, OK, "complete", ", ".join(distributions))
    return Finding(
        name,
        MISSING,
        f"without {', '.join(lacking)}",
        ", ".join(distributions),
        f"pip install 'vmexport[{name}]'",
    )


def _library(name: str, purpose: str) -> Finding:
    """One native library: where it lies, and whether it is trusted."""
    try:
        path = library_path(name)
    except EnvironmentProblem as error:
        return Finding(name, BROKEN, f"{error.what}: {error.why}", purpose, error.fix)
    if path is None:
        return Finding(name, MISSING, "not built", purpose, BUILD_FIX)
    return Finding(name, OK, f"{path} (only you or root can write it)", purpose)


def _self_tests() -> tuple[str, tuple[Finding, ...]]:
    """Run `vmexport.bench.selftest` in its own process: a kernel that crashes is a finding, not the end."""
    if not importable("numpy"):
        return "", (Finding("kernels", MISSING, "numpy is not installed", "self-test", "pip install numpy"),)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "vmexport.bench.selftest"],
            capture_output=True,
            text=True,
            timeout=SELF_TEST_SECONDS,
            env=python_environment(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "", (Finding("kernels", BROKEN, f"no answer within {SELF_TEST_SECONDS} s", "self-test"),)
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    tier = next((str(answer["tier"]) for answer in answers if "tier" in answer), "")
    findings = [Finding(**answer) for answer in answers if "tier" not in answer]
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        findings.append(
            Finding("kernels", BROKEN, f"the self-test ended early: {last[0]}", "self-test", "make native")
        )
    return tier, tuple(findings)
