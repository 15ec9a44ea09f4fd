"""`export_onnx`: from a network to one checked `.onnx` file."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from vmexport.config import ModelInfo
from vmexport.config.metadata import FORM_ENTRY, PORTABLE
from vmexport.config.names import ONNX_FILE
from vmexport.config.progress import Say
from vmexport.export.attach import attach_functions
from vmexport.export.metadata import write_info
from vmexport.export.portable import portable, verify_portable
from vmexport.export.refusals import network_and_name, refuse_damaged, refuse_export
from vmexport.export.report import ExportReport, report_of
from vmexport.export.request import ExportRequest
from vmexport.export.trace import trace
from vmexport.export.verify import expect_one_file, verify, verify_model
from vmexport.files import atomic_write
from vmexport.model import VideoMamba
from vmexport.runtime.compare import ParityReport, compare_runners
from vmexport.runtime.onnx_runner import OnnxRunner
from vmexport.runtime.record import PARITY_ENTRY, parity_record
from vmexport.runtime.torch_runner import TorchRunner

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from vmexport.export.request import ExportOptions


@dataclass(frozen=True)
class _Job:
    """An export under way: the network, its name in messages, how to export it, and who is told."""

    model: VideoMamba
    source: str
    request: ExportRequest
    say: Say


def export_onnx(
    model: VideoMamba | Path | str,
    path: Path | str = ONNX_FILE,
    *,
    request: ExportRequest | None = None,
    progress: Say | None = None,
    **options: Unpack[ExportOptions],
) -> ExportReport:
    """Export a network to ONNX: input `clips (B, 3, T, H, W)` float32, output `logits (B, classes)` float32.

    The scan and the convolution are nodes of domain `vmexport`, each with a body of standard operators unless
    `fallback` is off; with `portable` there are only standard operators. The file appears only when it is
    complete. Labels, preprocessing, architecture and the parity record are in its metadata.

    Args:
        model: a `VideoMamba`, a checkpoint, or a preset's name (random weights).
        path: the `.onnx` file to write; an existing one is replaced.
        request: how, made beforehand; None takes the defaults.
        progress: called with a few words at the start of each step.
        **options: fields of `ExportRequest` that differ, such as `batch="1:4:8"` or `precision="fp16"`.

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
    request, path = replace(request or ExportRequest(), **options), Path(path)
    job = _Job(*network_and_name(model), request, progress or (lambda _: None))
    refuse_export(path, request)
    refuse_damaged(job.model, job.source)
    with atomic_write(path) as temporary:
        graph, report = _write(job, temporary)
    parity = report and replace(report, b=str(path))
    if parity is not None:
        parity.require()
    return report_of(graph, path, request, parity, started)


def _write(job: _Job, temporary: Path) -> tuple[onnx.ModelProto, ParityReport | None]:
    """Build the graph, save it, verify what was saved, compare, and save again with the record."""
    request, model = job.request, job.model
    job.say("tracing the network")
    form = {FORM_ENTRY: PORTABLE} if request.portable else {}
    info = replace(model.info, profile=request.profile, precision=request.precision)
    info = replace(info, extra={**info.extra, **form})
    graph = trace(model, info, request.opset)
    if request.portable:
        verify_model(graph, model.architecture, request.precision)
        job.say("inlining the function bodies")
        graph = portable(graph)
    elif request.fallback:
        job.say("attaching the function bodies")
        attach_functions(graph)
    expect_one_file(graph)
    write_info(graph, _with_record(info, parity_record(None, "")))
    onnx.save(graph, str(temporary))
    job.say("verifying the file")
    saved = onnx.load(str(temporary))
    if request.portable:
        verify_portable(saved, str(temporary))
    else:
        verify(saved, model.architecture, request.precision, str(temporary))
    if not request.check:
        return graph, None
    report, backend = _compare(job, temporary)
    write_info(graph, _with_record(info, parity_record(report, backend)))
    onnx.save(graph, str(temporary))
    return graph, report


def _compare(job: _Job, temporary: Path) -> tuple[ParityReport, str]:
    """Run the saved file beside the float32 network."""
    with TorchRunner(job.model, job.source) as ours, OnnxRunner(temporary) as theirs:
        report = compare_runners(
            ours, theirs, progress=lambda batch: job.say(f"comparing with PyTorch at batch {batch}")
        )
        return report, theirs.description


def _with_record(info: ModelInfo, record: str) -> ModelInfo:
    return replace(info, extra={**info.extra, PARITY_ENTRY: record})
