"""Which TensorRT this machine has: NVIDIA's `tensorrt` package, or `tensorrt_rtx`."""

from __future__ import annotations

import importlib
import importlib.util

from vmexport.config.choices import Runtime
from vmexport.errors import EnvironmentProblem, UsageError
from vmexport.extras import install
from vmexport.runtime.tensorrt.features import (
    OLDEST,
    RTX,
    TENSORRT,
    Features,
    TensorRT,
    flavour_name,
    version_tuple,
)

AUTO = Runtime.AUTO.value
CHOICES = Runtime.all()
MODULES = {TENSORRT: "tensorrt", RTX: "tensorrt_rtx"}


def find_tensorrt(choice: str = AUTO) -> TensorRT:
    """The TensorRT to use; imports it, which needs no GPU.

    Args:
        choice: "tensorrt", "rtx", or "auto" for the first of the two that is installed.

    Raises:
        UsageError: another choice.
        EnvironmentProblem: not installed, too old, or installed and broken.
    """
    if choice not in CHOICES:
        raise UsageError(f"unknown TensorRT: {choice!r}", f"expected one of {', '.join(CHOICES)}")
    candidates = (TENSORRT, RTX) if choice == AUTO else (choice,)
    for flavour in candidates:
        if _installed(flavour):
            return _load(flavour)
    names = " nor ".join(MODULES[flavour] for flavour in candidates)
    lacking = f"the Python package {names} is not installed"
    if choice == AUTO:
        lacking = f"neither the Python package {names} is installed"
    raise EnvironmentProblem(
        f"{flavour_name(candidates[0])} is not installed",
        lacking,
        install(MODULES[candidates[0]]),
    )


def _installed(flavour: str) -> bool:
    """Whether the package can be found, without importing it; a mere folder of that name has no origin."""
    try:
        found = importlib.util.find_spec(MODULES[flavour])
    except (ImportError, ValueError):
        return False
    return found is not None and found.origin is not None


def _load(flavour: str) -> TensorRT:
    """Import the package and look at its version."""
    name = MODULES[flavour]
    fix = install(name, "--force-reinstall")
    try:
        module = importlib.import_module(name)
        version = str(module.__version__)
    except Exception as error:  # a missing libnvinfer shows as ImportError, OSError, or worse
        why = f"{type(error).__name__}: {error}".splitlines()[0]
        raise EnvironmentProblem(
            f"{flavour_name(flavour)} is installed but does not load", why, fix
        ) from error
    numbers = version_tuple(version)
    if not numbers:
        raise EnvironmentProblem(f"{name} does not tell its version", f"got {version!r}", fix)
    if numbers < OLDEST[flavour]:
        oldest = ".".join(map(str, OLDEST[flavour]))
        raise EnvironmentProblem(
            f"{flavour_name(flavour, version)} is too old for Python",
            f"at least {oldest} is needed; older ones are served by vmexport-run and trtexec",
            f"{install(name, '--upgrade')}   (or use vmexport-run)",
        )
    return TensorRT(module, flavour, version, Features(flavour, numbers))
