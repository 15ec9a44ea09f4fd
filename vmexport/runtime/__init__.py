"""Runners, one signature for every backend: `with open_runner(path) as run: logits = run(clips)`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vmexport.config.names import is_engine, is_onnx
from vmexport.runtime.engine_runner import EngineRunner
from vmexport.runtime.onnx_runner import OnnxRunner
from vmexport.runtime.runner import Runner
from vmexport.runtime.session import CPU, SessionOptions

if TYPE_CHECKING:
    from vmexport.model import VideoMamba

__all__ = ["EngineRunner", "OnnxRunner", "Runner", "SessionOptions", "open_runner"]


def open_runner(
    model: VideoMamba | Path | str,
    *,
    library: str = "auto",
    threads: int = 0,
    verbose: bool = False,
    allow_failed: bool = False,
    device: str = CPU,
    cuda_graph: bool = False,
) -> Runner:
    """A runner for a model in any form; it takes memory only inside `with`.

    Args:
        model: a `VideoMamba`, a `.onnx`, `.safetensors` or `.engine` file, a foreign `.pth` checkpoint, or
            a preset's name (random weights).
        library: for `.onnx`: "auto", "off" (function body) or "require" (operator library).
        threads: threads within an operator; 0 stands for the cores this process may use.
        verbose: let ONNX Runtime print its warnings.
        allow_failed: also open a file or engine that its own parity check marked as failed.
        device: "cpu", or "cuda" for the first GPU; on entering, a runner refuses a device that is not there
            rather than use another. An engine always runs on the first GPU.
        cuda_graph: for an engine: launch each call as a CUDA graph, captured at a batch's first call.

    Returns:
        a closed `Runner`; `with` opens it.

    Raises:
        InputError: no such file or preset, or a damaged one.
        UsageError: an unknown value of `library`, `threads` or `device`, or a model of another kind.
    """
    options = SessionOptions(library=library, threads=threads, verbose=verbose, device=device)
    if is_onnx(model):
        return OnnxRunner(str(model), options, allow_failed=allow_failed)
    if is_engine(model):
        return EngineRunner(str(model), cuda_graph=cuda_graph, allow_failed=allow_failed)
    # PyTorch takes seconds to import: only those who run PyTorch models pay.
    from vmexport.model import resolve_model
    from vmexport.runtime.torch_runner import TorchRunner

    if isinstance(model, str | Path):
        network, _ = resolve_model(model)
        return TorchRunner(network, str(model), threads, device=device)
    return TorchRunner(model, type(model).__name__, threads, device=device)
