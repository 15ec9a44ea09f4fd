"""Writes the nodes of an ONNX function or of a loop body, one call a node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

LAST = np.iinfo(np.int64).min
"""`ends` of a backward Slice that includes element 0."""


class Writer:
    """Collects nodes; every method returns the name of the value that it makes.

    Every node has a name of its own, `SelectiveScan/mul_7`: ONNX Runtime up to 1.21 refuses a body with
    nameless nodes once it is inlined twice ("two nodes with same node name").

    Args:
        function: name of the function that is written, the start of its nodes' names.
        prefix: start of all values' names, so that a loop body does not hide names of the graph around it.
    """

    def __init__(self, function: str, prefix: str = "") -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.function = function
        self._prefix = prefix
        self._constants: dict[tuple[str, bytes, tuple[int, ...]], str] = {}
        self._count = 0

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """A node of the default domain with one output."""
        return self.ops(kind, *inputs, outputs=1, **attributes)[0]

    def ops(self, kind: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """A node of the default domain with several outputs."""
        names = [self.name(kind.lower()) for _ in range(outputs)]
        self._add(kind, inputs, names, names[0], attributes)
        return names

    def name(self, stem: str) -> str:
        """A name that this writer has not given yet."""
        self._count += 1
        return f"{self._prefix}{stem}_{self._count}"

    def ints(self, *values: int) -> str:
        """A one-dimensional int64 constant."""
        return self._constant(np.array(values, np.int64))

    def int_scalar(self, value: int) -> str:
        """A zero-dimensional int64 constant."""
        return self._constant(np.array(value, np.int64))

    def float_scalar(self, value: float) -> str:
        """A zero-dimensional float32 constant."""
        return self._constant(np.array(value, np.float32))

    def attribute(self, name: str) -> str:
        """The function's own float attribute of that name, zero-dimensional float32."""
        value = self.op("Constant")
        reference = onnx.AttributeProto(
            name="value_float", ref_attr_name=name, type=onnx.AttributeProto.FLOAT
        )
        self.nodes[-1].attribute.append(reference)
        return value

    def reverse(self, value: str, axis: int) -> str:
        """`value` backwards along an axis."""
        return self.op("Slice", value, self.ints(-1), self.ints(LAST), self.ints(axis), self.ints(-1))

    def shape(self, value: str, axis: int) -> str:
        """Size of one axis, a vector of one int64."""
        return self.op("Shape", value, start=axis, end=axis + 1)

    def concat(self, *sizes: str | int) -> str:
        """A shape of ints and of values that are vectors of one int64."""
        parts = [self.ints(size) if isinstance(size, int) else size for size in sizes]
        return self.op("Concat", *parts, axis=0)

    def reshape(self, value: str, *sizes: str | int) -> str:
        """`value` in another shape, given as to `concat`."""
        return self.op("Reshape", value, self.concat(*sizes))

    def range(self, count: str) -> str:
        """0, 1, ... up to a count, itself a vector of one int64."""
        scalar = self.op("Squeeze", count, self.ints(0))
        return self.op("Range", self.int_scalar(0), scalar, self.int_scalar(1))

    def pick(self, value: str, index: int) -> str:
        """`value[index]`."""
        return self.op("Gather", value, self.int_scalar(index), axis=0)

    def split(self, value: str, parts: int) -> list[str]:
        """`value` in parts of size 1 along axis 0."""
        return self.ops("Split", value, self.ints(*[1] * parts), outputs=parts, axis=0)

    def silu(self, value: str) -> str:
        """`value * sigmoid(value)`."""
        return self.op("Mul", value, self.op("Sigmoid", value))

    def to_float(self, value: str) -> str:
        """`value` as float32."""
        return self.op("Cast", value, to=onnx.TensorProto.FLOAT)

    def emit(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> None:
        """A node whose output has a given name, an output of the function."""
        self._add(kind, inputs, [output], f"{self._prefix}{output}", attributes)

    def _add(
        self, kind: str, inputs: Sequence[str], outputs: list[str], name: str, attributes: dict[str, Any]
    ) -> None:
        self.nodes.append(
            helper.make_node(kind, inputs, outputs, name=f"{self.function}/{name}", **attributes)
        )

    def _constant(self, value: NDArray[Any]) -> str:
        key = (value.dtype.str, value.tobytes(), value.shape)
        if key not in self._constants:
            self._constants[key] = self.op("Constant", value=numpy_helper.from_array(value))
        return self._constants[key]
