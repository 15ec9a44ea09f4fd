"""How an engine is to be built: every default of `vmexport trt`, and the words of its options checked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from vmexport.config import BatchProfile
from vmexport.config.choices import PRECISIONS
from vmexport.config.names import ENGINE_SUFFIXES, is_engine
from vmexport.errors import UsageError
from vmexport.runtime.tensorrt.library import AUTO, CHOICES
from vmexport.runtime.tensorrt.versions import HARDWARE_LEVELS, HIGHEST_OPT_LEVEL, NO_COMPATIBILITY

OFF = "off"
SMALLEST_WORKSPACE_BYTES = 1 << 20
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True)
class EngineRequest:
    """What `build_engine` is asked for.

    Attributes:
        precision: "fp32", "fp16" or "bf16"; None: that of the ONNX file, "fp32" for weights.
        batch: batches to serve, `4` or `1:4:8`; None: those of the ONNX file, 1 for weights.
        workspace: most device memory for the scratch space of a kernel, bytes or `512M`, `2G`; "auto": 2 GiB
            or a quarter of what is free, the smaller of the two.
        opt_level: how long TensorRT searches, 0 (shortest) to 5; None: its own default.
        timing_cache: file that keeps measured times of kernels; "off"; None: one of the user's cache folder,
            named by GPU, TensorRT and CUDA.
        hardware_compatibility: "none", "ampere_plus" or "same_compute_capability".
        version_compatible: build an engine that newer versions of TensorRT can run too.
        plugin: TensorRT-RTX: whether the plugin computes the scans, or function bodies do, for which the
            machine that runs the engine needs nothing of vmexport; None: the plugin where one is built.
        embed_plugin: put the plugin library, native code, into the engine; needs `version_compatible`.
        profile_layers: measure the time of every layer afterwards.
        runtime: "auto", "tensorrt" or "rtx" (TensorRT-RTX, on function bodies).
        compute_capabilities: GPUs to build for ahead of time, such as ("8.6", "12.0"); RTX only. Empty: the
            GPU that is here, or else `DEFAULT_CAPABILITIES`.
        check: compare with PyTorch at every probe of the profile.
        force: build even if the engine is up to date, and overwrite what vmexport did not write.

    Raises:
        UsageError: a value out of range, or two that do not fit together.
    """

    precision: str | None = None
    batch: BatchProfile | str | int | None = None
    workspace: str | int = AUTO
    opt_level: int | None = None
    timing_cache: Path | str | None = None
    hardware_compatibility: str = NO_COMPATIBILITY
    version_compatible: bool = False
    embed_plugin: bool = False
    plugin: bool | None = None
    profile_layers: bool = False
    runtime: str = AUTO
    compute_capabilities: Sequence[str] = ()
    check: bool = True
    force: bool = False

    def __post_init__(self) -> None:
        if self.precision is not None:
            _one_of("precision", self.precision, PRECISIONS)
        _one_of("runtime", self.runtime, CHOICES)
        _one_of("hardware compatibility", self.hardware_compatibility, HARDWARE_LEVELS)
        if self.opt_level is not None and not 0 <= self.opt_level <= HIGHEST_OPT_LEVEL:
            raise UsageError(
                f"there is no optimisation level {self.opt_level}",
                f"expected 0 (builds fastest) to {HIGHEST_OPT_LEVEL} (searches longest)",
                "--opt-level 3",
            )
        if self.embed_plugin and not self.version_compatible:
            raise UsageError(
                "a plugin can be embedded only in a version-compatible engine",
                "TensorRT refuses it elsewhere",
                "--version-compatible --embed-plugin",
            )
        if self.batch is not None:
            object.__setattr__(self, "batch", BatchProfile.parse(self.batch))
        object.__setattr__(self, "workspace", parse_workspace(self.workspace))
        object.__setattr__(
            self, "compute_capabilities", parse_capabilities(",".join(self.compute_capabilities))
        )

    @property
    def profile(self) -> BatchProfile | None:
        """The batches asked for, or None."""
        return None if self.batch is None else BatchProfile.parse(self.batch)


class EngineOptions(TypedDict, total=False):
    """The fields of `EngineRequest` as keywords of `build_engine`."""

    precision: str | None
    batch: BatchProfile | str | int | None
    workspace: str | int
    opt_level: int | None
    timing_cache: Path | str | None
    hardware_compatibility: str
    version_compatible: bool
    embed_plugin: bool
    plugin: bool | None
    profile_layers: bool
    runtime: str
    compute_capabilities: Sequence[str]
    check: bool
    force: bool


def parse_workspace(text: str | int) -> str | int:
    """Bytes of `512M`, `2G`, `1.5GiB` or a number; "auto" stays.

    Raises:
        UsageError: it is none of these, or too small to be of use.
    """
    if text == AUTO:
        return AUTO
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?)(?:I?B)?", str(text).strip().upper())
    size = int(float(match[1]) * _UNITS[match[2]]) if match else 0
    if size < SMALLEST_WORKSPACE_BYTES:
        raise UsageError(
            f"cannot read the workspace {text!r}",
            "expected auto, or at least 1M, such as 512M or 2G",
            "--workspace auto",
        )
    return size


def parse_capabilities(text: str) -> tuple[str, ...]:
    """Compute capabilities of `8.9,12.0`, each once.

    Raises:
        UsageError: one is not written like that.
    """
    words = [word for word in re.split(r"[;,\s]+", text) if word]
    wrong = [word for word in words if not re.fullmatch(r"\d{1,2}\.\d", word)]
    if wrong:
        raise UsageError(
            f"cannot read the compute capability {wrong[0]!r}",
            "expected major.minor, several with commas",
            "--compute-capability 8.9,12.0",
        )
    return tuple(dict.fromkeys(words))


def check_engine_name(path: Path) -> None:
    """Refuse a name that nobody would take for an engine.

    Raises:
        UsageError: another suffix.
    """
    if not is_engine(path):
        raise UsageError(
            f"cannot write {path}",
            f"an engine ends in {', '.join(ENGINE_SUFFIXES)}",
            f"-o {path.with_suffix('.engine')}",
        )


def _one_of(what: str, value: str, allowed: Sequence[str]) -> None:
    """Refuse a value that is not one of few."""
    if value not in allowed:
        raise UsageError(f"unknown {what} {value!r}", f"expected one of {', '.join(allowed)}")
