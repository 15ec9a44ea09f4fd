"""Scan orders with standard operators: which token a step visits, and at which step a token is visited."""

from __future__ import annotations

from collections.abc import Sequence

from vmexport.export.functions.writer import Writer
from vmexport.ops.schema import ScanOrder


def visits(
    writer: Writer, length: str, *, directions: Sequence[int], tokens_per_frame: int, class_token: int
) -> tuple[str, str]:
    """Token of each step and step of each token, for any length.

    Args:
        writer: where the nodes go.
        length: tokens `L`, a vector of one int64.
        directions: a `ScanOrder` for each direction.
        tokens_per_frame: patch tokens of a frame.
        class_token: 1 where token 0 is a class token.

    Returns:
        names of two `(S, L)` int64 tables.
    """
    patches = writer.op("Sub", length, writer.ints(class_token))
    tokens, steps = [], []
    for direction in directions:
        order = ScanOrder(direction)
        if order in (ScanOrder.FORWARD, ScanOrder.SPATIOTEMPORAL):
            sequence = _range(writer, length)
            if order == ScanOrder.SPATIOTEMPORAL:  # its own inverse
                sequence = writer.reverse(sequence, 0)
            tokens.append(sequence)
            steps.append(sequence)
            continue
        frames = writer.op("Div", patches, writer.ints(tokens_per_frame))
        grid = writer.reshape(_range(writer, patches), frames, tokens_per_frame)
        turned = writer.reverse(grid, 1 if order == ScanOrder.SPATIAL else 0)  # its own inverse
        flat = writer.reshape(turned, patches)
        shifted = writer.op("Add", flat, writer.ints(class_token))
        tokens.append(writer.op("Concat", shifted, writer.ints(*[0] * class_token), axis=0))
        steps.append(writer.op("Concat", *[patches] * class_token, flat, axis=0))
    return _stack(writer, tokens), _stack(writer, steps)


def _range(writer: Writer, end: str) -> str:
    scalar = writer.op("Squeeze", end, writer.ints(0))
    return writer.op("Range", writer.int_scalar(0), scalar, writer.int_scalar(1))


def _stack(writer: Writer, rows: list[str]) -> str:
    axis = writer.ints(0)
    return writer.op("Concat", *[writer.op("Unsqueeze", row, axis) for row in rows], axis=0)
