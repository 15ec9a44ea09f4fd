"""Tensors as the native kernels see them: address, dtype, shape and strides, whatever library made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vmexport.ops import abi
from vmexport.ops.validate import refuse


@dataclass(frozen=True)
class Buffer:
    """Memory of a tensor that somebody else keeps alive.

    Attributes:
        address: of the first element, in bytes.
        dtype: name of the element type, such as `float32`.
        shape: sizes of the axes.
        strides: of the axes, in elements.
    """

    address: int
    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @classmethod
    def of_numpy(cls, array: Any) -> Buffer:
        """The memory of a NumPy array, which must outlive the buffer (bfloat16: ml_dtypes' type)."""
        strides = tuple(step // array.itemsize for step in array.strides)
        return cls(array.ctypes.data, array.dtype.name, array.shape, strides)


def shapes(named: Mapping[str, Buffer | None]) -> dict[str, tuple[int, ...] | None]:
    """Shapes by tensor name, as `validate` reads them."""
    return {name: None if buffer is None else buffer.shape for name, buffer in named.items()}


def check_layout(operator: str, named: Mapping[str, Buffer | None], parameters: Sequence[str]) -> None:
    """What the core cannot see: dtypes, and the strides that its struct has no field for.

    Args:
        operator: name for errors.
        named: tensors by name; the first one sets the dtype of the activations.
        parameters: names of the tensors that are float32 and contiguous whatever that dtype is.

    Raises:
        ShapeError: names the tensor, expected and got.
    """
    dtype = next(buffer.dtype for buffer in named.values() if buffer is not None)
    for name, buffer in named.items():
        if buffer is None:
            continue
        if name in parameters:
            if buffer.dtype != "float32":
                refuse(operator, name, "dtype float32", buffer.dtype)
            if 0 not in buffer.shape and not _contiguous(buffer):
                refuse(operator, name, "a contiguous tensor", f"strides {buffer.strides} for {buffer.shape}")
            continue
        if buffer.dtype not in abi.DTYPES:
            refuse(operator, name, f"dtype {', '.join(abi.DTYPES)}", buffer.dtype)
        if buffer.dtype != dtype:
            refuse(operator, name, f"dtype {dtype} like the first tensor", buffer.dtype)
        if buffer.strides[-1] != 1 and buffer.shape[-1] > 1 and 0 not in buffer.shape:
            refuse(operator, name, "a channel stride of 1 element", buffer.strides[-1])


def _contiguous(buffer: Buffer) -> bool:
    """Whether the elements lie in row-major order without gaps; axes of one element may have any stride."""
    step = 1
    for size, stride in zip(reversed(buffer.shape), reversed(buffer.strides), strict=True):
        if size > 1 and stride != step:
            return False
        step *= size
    return True
