"""`patch_mamba`: every loaded entry point of Mamba-1 models computes by our operators, until undone.

A function's code is exchanged, not its name, and of an autograd class its forward and backward: whoever
bound it before, by `from ... import`, as an attribute of a module or as `Class.apply`, calls the new one.
Nothing on disk changes.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from contextlib import suppress
from types import CodeType, FunctionType, TracebackType
from typing import Any

import torch
from torch import Tensor

from vmexport.foreign.calls import arguments_of
from vmexport.foreign.device_guard import let_cpu_pass
from vmexport.foreign.entry_points import EntryPoint, find_entry_points

_LOCK = threading.RLock()
_PATCHED: set[int] = set()
"""Identities of what is patched now: a patch within a patch leaves that alone."""


class Patch:
    """A patch in force; a context manager that undoes it, also after an error.

    Attributes:
        entry_points: where each function or class that was exchanged was defined, sorted.
        left_alone: those with a known name and unknown arguments, and what is unknown of them.
    """

    def __init__(self, entries: list[EntryPoint]) -> None:
        self.entry_points = tuple(entry.place for entry in entries if not entry.fault)
        self.left_alone = {entry.place: entry.fault for entry in entries if entry.fault}
        self._undo: list[Callable[[], None]] = []
        with _LOCK:
            self._undo.append(let_cpu_pass())
            for entry in entries:
                if not entry.fault and id(entry.target) not in _PATCHED:
                    self._undo.append(_exchange(entry))

    def undo(self) -> None:
        """Put everything back as it was; a second call does nothing."""
        with _LOCK:
            while self._undo:
                self._undo.pop()()

    def __enter__(self) -> Patch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.undo()


def patch_mamba() -> Patch:
    """Let the Mamba-1 models that are loaded run by this package's operators, with gradients.

    Known are the entry points of mamba-ssm, causal-conv1d, Vim, VMamba and its relatives, and transformers:
    selective scans, fused blocks, causal convolutions and fused norms, in all their published signatures.
    What is called with CUDA tensors outside of an export keeps its own kernel. Import the model before: what
    is loaded later is not patched.

        with vmexport.patch_mamba():
            loss = model(images).sum()
            loss.backward()

    Returns:
        the patch in force: use it in a `with`, or call its `undo()`.
    """
    return Patch(find_entry_points())


def _exchange(entry: EntryPoint) -> Callable[[], None]:
    """Replace one entry point; what undoes it."""
    undo = _exchange_class(entry) if isinstance(entry.target, type) else _exchange_function(entry)
    identity = id(entry.target)
    _PATCHED.add(identity)

    def restore() -> None:
        undo()
        _PATCHED.discard(identity)

    return restore


def _compute(entry: EntryPoint, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What a patched entry point does with a call."""
    if not torch.onnx.is_in_onnx_export() and _on_a_gpu((*args, *kwargs.values())):
        return original(*args, **kwargs)
    return entry.kind.compute(arguments_of(entry.kind.vocabulary, entry.signature, args, kwargs))


def _on_a_gpu(values: tuple[Any, ...]) -> bool:
    return any(isinstance(value, Tensor) and value.is_cuda for value in values)


def _exchange_function(entry: EntryPoint) -> Callable[[], None]:
    """Exchange the code of a function, so that everyone who holds the function object calls ours."""
    function: FunctionType = entry.target
    code, kwdefaults, defaults = function.__code__, function.__kwdefaults__, function.__defaults__
    before = FunctionType(code, function.__globals__, function.__name__, defaults, function.__closure__)
    before.__kwdefaults__ = kwdefaults
    function.__code__ = _call_target_code(code)
    function.__defaults__ = None
    function.__kwdefaults__ = {"_vmexport_target": functools.partial(_compute, entry, before)}
    had_signature = "__signature__" in vars(function)
    if not had_signature:
        function.__signature__ = entry.signature  # type: ignore[attr-defined]

    def undo() -> None:
        function.__code__, function.__defaults__, function.__kwdefaults__ = code, defaults, kwdefaults
        if not had_signature:
            with suppress(AttributeError):
                del function.__signature__  # type: ignore[attr-defined]

    return undo


def _call_target_code(code: CodeType) -> CodeType:
    """Code that hands its call on to the function's keyword default.

    A function takes only code with as many closure cells as it has, so the code names that many, in a branch
    that is never taken.
    """
    cells = ", ".join(f"cell_{number}" for number in range(len(code.co_freevars)))
    scope: dict[str, Any] = {}
    exec(_CALL_TARGET.format(cells=cells), scope)
    made: CodeType = scope["around"](*code.co_freevars).__code__
    return made.replace(co_name=code.co_name)


_CALL_TARGET = """
def around({cells}):
    def call(*args, _vmexport_target=None, **kwargs):
        if False:
            ({cells})
        return _vmexport_target(*args, **kwargs)
    return call
"""


def _exchange_class(entry: EntryPoint) -> Callable[[], None]:
    """Exchange forward and backward of an autograd class; its `apply`, bound anywhere, finds them there."""
    holder: Any = entry.target
    own = {
        name: vars(holder)[name] for name in ("forward", "backward", "setup_context") if name in vars(holder)
    }
    old_forward, old_backward = holder.forward, holder.backward

    def forward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        return _Recorded.forward(ctx, functools.partial(_compute, entry), old_forward, args, kwargs)

    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        return _Recorded.backward(ctx, old_backward, grads)

    forward.__signature__ = inspect.signature(old_forward)  # type: ignore[attr-defined]
    holder.forward, holder.backward = staticmethod(forward), staticmethod(backward)
    if "setup_context" in own:
        holder.setup_context = torch.autograd.Function.setup_context

    def undo() -> None:
        for name in ("forward", "backward", "setup_context"):
            if name in own:
                setattr(holder, name, own[name])
            elif name in vars(holder):
                delattr(holder, name)

    return undo


class _Recorded:
    """Forward and backward of a patched autograd class: autograd itself differentiates what was computed."""

    @staticmethod
    def forward(
        ctx: Any,
        compute: Callable[..., Any],
        original: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Compute, and keep the graph where a gradient will be asked for."""
        ctx.vmexport = None
        own = functools.partial(original, ctx)
        if torch.onnx.is_in_onnx_export() or _on_a_gpu(args) or not any(ctx.needs_input_grad):
            return compute(own, *args, **kwargs)
        inputs = [
            value.detach().requires_grad_(needed) if isinstance(value, Tensor) else value
            for value, needed in zip(args, ctx.needs_input_grad, strict=True)
        ]
        with torch.enable_grad():
            outputs = compute(own, *inputs, **kwargs)
        ctx.vmexport = inputs, outputs if isinstance(outputs, tuple) else (outputs,)
        if isinstance(outputs, tuple):
            return tuple(output.detach() for output in outputs)
        return outputs.detach()

    @staticmethod
    def backward(ctx: Any, original: Callable[..., Any], grads: tuple[Tensor | None, ...]) -> Any:
        """Gradient of each input that needs one, None for the others."""
        if ctx.vmexport is None:
            return original(ctx, *grads)
        inputs, outputs = ctx.vmexport
        pairs = [
            (output, grad)
            for output, grad in zip(outputs, grads, strict=True)
            if grad is not None and output.requires_grad
        ]
        wanted = [
            value
            for value, needed in zip(inputs, ctx.needs_input_grad, strict=True)
            if needed and isinstance(value, Tensor)
        ]
        found = iter(
            torch.autograd.grad(
                [output for output, _ in pairs], wanted, [grad for _, grad in pairs],
                allow_unused=True, retain_graph=True,
            )
        )  # fmt: skip
        return tuple(
            next(found) if needed and isinstance(value, Tensor) else None
            for value, needed in zip(inputs, ctx.needs_input_grad, strict=True)
        )
