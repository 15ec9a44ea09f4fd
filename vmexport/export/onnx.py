"""`export_onnx`: from a network to one checked `.onnx` file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import onnx
import torch

from vmexport.config import BatchProfile, ModelInfo
from vmexport.errors import InputError, UsageError
from vmexport.export.attach import attach_functions
from vmexport.export.metadata import write_info
from vmexport.export.report import ExportReport, parity_record
from vmexport.export.tidy import tidy
from vmexport.export.trace import trace
from vmexport.export.verify import count_nodes, verify
from vmexport.files import atomic_write
from vmexport.model import VideoMamba, freeze, resolve_model
from vmexport.runtime.onnx_runner import PARITY_ENTRY, OnnxRunner
from vmexport.runtime.parity import ParityReport, compare_runners
from vmexport.runtime.torch_runner import TorchRunner

OPSETS = (18, 19, 20)
"""Versions of the default domain that every runtime we serve reads."""

DEFAULT_OPSET = 18
PRECISIONS = ("fp32", "fp16")

Progress = Callable[[str], None]


@dataclass(frozen=True)
class _Request:
    """A valid order to export."""

    model: VideoMamba
    source: str
    path: Path
    profile: BatchProfile
    precision: str
    check: bool
    fallback: bool
    opset: int
    progress: Progress


def export_onnx(
    model: VideoMamba | Path | str,
    path: Path | str,
    batch: int | str | BatchProfile = 1,
    precision: str = "fp32",
    check: bool = True,
    fallback: bool = True,
    opset: int = DEFAULT_OPSET,
    progress: Progress | None = None,
) -> ExportReport:
    """Export a network to ONNX: input `clips (B, 3, T, H, W)` float32, output `logits (B, classes)` float32.

    The scan and the convolution are nodes of domain `vmexport`, each with a body of standard operators unless
    `fallback` is off. The file appears only when it is complete. Labels, preprocessing, architecture and the
    parity record are in its metadata.

    Args:
        model: a `VideoMamba`, a checkpoint, or a preset's name (random weights).
        path: the `.onnx` file to write; an existing one is replaced.
        batch: a fixed batch, or `min:opt:max` for a symbolic one.
        precision: "fp32", or "fp16" for half-precision weights and activations with float32 islands.
        check: compare the file with the float32 network in ONNX Runtime, at every probe of the profile.
        fallback: carry the function bodies, so that the file also runs without the operator library.
        opset: version of the default domain, 18 to 20.
        progress: called with a few words at the start of each step.

    Returns:
        what was written.

    Raises:
        UsageError: an option out of range, or a path without the suffix .onnx.
        InputError: the model or the place to write cannot be used, or a weight is NaN or infinite.
        EnvironmentProblem: the check needs onnxruntime (or the library) and it is missing.
        BuildError: the exporter failed, or the disk is full.
        ParityError: the file is written and marked as failed in its metadata; runners refuse it.
    """
    started = time.perf_counter()
    request = _request(model, Path(path), batch, precision, check, fallback, opset, progress)
    with atomic_write(request.path) as temporary:
        graph, report = _write(request, temporary)
    if report is not None:
        replace(report, b=str(request.path)).require()
    return ExportReport(
        path=str(request.path),
        size_bytes=request.path.stat().st_size,
        nodes=count_nodes(graph.graph),
        functions=tuple(function.name for function in graph.functions),
        opset=request.opset,
        profile=str(request.profile),
        precision=request.precision,
        parity=report and replace(report, b=str(request.path)),
        seconds=time.perf_counter() - started,
    )


def _write(request: _Request, temporary: Path) -> tuple[onnx.ModelProto, ParityReport | None]:
    """Build the graph, save it, verify what was saved, compare, and save again with the record."""
    request.progress("tracing the network")
    frozen = freeze(request.model, request.precision)
    graph = trace(frozen, request.model.architecture, request.profile, request.opset)
    tidy(graph)
    if request.fallback:
        request.progress("attaching the function bodies")
        attach_functions(graph)
    info = replace(request.model.info, profile=request.profile, precision=request.precision)
    write_info(graph, _with_record(info, parity_record(None, "")))
    onnx.save(graph, str(temporary))
    request.progress("verifying the file")
    verify(onnx.load(str(temporary)), request.model.architecture, request.precision, str(temporary))
    if not request.check:
        return graph, None
    report, backend = _compare(request, temporary)
    write_info(graph, _with_record(info, parity_record(report, backend)))
    onnx.save(graph, str(temporary))
    return graph, report


def _compare(request: _Request, temporary: Path) -> tuple[ParityReport, str]:
    """Run the saved file beside the float32 network."""
    with TorchRunner(request.model, request.source) as ours, OnnxRunner(temporary) as theirs:
        report = compare_runners(
            ours, theirs, progress=lambda batch: request.progress(f"comparing with PyTorch at batch {batch}")
        )
        return report, theirs.description


def _with_record(info: ModelInfo, record: str) -> ModelInfo:
    """The info with a parity record."""
    return replace(info, extra={**info.extra, PARITY_ENTRY: record})


def _request(
    model: VideoMamba | Path | str,
    path: Path,
    batch: int | str | BatchProfile,
    precision: str,
    check: bool,
    fallback: bool,
    opset: int,
    progress: Progress | None,
) -> _Request:
    """Refuse everything that can be refused before any work."""
    if opset not in OPSETS:
        raise UsageError(
            f"opset {opset} is not supported", f"expected one of {', '.join(map(str, OPSETS))}", "--opset 18"
        )
    if precision not in PRECISIONS:
        raise UsageError(f"unknown precision {precision!r}", f"expected one of {', '.join(PRECISIONS)}")
    profile = BatchProfile.parse(batch)
    _check_target(path)
    network, source = _network(model)
    _check_finite(network, source)
    return _Request(
        model=network,
        source=source,
        path=path,
        profile=profile,
        precision=precision,
        check=check,
        fallback=fallback,
        opset=opset,
        progress=progress or (lambda _: None),
    )


def _check_target(path: Path) -> None:
    """Refuse a place where no file can be written, before minutes of work."""
    if path.suffix.lower() != ".onnx":
        raise UsageError(
            f"cannot write {path}", "an ONNX file ends in .onnx", f"-o {path.with_suffix('.onnx')}"
        )
    if path.is_dir():
        raise InputError(f"cannot write {path}", "it is a folder", "name a file: -o model.onnx")
    if not path.parent.is_dir():
        raise InputError(
            f"cannot write {path}", f"the folder {path.parent} does not exist", f"mkdir -p {path.parent}"
        )
    if not os.access(path.parent, os.W_OK):
        raise InputError(
            f"cannot write {path}", "no permission to write there", "choose another place with -o"
        )


def _network(model: VideoMamba | Path | str) -> tuple[VideoMamba, str]:
    """The network and its name in messages."""
    if isinstance(model, VideoMamba):
        return model, "the network"
    network, _ = resolve_model(model)
    return network, str(model)


def _check_finite(model: VideoMamba, source: str) -> None:
    """Refuse weights that hold NaN or infinity."""
    for name, value in model.state_dict().items():
        if not torch.isfinite(value).all():
            raise InputError(
                f"the weights of {source} are damaged",
                f"{name} holds NaN or infinity",
                "use another checkpoint; this one comes from a diverged training run",
            )
