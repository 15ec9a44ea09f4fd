"""The entry points by which published Mamba-1 models call their kernels, found in a running process.

An entry point is known by its name and by the names of its arguments, never by the package that it came with:
many repositories carry a copy of mamba-ssm or a variant of it under another name.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import torch

from vmexport.foreign import kernels
from vmexport.foreign.calls import SYNONYMS, Arguments, Vocabulary

OURS = ("vmexport.", "torch.")
"""Modules whose functions are no entry points, whatever they are called."""


@dataclass(frozen=True)
class Kind:
    """One kind of entry point.

    Attributes:
        what: name in messages.
        names: of functions and of classes derived from `torch.autograd.Function`.
        vocabulary: its arguments.
        compute: what it computes.
    """

    what: str
    names: re.Pattern[str]
    vocabulary: Vocabulary
    compute: Callable[[Arguments], Any]


NORM = ("residual", "x1", "weight1", "bias1", "eps", "dropout_p", "rowscale", "prenorm", "residual_in_fp32",
        "return_dropout_mask", "zero_centered_weight", "out_dtype", "out", "residual_out")  # fmt: skip

KINDS = (
    Kind(
        "selective scan",
        re.compile(
            r"SelectiveScan(Fn|Mamba|Core|Oflex|NRow|Ndstate|Cuda|Easy)?|(mamba_)?selective_scan(_fn|_ref|_torch)?"
        ),
        Vocabulary(
            ("u", "delta", "A", "B", "C"),
            ("D", "z", "delta_bias", "delta_softplus", "return_last_state", "oflex"),
            ("nrows", "backnrows", "backend", "use_mambapy", "use_associative_scan"),
            SYNONYMS,
        ),
        kernels.scan,
    ),
    Kind(
        "fused Mamba block",
        re.compile(r"(Bi)?MambaInnerFn(NoOutProj)?|(bi)?mamba_inner(_fn(_no_out_proj)?|_ref)"),
        Vocabulary(
            ("xz", "conv1d_weight", "conv1d_bias", "x_proj_weight", "delta_proj_weight", "A"),
            ("out_proj_weight", "out_proj_bias", "A_b", "B", "C", "D", "delta_bias", "B_proj_bias",
             "C_proj_bias", "delta_softplus", "b_rms_weight", "c_rms_weight", "dt_rms_weight",
             "b_c_dt_rms_eps"),
            ("checkpoint_lvl",),
        ),
        kernels.mamba_inner,
    ),
    Kind(
        "causal convolution",
        re.compile(r"CausalConv1dFn|causal_conv1d_(fn|ref)"),
        Vocabulary(
            ("x", "weight"),
            ("bias", "activation", "seq_idx", "initial_states", "return_final_states", "final_states_out",
             "cu_seqlens"),
            synonyms={"hidden_states": "x"},
        ),
        kernels.convolution,
    ),
    Kind(
        "layer norm",
        re.compile(r"LayerNormFn|layer_norm_fn"),
        Vocabulary(("x", "weight", "bias"), (*NORM, "is_rms_norm")),
        kernels.layer_norm,
    ),
    Kind("RMS norm", re.compile(r"rms_norm_fn"), Vocabulary(("x", "weight", "bias"), NORM), kernels.rms_norm),
)  # fmt: skip


@dataclass(frozen=True)
class EntryPoint:
    """A function or an autograd class of the running process that has a known name.

    Attributes:
        kind: what it is.
        place: where it was defined, `module.name`.
        target: the function, or the class derived from `torch.autograd.Function`.
        signature: of the function, or of the class's forward without its context.
        fault: what is unknown of its arguments, so that it is left alone; otherwise empty.
    """

    kind: Kind
    place: str
    target: Any
    signature: inspect.Signature
    fault: str


def find_entry_points() -> list[EntryPoint]:
    """All entry points that are loaded now, wherever and under whatever name they are bound."""
    found: dict[int, EntryPoint] = {}
    for target in (*_autograd_classes(torch.autograd.Function), *_functions()):
        entry = None if id(target) in found else _entry_point(target)
        if entry is not None:
            found[id(target)] = entry
    return sorted(found.values(), key=lambda entry: entry.place)


def _entry_point(target: Any) -> EntryPoint | None:
    """What a class or a function is, by its name; None where it is nothing of ours."""
    kind = next((kind for kind in KINDS if kind.names.fullmatch(target.__name__)), None)
    if kind is None or f"{target.__module__}.".startswith(OURS):
        return None
    if isinstance(target, type):
        forward = target.forward  # type: ignore[attr-defined]
        signature = inspect.signature(forward)
        signature = signature.replace(parameters=list(signature.parameters.values())[1:])
    else:
        signature = inspect.signature(target)
    place = f"{target.__module__}.{target.__qualname__}"
    return EntryPoint(kind, place, target, signature, kind.vocabulary.fault(signature))


def _autograd_classes(base: type) -> Iterator[type]:
    """Every living class below one; those made inside of functions too."""
    below: list[type] = base.__subclasses__()
    for derived in below:
        yield derived
        yield from _autograd_classes(derived)


def _functions() -> Iterator[FunctionType]:
    """Every Python function that a loaded module binds."""
    for module in list(sys.modules.values()):
        yield from (value for value in list(vars(module).values()) if type(value) is FunctionType)
