"""Checks that every checkpoint passes, with errors that name the key, the expected and the found."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import torch
from torch import Tensor

from vmexport.errors import InputError


def check_keys(found: Collection[str], expected: Iterable[str], source: str) -> None:
    """The keys must be exactly the expected ones.

    Raises:
        InputError: a key is missing or unexpected.
    """
    expected = list(expected)
    missing = [key for key in expected if key not in found]
    unexpected = sorted(set(found) - set(expected))
    if missing:
        raise InputError(
            f"{source}: missing key {missing[0]}" + _more(missing),
            f"expected {len(expected)} weights, {len(missing)} of them are not there"
            + (f"; got the unexpected {unexpected[0]}{_more(unexpected)}" if unexpected else ""),
            "give a complete checkpoint of one model",
        )
    if unexpected:
        raise InputError(
            f"{source}: unexpected key {unexpected[0]}" + _more(unexpected),
            f"expected exactly the {len(expected)} weights of a VideoMamba or Vim, got "
            f"{len(unexpected)} more: leaving them out would change what the model computes",
            "remove the weights that do not belong to the network, or use a plain VideoMamba or Vim",
        )


def check_tensor(key: str, tensor: Tensor, shape: tuple[int, ...], source: str) -> Tensor:
    """A tensor of the expected shape with finite values, as contiguous float32.

    Raises:
        InputError: another shape, a dtype without a fraction, no values at all, NaN or infinite values.
    """
    if tuple(tensor.shape) != tuple(shape):
        raise InputError(
            f"{source}: {key} has the wrong shape",
            f"expected {tuple(shape)}, got {tuple(tensor.shape)}",
            "give an unmodified checkpoint of one model",
        )
    if not tensor.is_floating_point() or tensor.layout is not torch.strided:
        raise InputError(
            f"{source}: {key} has the wrong dtype",
            f"expected dense floating-point numbers, got {tensor.dtype} ({tensor.layout})",
            "save the weights as float32, float16 or bfloat16",
        )
    if tensor.is_meta:
        raise InputError(
            f"{source}: {key} has a shape but no values",
            "it was saved from the device meta, on which models are laid out but not filled",
            "load the weights before saving the model",
        )
    values = tensor.detach().to(torch.float32).contiguous()
    if not torch.isfinite(values).all():
        bad = int((~torch.isfinite(values)).sum())
        raise InputError(
            f"{source}: {key} holds values that are not finite",
            f"expected finite numbers, got {bad} NaN or infinite of {values.numel()}",
            "the training run diverged or the file is damaged: take an earlier checkpoint",
        )
    return values


def _more(keys: list[str]) -> str:
    """How many further keys there are."""
    return f" (and {len(keys) - 1} more)" if len(keys) > 1 else ""
