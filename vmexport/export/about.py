"""What a preset or a file says of itself, and what holds for a file that is exported already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmexport.config import ModelInfo
from vmexport.config.names import is_engine, is_onnx, is_preset
from vmexport.errors import UsageError
from vmexport.runtime.tensorrt.sidecar import EngineInfo, read_engine


@dataclass(frozen=True)
class About:
    """What is known of a model without running it.

    Attributes:
        info: architecture, labels, preprocessing, batch profile, precision.
        engine: of an engine, its sidecar; else None.
        notes: what was changed or guessed when the file was read.
    """

    info: ModelInfo
    engine: EngineInfo | None = None
    notes: tuple[str, ...] = ()


def about(model: Path | str, *, loading: Mapping[str, Any] | None = None, **settings: Any) -> About:
    """What a preset or a file says of itself; a preset's network is not built.

    Args:
        model: a preset's name, a card, a checkpoint, an `.onnx` file or an engine.
        loading: arguments of `load_checkpoint`, for a checkpoint.
        **settings: settings of `Architecture` to replace.

    Raises:
        UsageError: no such preset, or settings that the model does not have.
        InputError: the file cannot be used.
    """
    path = Path(model)
    if is_engine(path):
        engine = read_engine(path)[0]
        refuse_changes(path, engine.model, settings, "vmexport trt")
        return About(engine.model, engine)
    if is_onnx(path):
        from vmexport.export.metadata import read_info

        info = read_info(path)
        refuse_changes(path, info, settings, "vmexport onnx")
        return About(info)
    from vmexport.model import load_card, load_checkpoint

    if is_preset(path):
        card = load_card(model)
        architecture = card.architecture.with_overrides(**settings)
        return About(ModelInfo(architecture, preprocessing=card.preprocessing))
    network = load_checkpoint(path, **settings, **(loading or {}))
    return About(network.info, notes=tuple(network.notes))


def refuse_changes(path: Path, info: ModelInfo, settings: Mapping[str, Any], command: str) -> None:
    """Refuse settings that an exported file does not have; there they are fixed.

    Args:
        path: the file.
        info: what it says of itself.
        settings: settings of `Architecture`; other arguments of a loader do not count.
        command: the one that writes such a file.

    Raises:
        UsageError: names the first that differs.
    """
    fixed = info.architecture.to_dict()
    for name, wanted in settings.items():
        if fixed.get(name, wanted) != wanted:
            raise UsageError(
                f"{path} has {name} {fixed[name]}, not {wanted}",
                "an exported file's settings are fixed",
                f"leave the option out, or make it again: {command} MODEL -o {path} "
                f"--{name.replace('num_', '')} {wanted}",
            )
