"""`vmexport info`: sizes and costs of a model, each with its convention named."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vmexport.cli import options, render

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
    cls_position: options.ClsPosition = None,
    scale: options.Scale = None,
    as_json: options.Json = False,
    verbose: options.Verbose = 0,
) -> None:
    """Show sizes and costs of a preset, a checkpoint, an ONNX file or an engine, and where an engine runs."""
    from vmexport.cli.engine_facts import engine_document, engine_facts
    from vmexport.config.flops import count
    from vmexport.export.about import about

    found = about(
        model,
        loading=options.given(interpolate_time=interpolate_time, trust_pickle=trust_pickle),
        **options.reading(cls_position, scale),
        **options.given(frames=frames, size=size, num_classes=classes),
    )
    render.notes(found.notes)
    cost = count(found.info.architecture, batch)
    if as_json:
        document = _document(model, found.info, cost, batch)
        if found.engine is not None:
            document["engine"] = engine_document(found.engine)
        render.as_json(document)
    else:
        _show(model, found.info, cost, batch)
        if found.engine is not None:
            render.facts("Engine", engine_facts(found.engine))


def _document(model: str, info: ModelInfo, cost: Cost, batch: int) -> dict[str, Any]:
    """The JSON form: costs at the top level, then what they belong to."""
    return {
        "model": model,
        "batch": batch,
        **asdict(cost),
        "flops": cost.flops,
        "conventions": CONVENTIONS,
        "precision": info.precision,
        "profile": str(info.profile),
        "labels": list(info.labels),
        "architecture": info.architecture.to_dict(),
        "preprocessing": info.preprocessing.to_dict(),
    }


def _show(model: str, info: ModelInfo, cost: Cost, batch: int) -> None:
    """Two tables: the network, and its costs."""
    a = info.architecture
    render.facts(
        model,
        {
            "input": f"(B, {', '.join(map(str, a.clip_shape))}) = (B, 3, T, H, W) float32",
            "frames": info.preprocessing.frames_taken,
            "output": f"(B, {a.num_classes}) logits, labels {'known' if info.labels else 'unknown'}",
            "width, depth": f"d={a.d_model}, D={a.d_inner}, {a.depth} blocks, N={a.d_state}",
            "tubelet grid": " x ".join(map(str, a.grid)) + f", class token {a.cls_position}",
            "directions": ", ".join(a.directions),
            "position": a.position,
            "precision, batch": f"{info.precision}, {info.profile}",
        },
    )
    values = {**asdict(cost), "flops": cost.flops}
    render.table(
        f"Cost of one forward pass, batch {batch}",
        ("figure", "value", "convention"),
        [(name, render.count(value), CONVENTIONS[name]) for name, value in values.items()],
    )
