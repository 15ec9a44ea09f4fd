"""Body of `vmexport::SelectiveScan` with few serial steps: the form for GPUs without our plugin.

The tokens are cut into chunks. A first loop advances all chunks side by side from a state of zero; a second
one, over the chunks, carries the states from each chunk's end to the next one's start, where a whole chunk's
decay is `exp(A sum(delta))`, never more than one; a third loop advances all chunks again, now from their true
states, and gives the output. Of L tokens in chunks of P that makes `2 P + L / P` serial steps in place of L,
fewest at `P = sqrt(L / 2)`: 113 for 1569 tokens. No tensor has an axis of states over all tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import onnx
from onnx import TensorProto, helper

from vmexport.export.functions.order import visits
from vmexport.export.functions.scan import gated, sum_of_directions
from vmexport.export.functions.steps import (
    Sizes,
    decay_rates,
    final_states,
    read_sizes,
    scan_steps,
    sequence_numbers,
    zero_state,
)
from vmexport.export.functions.writer import Writer
from vmexport.ops.schema import SELECTIVE_SCAN


def chunk_tokens(length: int) -> int:
    """Tokens `P` of a chunk with the fewest serial steps for `length` tokens."""
    return max(1, round(math.sqrt(length / 2)))


def two_level_scan_function(
    *,
    directions: Sequence[int],
    tokens_per_frame: int,
    class_token: int,
    scale: float | None,
    states: int | None,
    opset: int,
    chunk: int,
) -> onnx.FunctionProto:
    """Body of `vmexport::SelectiveScan` for given attributes; any batch, length and width, float32 or half.

    Args:
        directions: a `ScanOrder` for each direction.
        tokens_per_frame: patch tokens of a frame.
        class_token: 1 where token 0 is a class token.
        scale: factor on the sum of the directions; None: the node's own attribute.
        states: `N`; None: whatever A has.
        opset: version of the standard operators, 18 to 20.
        chunk: tokens `P` of a chunk (`chunk_tokens`).

    Returns:
        a function whose attributes are declared as on the node, though the body is made for their values.
    """
    w = Writer(SELECTIVE_SCAN)
    whole = read_sizes(w, len(directions), states, steps=1)
    chunks = w.op("Div", w.op("Add", whole.length, w.ints(chunk - 1)), w.ints(chunk))
    sizes = replace(whole, parallel=w.op("Mul", whole.batch, chunks))
    tokens, steps = visits(w, sizes.length, directions, tokens_per_frame, class_token)
    rows = _rows_of_chunks(w, tokens, chunk, chunks, sizes)
    ends, totals = final_states(w, sizes, zero_state(w, sizes), rows)
    scanned = scan_steps(w, sizes, _carry(w, ends, totals, chunks, sizes), rows)
    return gated(
        w, sum_of_directions(w, scanned, _rows_of_tokens(w, steps, chunk, chunks, sizes), sizes), scale, opset
    )


def _rows_of_chunks(w: Writer, tokens: str, chunk: int, chunks: str, sizes: Sizes) -> str:
    """Rows of the flattened inputs `(S B L, ...)` that each step reads, `(P, S B Q)`.

    Steps beyond the last token repeat it. They all lie at the end of the last chunk, whose final state nobody
    reads.
    """
    offsets = w.op("Mul", w.range(chunks), w.ints(chunk))  # (Q,)
    places = w.op("Unsqueeze", w.op("Range", *(w.int_scalar(value) for value in (0, chunk, 1))), w.ints(1))
    step = w.reshape(w.op("Add", places, offsets), -1)  # (P Q,)
    last = w.op("Sub", sizes.length, w.ints(1))
    visited = w.op("Gather", tokens, w.op("Min", step, last), axis=1)  # (S, P Q)
    first_rows = w.op("Mul", sequence_numbers(w, sizes), sizes.length)  # (S, B, 1)
    rows = w.op("Add", w.op("Unsqueeze", visited, w.ints(1)), first_rows)  # (S, B, P Q)
    apart = w.reshape(rows, sizes.directions, sizes.batch, chunk, chunks)
    return w.reshape(w.op("Transpose", apart, perm=[2, 0, 1, 3]), chunk, -1)


def _rows_of_tokens(w: Writer, steps: str, chunk: int, chunks: str, sizes: Sizes) -> str:
    """Row `(S, B, L)` of each token in the output `(P, S, B, Q, D)`: `((p S + s) B + b) Q + q`."""
    place, number = w.op("Mod", steps, w.ints(chunk)), w.op("Div", steps, w.ints(chunk))  # (S, L)
    of_step = w.op("Add", w.op("Mul", place, w.op("Mul", sizes.sequences, chunks)), number)
    of_sequence = w.op("Mul", sequence_numbers(w, sizes), chunks)  # (S, B, 1)
    return w.op("Add", w.op("Unsqueeze", of_step, w.ints(1)), of_sequence)


def _carry(w: Writer, ends: str, totals: str, chunks: str, sizes: Sizes) -> str:
    """The state at each chunk's start, `(1, S, B Q, N, D)`, from what each leaves that starts from zero."""
    ends = _chunks_first(w, ends, chunks, sizes.states, sizes)  # (Q, S, B, N, D)
    totals = _chunks_first(w, totals, chunks, 1, sizes)  # (Q, S, B, 1, D)
    rates = w.op("Squeeze", decay_rates(w), w.ints(0))  # (S, 1, N, D)
    shape = w.concat(sizes.directions, sizes.batch, sizes.states, sizes.channels)
    zero = w.op("Expand", w.float_scalar(0.0), shape)

    b = Writer(w.function, f"{w.name('carry')}_")
    decayed = b.op("Mul", b.op("Exp", b.op("Mul", "delta_sum", rates)), "before")
    b.emit("Add", [decayed, "end"], "after")
    b.emit("Identity", ["before"], "start")
    inputs, outputs = (
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
        for names in (("before", "end", "delta_sum"), ("after", "start"))
    )
    body = helper.make_graph(b.nodes, "carry", inputs, outputs)
    starts = w.ops("Scan", zero, ends, totals, outputs=2, body=body, num_scan_inputs=2)[1]  # (Q, S, B, N, D)
    chunks_inside = w.op("Transpose", starts, perm=[1, 2, 0, 3, 4])  # (S, B, Q, N, D)
    return w.reshape(chunks_inside, 1, sizes.directions, sizes.parallel, sizes.states, sizes.channels)


def _chunks_first(w: Writer, value: str, chunks: str, states: str | int, sizes: Sizes) -> str:
    """`(1, S, B Q, x, D)` to `(Q, S, B, x, D)`."""
    apart = w.reshape(value, sizes.directions, sizes.batch, chunks, states, sizes.channels)
    return w.op("Transpose", apart, perm=[2, 0, 1, 3, 4])
