"""`vmexport info`: sizes and costs of a model, each with its convention named."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vmexport.cli import options, render
from vmexport.errors import UsageError

if TYPE_CHECKING:
    from vmexport.config import ModelInfo
    from vmexport.config.flops import Cost

CONVENTIONS = {
    "tokens": "tokens of one clip, class token included",
    "parameters": "learned numbers",
    "paper_macs": 'MACs of in_proj, out_proj and patch embedding only: the papers\' "GFLOPs"',
    "linear_macs": "MACs of all linear layers and convolutions",
    "scan_flops": "FLOPs of the scans, 9 B L D N for each direction and block",
    "exponentials": "exponentials of the scans, B L D N for each direction and block",
    "flops": "all FLOPs: 2 x linear_macs + scan_flops",
}


def info(
    model: options.RequiredModel,
    frames: options.Frames = None,
    size: options.Size = None,
    classes: options.Classes = None,
    batch: Annotated[int, typer.Option(min=1, help="Clips of one call, for the costs.")] = 1,
    interpolate_time: options.InterpolateTime = False,
    trust_pickle: options.TrustPickle = False,
    as_json: options.Json = False,
    verbose: options.Verbose = 0,
) -> None:
    """Show sizes and costs of a preset, a checkpoint, an ONNX file or an engine, and where an engine runs."""
    from vmexport.cli.engine_facts import engine_document, engine_facts, engine_of
    from vmexport.config.flops import count

    settings = options.given(frames=frames, size=size, num_classes=classes)
    loading = options.given(interpolate_time=interpolate_time, trust_pickle=trust_pickle)
    engine = engine_of(Path(model))
    if engine is None:
        about = model_info(model, settings, loading)
    else:
        about = _fixed(Path(model), engine.model, settings, "vmexport trt")
    cost = count(about.architecture, batch)
    if as_json:
        document = _document(model, about, cost, batch)
        render.as_json(document if engine is None else {**document, "engine": engine_document(engine)})
    else:
        _show(model, about, cost, batch)
        if engine is not None:
            render.facts("Engine", engine_facts(engine))


def model_info(model: str, settings: dict[str, Any], loading: dict[str, Any]) -> ModelInfo:
    """What a preset or a file says of itself; a preset's network is not built.

    Args:
        model: a preset's name, a card, a checkpoint or an `.onnx` file.
        settings: architecture settings to replace.
        loading: arguments of `load_checkpoint`.

    Raises:
        UsageError: no such preset, or settings that do not fit the file.
        InputError: the file cannot be used.
    """
    path = Path(model)
    if path.suffix.lower() == ".onnx":
        return _onnx_info(path, settings)
    from vmexport.config import ModelInfo
    from vmexport.model import load_card, load_checkpoint

    if path.suffix == ".toml" or (path.suffix == "" and path.parent == Path() and not path.exists()):
        card = load_card(model)
        return ModelInfo(card.architecture.with_overrides(**settings), preprocessing=card.preprocessing)
    network = load_checkpoint(path, **settings, **loading)
    render.notes(network.notes)
    return network.info


def _onnx_info(path: Path, settings: dict[str, Any]) -> ModelInfo:
    """Metadata of an exported file, whose settings cannot be replaced."""
    from vmexport.export.metadata import read_info

    return _fixed(path, read_info(path), settings, "vmexport onnx")


def _fixed(path: Path, about: ModelInfo, settings: dict[str, Any], command: str) -> ModelInfo:
    """The info of an exported file, or an error where other settings are asked for."""
    fixed = about.architecture.to_dict()
    for name, wanted in settings.items():
        if fixed[name] != wanted:
            raise UsageError(
                f"{path} has {name} {fixed[name]}, not {wanted}",
                "an exported file's settings are fixed",
                f"leave the option out, or export again: {command} MODEL -o {path}",
            )
    return about


def _document(model: str, about: ModelInfo, cost: Cost, batch: int) -> dict[str, Any]:
    """The JSON form: costs at the top level, then what they belong to."""
    return {
        "model": model,
        "batch": batch,
        **asdict(cost),
        "flops": cost.flops,
        "conventions": CONVENTIONS,
        "precision": about.precision,
        "profile": str(about.profile),
        "labels": list(about.labels),
        "architecture": about.architecture.to_dict(),
        "preprocessing": about.preprocessing.to_dict(),
    }


def _show(model: str, about: ModelInfo, cost: Cost, batch: int) -> None:
    """Two tables: the network, and its costs."""
    a = about.architecture
    render.facts(
        model,
        {
            "input": f"(B, {', '.join(map(str, a.clip_shape))}) = (B, 3, T, H, W) float32",
            "output": f"(B, {a.num_classes}) logits, labels {'known' if about.labels else 'unknown'}",
            "width, depth": f"d={a.d_model}, D={a.d_inner}, {a.depth} blocks, N={a.d_state}",
            "tubelet grid": " x ".join(map(str, a.grid)) + f", class token {a.cls_position}",
            "directions": ", ".join(a.directions),
            "position": a.position,
            "precision, batch": f"{about.precision}, {about.profile}",
        },
    )
    values = {**asdict(cost), "flops": cost.flops}
    render.table(
        f"Cost of one forward pass, batch {batch}",
        ("figure", "value", "convention"),
        [(name, render.count(value), CONVENTIONS[name]) for name, value in values.items()],
    )
