"""`vmexport onnx FILE.py:NAME`: a module of the user's own, made by a function of a Python file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vmexport.cli import render
from vmexport.cli.card_settings import parse_settings
from vmexport.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from vmexport.export.report import ExportReport
    from vmexport.export.request import ExportRequest

LARGEST_INPUT = 1 << 28
"""Elements of an example input, 1 GiB in float32."""


@dataclass(frozen=True)
class Factory:
    """What the command line says of a module.

    Attributes:
        source: `file.py:name`.
        inputs: shapes, `1x3x224x224`.
        settings: `name=value` arguments of the function.
        weights: a file of its weights.
    """

    source: str
    inputs: list[str]
    settings: list[str]
    weights: Path | None


def export_factory(
    factory: Factory,
    output: Path,
    request: ExportRequest,
    *,
    fixed: bool,
    other: Mapping[str, object],
) -> ExportReport:
    """Make the module and export it.

    Args:
        factory: what it is.
        output: the file to write.
        request: how.
        fixed: no batch was named: that of the inputs counts.
        other: options that belong to video models, by name.

    Raises:
        UsageError: an option of a video model, no input or an unreadable shape.
        VmexportError: as `vmexport.foreign.load_module` and `vmexport.export_module`.
    """
    given = [name for name, value in other.items() if value is not None]
    if given:
        raise UsageError(
            f"--{given[0]} is no option for {factory.source}",
            "the shape of a module of your own is its own affair",
            "give its arguments instead: --set NAME=VALUE",
        )
    settings = parse_settings(factory.settings, {})
    shapes = [_shape(text) for text in factory.inputs]
    if not shapes:
        raise UsageError(
            f"{factory.source} is traced with example inputs", "none was named", "--input 1x3x224x224"
        )
    with render.progress(f"running {factory.source}") as say:
        from vmexport.export.module import export_module
        from vmexport.foreign.factory import load_module

        module = load_module(factory.source, settings, factory.weights)
        values = _noise(shapes)
        if fixed:
            request = replace(request, batch=len(values[0]))
        return export_module(module, output, inputs=values, request=request, progress=say)


def _shape(text: str) -> tuple[int, ...]:
    """`1x3x224x224` as numbers."""
    parts = text.lower().split("x")
    shape = tuple(int(part) for part in parts if part.isascii() and part.isdigit() and len(part) < 10)
    size = 1
    for axis in shape:
        size *= axis
    if len(shape) != len(parts) or not 0 < size <= LARGEST_INPUT:
        raise UsageError(
            f"cannot read --input {text!r}",
            f"expected sizes with x between them, batch first, at most {LARGEST_INPUT:,} elements",
            "--input 1x3x224x224",
        )
    return shape


def _noise(shapes: list[tuple[int, ...]]) -> list[Tensor]:
    """Example inputs: seeded standard normal noise."""
    import torch

    draw = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=draw) for shape in shapes]
