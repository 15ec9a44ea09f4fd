"""Getting tensors out of a file without running anything that the file brings along."""

from __future__ import annotations

import argparse
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

from vmexport.config.choices import Weights
from vmexport.errors import InputError
from vmexport.model.checkpoints.archive import check_archive
from vmexport.model.checkpoints.tensors import open_tensors
from vmexport.opening import first_bytes, open_regular

WRAPPERS = ("model", "state_dict", "model_state_dict", "module")
"""Keys under which training scripts store the weights among other state, in order of preference."""

AVERAGES = ("model_ema", "state_dict_ema", "ema_state_dict", "ema_model", "ema")
"""Keys of an exponential moving average of the weights, which many scripts keep beside them."""

_NUMPY_SCALAR = np.float64(0).__reduce__()[0]
HARMLESS: list[Any] = [
    argparse.Namespace,
    np.dtype,
    *(type(np.dtype(name)) for name in ("bool", "int32", "int64", "float32", "float64")),
    *((_NUMPY_SCALAR, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),  # NumPy 1, NumPy 2
]
"""What besides tensors and plain containers may stand in a file: a script's arguments, and numbers of NumPy
(the best accuracy so far, say). None of them runs code."""

LANDMARKS = ("patch_embed.proj.weight", "embedding.patch.weight")
"""A key of a foreign checkpoint and one of ours, by which the weights are told from other dictionaries; what
stands before it is the prefix of a wrapper (data parallel, torch.compile, a training module)."""


@dataclass(frozen=True)
class RawCheckpoint:
    """What a file holds, before any of it is understood.

    Attributes:
        path: the file.
        tensors: weights by name, wrappers and prefixes removed.
        metadata: text entries of a safetensors file.
        model_name: name of the training script's model, where the file says it.
        notes: which of several sets of weights these are.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str] = field(default_factory=dict)
    model_name: str = ""
    notes: tuple[str, ...] = ()


def read_checkpoint(
    path: Path,
    trust_pickle: bool = False,
    weights: str | None = None,
    landmarks: tuple[str, ...] = LANDMARKS,
) -> RawCheckpoint:
    """Read a `.safetensors` or a PyTorch file, told apart by content, not by name.

    Args:
        path: the file.
        trust_pickle: unpickle PyTorch files without restriction, which runs code in the file.
        weights: "model" or "ema", where a file holds both; None takes what is there, the first of them first.
        landmarks: keys of which the weights of a PyTorch file have one.

    Raises:
        InputError: the file is missing, unreadable, damaged, no checkpoint, or holds more than weights.
    """
    head = first_bytes(path, 16, "check the path; vmexport models lists the presets that need no file")
    if head[8:9] == b"{":
        return _read_safetensors(path)
    zipped = head.startswith(b"PK\x03\x04")
    if zipped or head.startswith(b"\x80"):
        return _read_torch(path, zipped, trust_pickle, weights, landmarks)
    raise InputError(
        f"{path} is no checkpoint",
        "expected a safetensors file or a PyTorch .pth file, got "
        + ("an empty file" if not head else f"a file that begins with {head[:12]!r}"),
        "vmexport models lists what can be used without a file",
    )


def _read_safetensors(path: Path) -> RawCheckpoint:
    """All tensors and the metadata of a safetensors file."""
    try:
        with open_tensors(path) as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return RawCheckpoint(path, tensors, dict(file.metadata() or {}))
    except (SafetensorError, OSError, ValueError) as error:
        raise _damaged(path, error) from error


def _read_torch(
    path: Path, zipped: bool, trust_pickle: bool, weights: str | None, landmarks: tuple[str, ...]
) -> RawCheckpoint:
    """The weights of a PyTorch file; only tensors, plain containers and what is `HARMLESS` pass."""
    try:
        with (
            open_regular(path) as file,
            torch.serialization.safe_globals(HARMLESS),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")  # of other pickles, which are refused right below
            if zipped:
                check_archive(file, path)
            content = torch.load(file, map_location="cpu", weights_only=not trust_pickle)
    except InputError:
        raise
    except Exception as error:  # a damaged or hostile file can make the unpickler raise anything
        raise _refused(path, error) from error
    if not isinstance(content, Mapping):
        raise InputError(
            f"{path} holds no weights",
            f"expected a dictionary of tensors, got {type(content).__name__}",
            "save the model's state_dict()",
        )
    found = {which: tensors for which in Weights.all() if (tensors := _unwrap(content, which, landmarks))}
    chosen = weights or next(iter(found), None)
    if chosen not in found:
        raise _no_weights(content, path, chosen, tuple(found), landmarks)
    _check_extent(found[chosen], path)
    other = next((which for which in found if which != chosen), None)
    note = f"the file holds trained weights and their average; took {chosen} (weights={other} for the other)"
    return RawCheckpoint(path, found[chosen], model_name=_model_name(content), notes=(note,) if other else ())


def _check_extent(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Refuse weights that would grow when they are copied: one stored number may be a tensor of any size.

    Raises:
        InputError: they have more bytes than the file, those that it shares between two names counted twice.
    """
    claimed = sum(value.numel() * value.element_size() for value in tensors.values())
    size = path.stat().st_size
    if claimed > 2 * size:
        raise InputError(
            f"{path} claims more than it holds",
            f"its tensors are {claimed} bytes, the file has {size}",
            "save the model's state_dict() without expanded tensors: value.contiguous()",
        )


def _refused(path: Path, error: Exception) -> InputError:
    """Tell a file that wants to run code from one that is merely damaged."""
    text = str(error)
    if "weights_only" not in text and "Weights only" not in text:
        return _damaged(path, error)
    if "Unsupported operand" in text:
        return InputError(
            f"{path} is damaged or incomplete, or another program's pickle; nothing of it was run",
            "it is not what torch.save writes, and loading another pickle could run any code of its author",
            "ask for a safetensors file, or save the model's state_dict() with torch.save",
        )
    found = re.search(r"(?:GLOBAL|class|function) ([\w.]+\.\w+)", text)
    if found is None:
        return _damaged(path, error)
    return InputError(
        f"{path} holds more than weights; nothing of it was run",
        f"expected tensors, numbers, texts and argparse.Namespace, got the Python object {found.group(1)}; "
        "loading it could run any code that the file's author put there",
        "ask for a safetensors file or a plain state_dict; only if you trust its author: add --trust-pickle "
        "(trust_pickle=True)",
    )


def _damaged(path: Path, error: Exception) -> InputError:
    """A file of the right kind that cannot be read to its end."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0].split(". ")[0]
    return InputError(
        f"{path} is damaged or incomplete", reason[:200], "fetch or copy the file again and compare its size"
    )


def _unwrap(content: Mapping[Any, Any], which: str, landmarks: tuple[str, ...]) -> dict[str, Tensor] | None:
    """Find the weights among training state, however deep, and take the wrappers' prefix off.

    Args:
        content: what was unpickled.
        which: the trained weights, or their average, which lies under a key of its own.
        landmarks: keys of which they have one.

    Returns:
        the weights by name, or None where there are none.
    """
    inner: Any = content
    averaged = which == Weights.MODEL  # a key of an average has been met, or is not looked for
    while isinstance(inner, Mapping):
        tensors = {
            key: value for key, value in inner.items() if torch.is_tensor(value) and isinstance(key, str)
        }
        stripped = _strip(tensors, landmarks) if averaged else None
        if stripped is not None:
            return stripped
        average = next((key for key in AVERAGES if isinstance(inner.get(key), Mapping)), None)
        wrapper = next((key for key in WRAPPERS if isinstance(inner.get(key), Mapping)), None)
        if which == Weights.EMA and average is not None:
            averaged = True
            inner = inner[average]
        else:
            inner = inner[wrapper] if wrapper is not None else None
    return None


def _no_weights(
    content: Mapping[Any, Any],
    path: Path,
    wanted: str | None,
    found: tuple[str, ...],
    landmarks: tuple[str, ...],
) -> InputError:
    """The error for a file without the weights that are looked for."""
    if found:
        return InputError(
            f"{path} holds no weights {wanted!r}", f"there is {' and '.join(found)}", f"--weights {found[0]}"
        )
    names = ", ".join(str(key) for key in list(content)[:6]) or "nothing"
    wrappers = ", ".join((*WRAPPERS, *AVERAGES))
    model = "VideoMamba or Vim model" if landmarks == LANDMARKS else "model that it is to be loaded into"
    return InputError(
        f"{path} is no checkpoint of a {model}",
        f"missing key: expected {landmarks[0]} (or the same under {wrappers}), got {names}",
        f"give the state_dict of a {model}",
    )


def _strip(tensors: Mapping[str, Tensor], landmarks: tuple[str, ...]) -> dict[str, Tensor] | None:
    """Take off what stands before a landmark; keys without that prefix stay. None where no landmark is."""
    for landmark in landmarks:
        found = sorted((key for key in tensors if key == landmark or key.endswith("." + landmark)), key=len)
        if found:
            prefix = found[0][: -len(landmark)]
            return {key.removeprefix(prefix): value for key, value in tensors.items()}
    return None


def _model_name(content: Mapping[Any, Any]) -> str:
    """What the training script's arguments, where saved, call the model."""
    arguments = content.get("args")
    name = getattr(arguments, "model", "") if isinstance(arguments, argparse.Namespace) else ""
    return name if isinstance(name, str) else ""
