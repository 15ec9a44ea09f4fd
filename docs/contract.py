"""The operators' contract as Markdown tables, out of `vmexport.ops.schema`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tables import table

from vmexport.ops import schema
from vmexport.ops.schema import AttributeSpec, ScanOrder, TensorSpec

ORDERS = {
    ScanOrder.FORWARD: "tokens as they lie",
    ScanOrder.SPATIOTEMPORAL: "everything reversed",
    ScanOrder.SPATIAL: "frames forward, the tokens of a frame reversed",
    ScanOrder.TEMPORAL: "frames reversed, the tokens of a frame forward",
}


def tensors(inputs: tuple[TensorSpec, ...], output: TensorSpec) -> str:
    """Inputs by number, then the output."""
    numbered = [(str(index), tensor) for index, tensor in enumerate(inputs)]
    return table(
        ("", "name", "dtype", "shape", "meaning"),
        [
            (number, f"`{tensor.name}`", tensor.dtype, tensor.shape, tensor.meaning)
            for number, tensor in [*numbered, ("output", output)]
        ],
    )


def attributes() -> str:
    """What a node carries."""
    both = [(one, "both") for one in schema.ORDER_ATTRIBUTES]
    rows: list[tuple[AttributeSpec, str]] = [*both, (schema.SCALE_ATTRIBUTE, schema.SELECTIVE_SCAN)]
    return table(
        ("attribute", "type", "operator", "values", "meaning"),
        [(f"`{one.name}`", one.kind, operator, one.values, one.meaning) for one, operator in rows],
    )


def orders() -> str:
    """The values of `directions`."""
    return table(
        ("value", "name", "visits"),
        [(order.value, order.name.lower(), ORDERS[order]) for order in ScanOrder],
    )


def limits() -> str:
    """What every kernel has room for."""
    return table(
        ("letter", "meaning", "limit"),
        [
            ("S", "directions", f"1 to {schema.MAX_DIRECTIONS}"),
            ("B", "batch", "any, also 0"),
            ("L", "tokens, class token included", "any, also 0"),
            ("D", "channels", "1 or more"),
            ("N", "states of a channel", f"1 to {schema.MAX_STATES}"),
            ("K", "taps of the convolution", f"1 to {schema.MAX_TAPS}"),
            ("T", "dtype of the activations", ", ".join(schema.ACTIVATION_DTYPES)),
        ],
    )


BLOCKS: Mapping[str, Callable[[], str]] = {
    "scan": lambda: tensors(schema.SCAN_TENSORS, schema.SCAN_OUTPUT),
    "conv": lambda: tensors(schema.CONV_TENSORS, schema.CONV_OUTPUT),
    "attributes": attributes,
    "scan-orders-of-a-direction": orders,
    "operator-limits": limits,
}
