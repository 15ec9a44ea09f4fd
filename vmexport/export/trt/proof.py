"""What an engine was made from, and whether it computes the same as the network.

Where it cannot run here, the file it was made from is compared in its place.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from vmexport.config.progress import Progress
from vmexport.errors import InputError
from vmexport.export.attach import attach_functions
from vmexport.export.prepare import Prepared
from vmexport.export.trt.settings import EngineRequest
from vmexport.export.trt.target import Target
from vmexport.package import VERSION
from vmexport.runtime.compare import ParityReport, compare_runners
from vmexport.runtime.engine_runner import EngineRunner
from vmexport.runtime.onnx_runner import OnnxRunner
from vmexport.runtime.record import PARITY_FAILED, parity_record, seal
from vmexport.runtime.runner import Runner
from vmexport.runtime.session import SessionOptions
from vmexport.runtime.tensorrt.features import TensorRT
from vmexport.runtime.tensorrt.sidecar import EngineInfo, read_engine

ENGINE, GRAPH, NOTHING = "engine", "onnx", "nothing"
"""What a comparison was made with."""

NO_BF16 = "ONNX Runtime has no bf16 kernels for the CPU"

FINGERPRINT_ENTRY, OLD_FINGERPRINT_ENTRY = "fingerprint", "recipe"
"""Keys, now and formerly, in the sidecar's `ModelInfo.extra`: digest of what an engine was made from."""


@dataclass(frozen=True)
class Proof:
    """What was compared with PyTorch.

    Attributes:
        proven: "engine", "onnx" (the file that it was built from) or "nothing".
        report: the comparison, or None.
        backend: what computed the other side.
        reason: why the engine itself was not compared; empty where it was.
    """

    proven: str = NOTHING
    report: ParityReport | None = None
    backend: str = ""
    reason: str = ""

    def record(self) -> str:
        """The sidecar's parity entry, JSON: `status` is the engine's, `onnx` the comparison of its file."""
        if self.proven == ENGINE:
            return seal({**json.loads(parity_record(self.report, self.backend)), "proven": ENGINE})
        values = {**json.loads(parity_record(None, "")), "proven": self.proven, "reason": self.reason}
        if self.report is not None:
            values["onnx"] = json.loads(parity_record(self.report, self.backend))
            if not self.report.passed:
                values.update(status=PARITY_FAILED, reason=self.report.reason)
        return seal(values)

    def named(self, path: Path) -> Proof:
        """The same with the engine's final name."""
        return replace(self, report=self.report and replace(self.report, b=str(path)))


def prove(prepared: Prepared, engine: Path, target: Target, say: Progress) -> Proof:
    """Compare an engine, which lies in a private folder of its own, with the float32 network.

    Where no GPU here can run it, the graph that it was built from is compared in ONNX Runtime.

    Args:
        prepared: the graph and the network.
        engine: the engine, its sidecar beside it.
        target: the GPU.
        say: told the progress.

    Raises:
        EnvironmentProblem, BuildError, OutOfMemory: a side does not run.
    """
    if target.runs_here:
        return _compared(prepared, EngineRunner(engine), ENGINE, "", say)
    reason = f"the engine itself has not been run: {target.why_not_here}"
    if prepared.info.precision == "bf16":
        return Proof(reason=f"{reason}; nor the file it was built from: {NO_BF16}")
    file = engine.with_name("prepared.onnx")
    onnx.save(_runnable(prepared.model), str(file))
    proof = _compared(prepared, OnnxRunner(file, SessionOptions(library="off")), GRAPH, reason, say)
    file.unlink()
    return replace(proof, reason=f"{reason}; compared was the file it was built from, in {proof.backend}")


def fingerprint(prepared: Prepared, trt: TensorRT, target: Target, settings: EngineRequest) -> str:
    """Digest of the graph, the library, the GPU and the settings that shape an engine, hexadecimal."""
    gpu = target.gpu
    shaping = {
        "vmexport": VERSION,
        "trt": trt.name,
        "capabilities": target.capabilities,
        "gpu": gpu.name if gpu and not trt.features.named_capabilities else "",
        "cuda": gpu.cuda_driver if gpu and not trt.features.named_capabilities else "",
        "workspace": settings.workspace,
        "opt_level": settings.opt_level,
        "hardware_compatibility": settings.hardware_compatibility,
        "version_compatible": settings.version_compatible,
        "embed_plugin": settings.embed_plugin,
        "profile": str(prepared.info.profile),
    }
    found = hashlib.sha256(json.dumps(shaping, sort_keys=True).encode())
    found.update(prepared.model.SerializeToString(deterministic=True))
    return found.hexdigest()


def up_to_date(path: Path, digest: str, settings: EngineRequest, target: Target) -> EngineInfo | None:
    """The sidecar of an engine that need not be built again, or None.

    One that failed its comparison is built again, and so is one that was never compared as well as it can be
    now, if a comparison is wanted.
    """
    try:
        info, _ = read_engine(path)
    except InputError:
        return None
    known = info.model.extra.get(FINGERPRINT_ENTRY, info.model.extra.get(OLD_FINGERPRINT_ENTRY))
    if known != digest or info.parity.get("status") == PARITY_FAILED:
        return None
    if not settings.check:
        return info
    best = ENGINE if target.runs_here else NOTHING if info.model.precision == "bf16" else GRAPH
    return info if info.parity.get("proven") in (ENGINE, best) else None


def _runnable(graph: onnx.ModelProto) -> onnx.ModelProto:
    """The graph as ONNX Runtime runs it: with function bodies where the plugin would compute."""
    if graph.functions:
        return graph
    copy = onnx.ModelProto()
    copy.CopyFrom(graph)
    attach_functions(copy)
    return copy


def _compared(prepared: Prepared, theirs: Runner, what: str, reason: str, say: Progress) -> Proof:
    """Run both sides at every probe of the profile."""
    from vmexport.runtime.torch_runner import TorchRunner

    assert prepared.reference is not None
    with TorchRunner(prepared.reference, prepared.source) as ours, theirs:
        report = compare_runners(
            ours, theirs, progress=lambda batch: say(f"comparing with PyTorch at batch {batch}", 0, 0)
        )
        return Proof(what, report, theirs.description, reason)
