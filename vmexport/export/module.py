"""`export_module`: from any module with Mamba-1 scans, whoever wrote it, to one checked `.onnx` file."""

from __future__ import annotations

import contextlib
import inspect
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from vmexport.config import BatchProfile
from vmexport.config.choices import Precision
from vmexport.config.names import ONNX_FILE
from vmexport.config.progress import Say
from vmexport.errors import BuildError, ParityError, UsageError, VmexportError
from vmexport.export.attach import attach_functions
from vmexport.export.graph import operator_nodes
from vmexport.export.half import half_precision
from vmexport.export.portable import portable, verify_portable
from vmexport.export.refusals import refuse_damaged, refuse_export
from vmexport.export.report import ExportReport, report_of
from vmexport.export.request import ExportRequest
from vmexport.export.tidy import tidy
from vmexport.export.trace import BATCH_AXIS, run_exporter
from vmexport.export.verify import expect_names, expect_one_file, expect_valid
from vmexport.files import atomic_write
from vmexport.foreign.device_guard import let_cpu_pass
from vmexport.foreign.kernels import by_definition
from vmexport.foreign.patch import Patch, patch_mamba
from vmexport.ops.schema import SELECTIVE_SCAN
from vmexport.package import VERSION
from vmexport.runtime.compare import SEED, ParityReport
from vmexport.runtime.module_runner import MODULE_ENTRY, ModuleRunner
from vmexport.runtime.record import parity_record
from vmexport.runtime.tolerance import TOLERANCES, Agreement, compare_logits

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from vmexport.export.request import ExportOptions

OWN_CODE = "PyTorch, float32, the module's own code"
DEFINITION = "PyTorch, float32, the module with its kernels replaced by their definition"
"""What a file was compared with: the second where the module's own kernels do not run on this machine."""


@dataclass(frozen=True)
class _Job:
    """An export under way."""

    module: nn.Module
    inputs: tuple[Tensor, ...]
    request: ExportRequest
    say: Say

    @property
    def name(self) -> str:
        """The module in messages."""
        return type(self.module).__name__

    @property
    def profile(self) -> BatchProfile:
        return self.request.profile

    def at(self, batch: int) -> tuple[Tensor, ...]:
        """Inputs of another batch: the first ones are those given, further ones are noise of their scale."""
        draw = torch.Generator().manual_seed(SEED)
        return tuple(_batched(value, batch, draw) for value in self.inputs)


def export_module(
    module: nn.Module,
    path: Path | str = ONNX_FILE,
    *,
    inputs: Sequence[Tensor],
    request: ExportRequest | None = None,
    progress: Say | None = None,
    **options: Unpack[ExportOptions],
) -> ExportReport:
    """Export any module with Mamba-1 scans to ONNX; its scans and convolutions become nodes of ours.

    The module's entry points (`vmexport.patch_mamba`) are patched while it is traced, and as before after it.
    The file is compared with the module as its authors wrote it, at every batch of the profile; where its
    kernels do not run on a CPU, with plain definitions in their place.

    Args:
        module: on the CPU, with its weights; it is exported as for evaluation.
        path: the `.onnx` file to write; an existing one is replaced.
        inputs: example arguments of `module.forward`, batch first.
        request: how, made beforehand; None takes the defaults, and the batch of the inputs.
        progress: called with a few words at the start of each step.
        **options: fields of `ExportRequest` that differ, such as `batch="1:4:8"`.

    Returns:
        what was written. A half-precision file has float32 inputs and outputs, as every file of ours.

    Raises:
        UsageError: an option out of range; inputs that are no tensors or of different batches; a call that no
            node expresses, such as a scan without softplus.
        InputError: the place to write cannot be used, or a weight is NaN or infinite.
        BuildError: the exporter failed, or the module holds no scan.
        ParityError: the file computes something else; it is not written.
    """
    started = time.perf_counter()
    values, path = _checked(module, inputs), Path(path)
    request = replace(request or ExportRequest(batch=len(values[0])), **options)
    job = _Job(module, values, request, progress or (lambda _: None))
    refuse_export(path, request)
    refuse_damaged(module, job.name)
    with _evaluating(module), torch.no_grad():
        graph = _graph(job)
        with atomic_write(path) as temporary:
            parity = _write(job, graph, temporary)
            if parity is not None:
                replace(parity, b=str(path)).require()
    return report_of(graph, path, request, parity, started)


def _checked(module: nn.Module, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The inputs as a tuple of CPU tensors of one batch."""
    values = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    if not values or not all(isinstance(value, Tensor) and value.dim() for value in values):
        raise UsageError(
            "a module is traced with example inputs",
            "expected tensors, batch first, as its forward takes them",
            "export_module(module, path, inputs=[torch.randn(1, 3, 224, 224)])",
        )
    if len({len(value) for value in values}) > 1:
        sizes = ", ".join(str(tuple(value.shape)) for value in values)
        raise UsageError(
            "the inputs are of different batches", f"shapes {sizes}", "one batch for all of them"
        )
    elsewhere = next((p.device for p in module.parameters() if p.device.type != "cpu"), None)
    if elsewhere is not None:
        raise UsageError(f"the module lies on {elsewhere}", "it is traced on the CPU", "module.cpu()")
    return tuple(value.detach().cpu() for value in values)


def _graph(job: _Job) -> onnx.ModelProto:
    """Trace the module and bring the graph into its final form."""
    job.say("tracing the module")
    profile, request = job.profile, job.request
    batch = max(2, profile.optimum) if profile.dynamic else profile.optimum
    shapes: tuple[object, ...] | None = None
    if profile.dynamic:
        axis = torch.export.Dim(BATCH_AXIS, min=profile.minimum, max=profile.maximum)
        shapes = tuple({0: axis} for _ in job.inputs)
    with patch_mamba() as patch:
        graph = run_exporter(
            job.module, job.at(batch), opset=request.opset, inputs=_input_names(job), outputs=None,
            dynamic_shapes=shapes,
        )  # fmt: skip
    if not operator_nodes(graph.graph, SELECTIVE_SCAN):
        raise _no_scan(job, patch)
    if request.precision == Precision.FP16:
        graph = half_precision(graph)
    tidy(graph, {value.name: value.name for value in (*graph.graph.input, *graph.graph.output)})
    if request.portable:
        graph = portable(graph)
    elif request.fallback:
        attach_functions(graph)
    expect_names(graph.graph)
    expect_one_file(graph)
    return graph


def _input_names(job: _Job) -> list[str]:
    """Names of the forward's parameters, as many as there are inputs."""
    named = [
        name
        for name, parameter in inspect.signature(job.module.forward).parameters.items()
        if parameter.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    ]
    return [named[i] if i < len(named) else f"input_{i}" for i in range(len(job.inputs))]


def _no_scan(job: _Job, patch: Patch) -> BuildError:
    """The error for a module without a scan, or with one that nobody recognised."""
    known = ", ".join(patch.entry_points) or "none"
    alone = "; ".join(f"{place}: {why}" for place, why in patch.left_alone.items())
    return BuildError(
        f"{job.name} holds no Mamba-1 scan that was recognised",
        f"known entry points that are loaded: {known}" + (f"; left alone: {alone}" if alone else ""),
        "call mamba-ssm's selective_scan_fn or vmexport.ops.selective_scan; Mamba-2 has another scan",
    )


def _write(job: _Job, graph: onnx.ModelProto, temporary: Path) -> ParityReport | None:
    """Save, verify, compare, and save again with the record."""
    _describe(job, graph, None, "", "")
    onnx.save(graph, str(temporary))
    job.say("verifying the file")
    if job.request.portable:
        verify_portable(onnx.load(str(temporary)), str(temporary))
    else:
        expect_valid(str(temporary))
    if not job.request.check:
        return None
    reports, source = [], ""
    with ModuleRunner(temporary) as runner:
        for batch in job.profile.probes():
            job.say(f"comparing with PyTorch at batch {batch}")
            values = job.at(batch)
            expected, source = _reference(job, values)
            found = runner(*(value.numpy() for value in values))
            reports.append(_agreement(expected, found))
        backend = runner.description
    report = ParityReport(
        job.name, str(temporary), job.request.precision, TOLERANCES[job.request.precision], tuple(reports)
    )
    _describe(job, graph, report, backend, source)
    onnx.save(graph, str(temporary))
    return report


def _reference(job: _Job, values: tuple[Tensor, ...]) -> tuple[list[Any], str]:
    """Outputs of the module as its authors wrote it, and how they were computed."""
    guard = let_cpu_pass()
    try:
        with by_definition():
            try:
                return _arrays(job.module(*values)), OWN_CODE
            except VmexportError:
                raise
            except Exception:  # whatever a kernel says that is not here: no extension, no driver, no triton
                with patch_mamba():
                    return _arrays(job.module(*values)), DEFINITION
    finally:
        guard()


def _arrays(outputs: Any) -> list[Any]:
    """The tensors of a nested output, as the exporter flattens it."""
    return [value.float().numpy() for value in pytree.tree_leaves(outputs) if isinstance(value, Tensor)]


def _agreement(expected: Sequence[Any], found: Sequence[Any]) -> Agreement:
    """How far the outputs are apart: each is measured against its own size, and the worst counts.

    Raises:
        ParityError: another number of outputs, or another shape of one.
    """
    if len(expected) != len(found):
        raise ParityError("the file is another module", f"{len(found)} outputs, expected {len(expected)}")
    flat = ([np.asarray(a, np.float32).reshape(len(a), -1) for a in side] for side in (expected, found))
    each = [compare_logits(a, b) for a, b in zip(*flat, strict=True)]
    worst = max(each, key=lambda one: (not one.finite, one.max_rel))
    return replace(worst, cosine=min(one.cosine for one in each)) if worst.finite else worst


def _describe(
    job: _Job, graph: onnx.ModelProto, report: ParityReport | None, backend: str, source: str
) -> None:
    """Write what the file is into its metadata."""
    record = json.loads(parity_record(report, backend))
    if source:
        record["reference"] = source
    description = {
        "module": job.name,
        "batch": str(job.profile),
        "precision": job.request.precision,
        "vmexport": VERSION,
        "parity": record,
    }
    del graph.metadata_props[:]
    graph.metadata_props.add(key=MODULE_ENTRY, value=json.dumps(description))


def _batched(value: Tensor, batch: int, draw: torch.Generator) -> Tensor:
    """A tensor of another batch, in which the given elements come first."""
    if batch <= len(value):
        return value[:batch].contiguous()
    missing = (batch - len(value), *value.shape[1:])
    if not value.is_floating_point():
        picked = torch.randint(len(value), missing[:1], generator=draw)
        return torch.cat([value, value[picked]])
    scale = float(value.std()) if value.numel() > 1 else 1.0
    noise = torch.randn(missing, generator=draw) * (scale or 1.0)
    return torch.cat([value, noise.to(value.dtype)])


@contextlib.contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode, and every part's own mode again afterwards."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode
