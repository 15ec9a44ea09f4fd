"""`examine`: what is installed and built on this machine, and does each kernel compute the right numbers."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass

from vmexport.doctor.environment import Environment, environment, installed_version
from vmexport.doctor.finding import BROKEN, MISSING, OK, Finding
from vmexport.doctor.self_test import self_test
from vmexport.extras import EXTRAS, install, install_extra

PARTS: Mapping[str, str] = {
    "numpy": "everything",
    "torch": "checkpoints, export, the PyTorch runner",
    "onnx": "export",
    "onnxscript": "export",
    "safetensors": "checkpoints",
    "onnxruntime": "running .onnx files, the check of an export",
    "av": "reading videos",
    "tensorrt": "building and running engines with the plugin",
    "tensorrt_rtx": "building and running engines of RTX GPUs, without a plugin",
}
"""Importable packages and what needs them."""


@dataclass(frozen=True)
class DoctorReport:
    """All findings on this machine.

    Attributes:
        environment: machine, versions, commit.
        tier: instruction tier of the native kernels, empty where they are not built.
        packages: one finding a package of `PARTS`.
        extras: one finding an extra.
        libraries: one finding a native library: where it lies, whether it loads, what GPUs it was built for.
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
    plugins = self_test()
    return DoctorReport(
        environment=environment(),
        tier=plugins.tier,
        packages=tuple(_package(name, purpose) for name, purpose in PARTS.items()),
        extras=tuple(_extra(name, distributions) for name, distributions in EXTRAS.items()),
        libraries=plugins.libraries,
        self_tests=plugins.kernels,
    )


def importable(name: str) -> bool:
    """Whether a package can be found, without importing it; a mere folder of that name is none."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin is not None


def _package(name: str, purpose: str) -> Finding:
    """One package of `PARTS`."""
    if importable(name):
        return Finding(name, OK, installed_version(name) or "version unknown", purpose)
    return Finding(name, MISSING, "not installed", purpose, install(name))


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
        install_extra(name),
    )
