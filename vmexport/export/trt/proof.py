"""Does the engine compute what the network does? Where it cannot run here: does the file it was made from?"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from vmexport.export.prepare import Prepared
from vmexport.export.report import parity_record
from vmexport.export.trt.progress import Progress
from vmexport.export.trt.target import Target
from vmexport.runtime.compare import ParityReport, compare_runners
from vmexport.runtime.engine_runner import EngineRunner
from vmexport.runtime.onnx_runner import PARITY_FAILED, OnnxRunner
from vmexport.runtime.runner import Runner
from vmexport.runtime.session import SessionOptions

ENGINE, ONNX_FILE, NOTHING = "engine", "onnx", "nothing"
"""What a comparison was made with."""

NO_BF16 = "ONNX Runtime has no bf16 kernels for the CPU"


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
            return json.dumps({**json.loads(parity_record(self.report, self.backend)), "proven": ENGINE})
        values = {**json.loads(parity_record(None, "")), "proven": self.proven, "reason": self.reason}
        if self.report is not None:
            values["onnx"] = json.loads(parity_record(self.report, self.backend))
            if not self.report.passed:
                values.update(status=PARITY_FAILED, reason=self.report.reason)
        return json.dumps(values)

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
    onnx.save(prepared.model, str(file))
    proof = _compared(prepared, OnnxRunner(file, SessionOptions(library="off")), ONNX_FILE, reason, say)
    file.unlink()
    return replace(proof, reason=f"{reason}; compared was the file it was built from, in {proof.backend}")


def _compared(prepared: Prepared, theirs: Runner, what: str, reason: str, say: Progress) -> Proof:
    """Run both sides at every probe of the profile."""
    from vmexport.runtime.torch_runner import TorchRunner

    assert prepared.reference is not None
    with TorchRunner(prepared.reference, prepared.source) as ours, theirs:
        report = compare_runners(
            ours, theirs, progress=lambda batch: say(f"comparing with PyTorch at batch {batch}", 0, 0)
        )
        return Proof(what, report, theirs.description, reason)
