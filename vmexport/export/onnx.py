"""`export_onnx`: from a network to one checked `.onnx` file."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import onnx

from vmexport.config import BatchProfile, ModelInfo
from vmexport.config.progress import Say
from vmexport.errors import BuildError
from vmexport.export.attach import attach_functions
from vmexport.export.metadata import write_info
from vmexport.export.report import ExportReport
from vmexport.export.request import DEFAULT_OPSET, Request, network_and_name
from vmexport.export.trace import trace
from vmexport.export.verify import count_nodes, verify
from vmexport.files import atomic_write
from vmexport.model import VideoMamba
from vmexport.runtime.compare import ParityReport, compare_runners
from vmexport.runtime.onnx_runner import OnnxRunner
from vmexport.runtime.record import PARITY_ENTRY, parity_record
from vmexport.runtime.torch_runner import TorchRunner

LARGEST_FILE_BYTES = 2**31 - 1
"""Protobuf's limit; a file of ours is always one file."""


def export_onnx(
    model: VideoMamba | Path | str,
    path: Path | str,
    batch: int | str | BatchProfile = 1,
    precision: str = "fp32",
    check: bool = True,
    fallback: bool = True,
    opset: int = DEFAULT_OPSET,
    progress: Say | None = None,
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
    request = Request(
        *network_and_name(model),
        Path(path),
        BatchProfile.parse(batch),
        precision=precision,
        check=check,
        fallback=fallback,
        opset=opset,
        progress=progress or (lambda _: None),
    )
    request.refuse()
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


def _write(request: Request, temporary: Path) -> tuple[onnx.ModelProto, ParityReport | None]:
    """Build the graph, save it, verify what was saved, compare, and save again with the record."""
    request.progress("tracing the network")
    info = replace(request.model.info, profile=request.profile, precision=request.precision)
    graph = trace(request.model, info, request.opset)
    if request.fallback:
        request.progress("attaching the function bodies")
        attach_functions(graph)
    _check_size(graph)
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


def _check_size(graph: onnx.ModelProto) -> None:
    """Refuse a graph that does not fit into one file."""
    size = graph.ByteSize()
    if size > LARGEST_FILE_BYTES:
        raise BuildError(
            "the model is too large for one ONNX file",
            f"at most {LARGEST_FILE_BYTES} bytes, got {size}",
            "export with --fp16, which halves it",
        )


def _compare(request: Request, temporary: Path) -> tuple[ParityReport, str]:
    """Run the saved file beside the float32 network."""
    with TorchRunner(request.model, request.source) as ours, OnnxRunner(temporary) as theirs:
        report = compare_runners(
            ours, theirs, progress=lambda batch: request.progress(f"comparing with PyTorch at batch {batch}")
        )
        return report, theirs.description


def _with_record(info: ModelInfo, record: str) -> ModelInfo:
    """The info with a parity record."""
    return replace(info, extra={**info.extra, PARITY_ENTRY: record})
