"""`load_module`: the module that a function in somebody's Python file makes, with their weights."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from vmexport.config.names import FACTORY
from vmexport.errors import InputError, UsageError, VmexportError
from vmexport.foreign.stand_ins import stand_ins
from vmexport.model.checkpoints.reading import read_checkpoint
from vmexport.opening import check_readable


def load_module(
    source: str, settings: Mapping[str, Any] | None = None, weights: Path | str | None = None
) -> nn.Module:
    """Run somebody's Python file and call a function or class of it that makes a module.

    This runs their code, as `python their_file.py` would. mamba-ssm, causal-conv1d and triton may be missing
    (`vmexport.foreign.stand_ins`); the file's folder comes first where it imports from. Weights are read
    without running anything (safetensors, or a `.pth` by allow-list).

    Args:
        source: `their_file.py:build`.
        settings: keywords of the call.
        weights: a file of the module's own state dict.

    Raises:
        UsageError: no such name in the file, or what it makes is no module.
        InputError: the file is missing, or it or the call raises; weights that are not this module's.
    """
    found = FACTORY.fullmatch(source)
    if found is None:
        raise UsageError(
            f"{source!r} names no function", "expected FILE.py:NAME", "vmexport onnx model.py:build"
        )
    path = Path(found["file"])
    check_readable(path, f"see: ls {path.parent}")
    with stand_ins():
        module = _called(_function(path, found["name"]), dict(settings or {}), source)
    if weights is not None:
        _load(module, Path(weights), source)
    return module


def _function(path: Path, name: str) -> Callable[..., Any]:
    """A callable of a Python file, which is run for it."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    file = importlib.util.module_from_spec(spec)
    before = sys.modules.get(path.stem)
    sys.path.insert(0, str(path.resolve().parent))
    sys.modules[path.stem] = file  # as `import` does: dataclasses and pickles look there
    try:
        spec.loader.exec_module(file)
    except VmexportError:
        raise
    except Exception as error:
        raise _theirs(f"{path} could not be run", error, "run it by itself: python " + str(path)) from error
    finally:
        sys.path.remove(str(path.resolve().parent))
        if before is not None:
            sys.modules[path.stem] = before
    made: Callable[..., Any] | None = getattr(file, name, None)
    if made is None or not callable(made):
        known = [key for key, value in vars(file).items() if callable(value) and not key.startswith("_")]
        raise UsageError(
            f"{path} has no function {name}",
            f"it has: {', '.join(known) or 'none'}",
            f"{path}:{known[0]}" if known else "",
        )
    return made


def _called(make: Callable[..., Any], settings: dict[str, Any], source: str) -> nn.Module:
    """The module that a call makes."""
    try:
        made = make(**settings)
    except VmexportError:
        raise
    except Exception as error:
        raise _theirs(f"{source} raised an error", error, "give its arguments: --set NAME=VALUE") from error
    if not isinstance(made, nn.Module):
        raise UsageError(
            f"{source} makes a {type(made).__name__}",
            "expected a torch.nn.Module",
            "name a function that returns the model, or its class",
        )
    return made


def _theirs(what: str, error: Exception, fix: str) -> InputError:
    """Their exception as an error of ours."""
    first = str(error).strip().splitlines()[:1]
    return InputError(what, f"{type(error).__name__}: {first[0] if first else ''}", fix)


def _load(module: nn.Module, weights: Path, source: str) -> None:
    """Give the module its weights.

    Raises:
        InputError: keys or shapes of another module.
    """
    own = module.state_dict()
    tensors = read_checkpoint(weights, landmarks=tuple(own)).tensors
    wrong = [f"{key} is missing" for key in own if key not in tensors]
    wrong += [f"{key} is unknown" for key in tensors if key not in own]
    wrong += [
        f"{key} has shape {tuple(value.shape)}, expected {tuple(own[key].shape)}"
        for key, value in tensors.items()
        if key in own and value.shape != own[key].shape
    ]
    if wrong:
        raise InputError(
            f"{weights} holds the weights of another model than {source} makes",
            "; ".join(wrong[:3]) + (f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""),
            "give the settings it was trained with: --set NAME=VALUE",
        )
    module.load_state_dict(tensors)
