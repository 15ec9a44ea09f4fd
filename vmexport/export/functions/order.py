"""Scan orders in standard operators: which token a step visits, and at which step a token is visited."""

from __future__ import annotations

from collections.abc import Sequence

from vmexport.export.functions.writer import Writer
from vmexport.ops.schema import ScanOrder


def visits(
    w: Writer, length: str, directions: Sequence[int], tokens_per_frame: int, class_token: int
) -> tuple[str, str]:
    """Token of each step and step of each token, for any length.

    Args:
        w: where the nodes go.
        length: tokens `L`, a vector of one int64.
        directions: a `ScanOrder` for each direction.
        tokens_per_frame: patch tokens of a frame.
        class_token: 1 where token 0 is a class token.

    Returns:
        names of two `(S, L)` int64 tables.
    """
    patches = w.op("Sub", length, w.ints(class_token))
    tokens, steps = [], []
    for direction in directions:
        order = ScanOrder(direction)
        if order in (ScanOrder.FORWARD, ScanOrder.SPATIOTEMPORAL):
            sequence = w.range(length)
            if order == ScanOrder.SPATIOTEMPORAL:  # the class token, first of all, becomes the last
                sequence = w.reverse(sequence, 0)
            tokens.append(sequence)
            steps.append(sequence)  # its own inverse
            continue
        frames = w.op("Div", patches, w.ints(tokens_per_frame))
        grid = w.reshape(w.range(patches), frames, tokens_per_frame)
        turned = w.reshape(
            w.reverse(grid, 1 if order == ScanOrder.SPATIAL else 0), patches
        )  # its own inverse
        if class_token:
            tokens.append(w.op("Concat", w.op("Add", turned, w.ints(1)), w.ints(0), axis=0))
            steps.append(w.op("Concat", patches, turned, axis=0))
        else:
            tokens.append(turned)
            steps.append(turned)
    return _stack(w, tokens), _stack(w, steps)


def _stack(w: Writer, rows: list[str]) -> str:
    return w.op("Concat", *[w.op("Unsqueeze", row, w.ints(0)) for row in rows], axis=0)
