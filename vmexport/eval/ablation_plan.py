"""The rows of the paper's ablation tables, as changes to a model (sections 5.3 and 5.4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vmexport.config import Architecture
from vmexport.errors import UsageError
from vmexport.model.inflate import INIT_POSITIONS


@dataclass(frozen=True)
class Variant:
    """One row of a table.

    Attributes:
        name: folder of its run.
        cells: what stands in the row before the figures.
        changes: settings of the architecture that differ from the card's.
        init_position: how a positional table comes out of an image model's; None where that plays no part.
    """

    name: str
    cells: tuple[str, ...]
    changes: Mapping[str, Any] = field(default_factory=dict)
    init_position: str | None = None


@dataclass(frozen=True)
class Table:
    """One table of the paper.

    Attributes:
        number: as in the paper.
        title: what is compared.
        columns: heads of a variant's cells.
        costs: whether the paper prints "GFLOPs" beside the accuracy.
        rows: variants for a card's architecture; the second argument says whether there is an image model to
            start from.
    """

    number: int
    title: str
    columns: tuple[str, ...]
    costs: bool
    rows: Callable[[Architecture, bool], list[Variant]]


def _scan_orders(_card: Architecture, _image: bool) -> list[Variant]:
    """Table 2; without a class token, whose place would favour one of them (section 5.3)."""
    orders = {"spatial": "Spatial reversal", "temporal": "Temporal reversal",
              "spatiotemporal": "Spatio-Temporal reversal"}  # fmt: skip
    return [
        Variant(order, (title,), {"directions": ("forward", order), "cls_position": "none"})
        for order, title in orders.items()
    ]


def _embeddings(_card: Architecture, image: bool) -> list[Variant]:
    """Table 3; ways out of an image model's table need one."""
    rows = [
        Variant("none", ("None", "-"), {"position": "none"}),
        Variant("sinusoidal", ("Sinusoid", "-"), {"position": "sinusoidal"}),
    ]
    ways = INIT_POSITIONS if image else INIT_POSITIONS[:1]
    return [
        *rows,
        *(
            Variant(f"learned-{way}", ("Learned", way.capitalize()), {"position": "learned"}, way)
            for way in ways
        ),
    ]


def _frames(card: Architecture, _image: bool) -> list[Variant]:
    """Table 5: half, as many and twice the frames of the card; the paper's 8, 16 and 32."""
    counts = (card.frames // 2, card.frames, 2 * card.frames)
    return [
        Variant(f"frames-{count}", (str(count),), {"frames": count})
        for count in counts
        if count and count % card.tubelet == 0
    ]


def _widths(card: Architecture, _image: bool) -> list[Variant]:
    """Table 6: half the card's width and the whole; the paper's 192 and 384."""
    return [
        Variant(f"width-{width}", (str(width),), {"d_model": width})
        for width in (card.d_model // 2, card.d_model)
    ]


EMBEDDING, WIDTH = 3, 6
"""Tables whose rows cannot start from just any weights."""

TABLES: Mapping[int, Table] = {
    2: Table(2, "Backward scanning methods", ("Backward scanning",), False, _scan_orders),
    EMBEDDING: Table(
        3, "Positional embedding and its initialisation", ("Pos. emb.", "Initialise"), False, _embeddings
    ),
    5: Table(5, "Number of input frames", ("Frames",), True, _frames),
    WIDTH: Table(6, "Embedding dimension", ("Dim.",), True, _widths),
}


def table(number: int) -> Table:
    """One of `TABLES`.

    Raises:
        UsageError: the paper's table of that number is no ablation of the model.
    """
    if number not in TABLES:
        raise UsageError(
            f"table {number} is none of the ablations",
            f"expected one of {', '.join(map(str, TABLES))}: scan order, embedding, frames, width",
            "--table 2",
        )
    return TABLES[number]
