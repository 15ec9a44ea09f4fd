"""What a benchmark measures, as files that every backend's process can open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vmexport.config import BatchProfile, ModelInfo
from vmexport.config.names import ENGINE_FILE, ONNX_FILE, WEIGHTS_FILE, is_engine, is_onnx
from vmexport.config.progress import Say
from vmexport.errors import ParityError, UsageError
from vmexport.export.about import refuse_changes
from vmexport.runtime.engine_runner import REBUILD_COMMAND
from vmexport.runtime.runner import Runner
from vmexport.runtime.tensorrt.sidecar import read_sidecar

DEFAULT_FILES = (ONNX_FILE, WEIGHTS_FILE)


@dataclass(frozen=True)
class Subject:
    """A model on disk.

    Attributes:
        name: what it is, in words.
        info: what the `.onnx` file, or else the engine, says of itself.
        onnx: the exported file; None where only an engine is known.
        checkpoint: weights for PyTorch; None where only the other files are known.
        engine: a TensorRT engine, or None.
        engine_named: whether the engine was asked for; otherwise it only lies there.
    """

    name: str
    info: ModelInfo
    onnx: Path | None
    checkpoint: Path | None = None
    engine: Path | None = None
    engine_named: bool = False

    @property
    def rebuild(self) -> str:
        """The command that makes a file for another batch."""
        return Runner.rebuild if self.onnx else REBUILD_COMMAND

    def file_for(self, backend: str) -> Path | None:
        """The file that a backend opens, or None where there is none."""
        if backend.startswith("trt"):
            return self.engine
        if backend == "ort" and self.info.portable:  # it has no node for the operator library
            return None
        return (self.checkpoint or self.onnx) if backend == "torch" else self.onnx

    def backends(self, known: Iterable[str]) -> tuple[str, ...]:
        """Those backends that there is a file for."""
        return tuple(name for name in known if self.file_for(name) is not None)


def subject(
    model: Any,
    engine: Path | str | None,
    folder: Path,
    batch: int,
    overrides: Mapping[str, Any],
    say: Say,
) -> Subject:
    """Find or make the files of a model.

    Args:
        model: a `VideoMamba`, a file, a preset's name, or None for the working directory's files.
        engine: an engine of the same weights, or None.
        folder: for files that must be made.
        batch: clips of one call, for an export.
        overrides: architecture settings, for a preset or a checkpoint.
        say: called with a few words at the start of each step.

    Raises:
        UsageError: overrides for a file whose settings are fixed, or two engines.
        InputError: the model cannot be used.
        ParityError: the engine that was named is of another model.
    """
    if is_engine(model):
        if engine is not None:
            raise UsageError("there are two engines", f"{model} and {engine}", "name one of them")
        engine, model = model, _weights_beside(Path(model))
        if model is None:
            return _engine_alone(Path(engine), overrides)
    named = engine is not None
    if model is None:
        model = next((name for name in DEFAULT_FILES if Path(name).is_file()), None)
        if engine is None and model is not None and Path(ENGINE_FILE).is_file():
            engine = ENGINE_FILE
    if is_onnx(model):
        found = _exported(Path(model), overrides)
    else:
        found = _export(model, folder, batch, overrides, say)
    if engine is None:
        return found
    if named:
        _check_same(found, Path(engine))
    return replace(found, engine=Path(engine), engine_named=named)


def _weights_beside(engine: Path) -> Path | None:
    """The file of the same name that an engine was presumably built from; its logits will tell."""
    files = (engine.with_suffix(Path(name).suffix) for name in DEFAULT_FILES)
    return next((path for path in files if path.is_file()), None)


def _engine_alone(engine: Path, overrides: Mapping[str, Any]) -> Subject:
    """An engine that nothing can be compared with."""
    info = read_sidecar(engine).model
    refuse_changes(engine, info, overrides, "vmexport trt")
    return Subject(str(engine), info, None, engine=engine, engine_named=True)


def _check_same(found: Subject, engine: Path) -> None:
    """Refuse an engine that was named and takes other clips or knows other classes."""
    ours, theirs = found.info.architecture, read_sidecar(engine).model.architecture
    for name in ("clip_shape", "num_classes"):
        if getattr(ours, name) != getattr(theirs, name):
            why = f"{name} is {getattr(ours, name)} against {getattr(theirs, name)}"
            fix = f"build it again: {REBUILD_COMMAND} -o {engine}"
            raise ParityError(f"{found.name} and {engine} are different models", why, fix)


def _exported(path: Path, overrides: Mapping[str, Any]) -> Subject:
    """An `.onnx` file as it is."""
    from vmexport.export.metadata import read_info

    info = read_info(path)
    refuse_changes(path, info, overrides, "vmexport onnx")
    return Subject(str(path), info, path)


def _export(model: Any, folder: Path, batch: int, overrides: Mapping[str, Any], say: Say) -> Subject:
    """Weights in PyTorch, exported for this benchmark, which compares by itself."""
    from vmexport.export.onnx import export_onnx
    from vmexport.model import VideoMamba, resolve_model, save_checkpoint

    if isinstance(model, VideoMamba):
        network, name = model, "the network"
    else:
        say("loading the model")
        network, sentence = resolve_model(model, **overrides)
        name = sentence.rstrip(".")
    checkpoint = save_checkpoint(network, folder / WEIGHTS_FILE)
    path = folder / ONNX_FILE
    export_onnx(network, path, batch=batch, check=False, progress=say)
    return Subject(name, ModelInfo(network.architecture, profile=BatchProfile.parse(batch)), path, checkpoint)
