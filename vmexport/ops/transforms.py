"""Operators of torch that `torch.func`'s transforms can see through.

`torch.library` registers gradients that autograd and torch.compile use; inside `torch.func.grad` and its kin
they cannot be called, and forward-mode differentiation drops the tangents without a word. Where such a
transform is active, an operator is therefore called as an `autograd.Function` with the same gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch._C._functorch import TransformType
from torch.autograd import forward_ad

from vmexport.errors import UsageError

_DIFFERENTIATING = (TransformType.Grad, TransformType.Jvp)


class Operator:
    """A custom operator of torch and, once its gradients are registered, the function of the same meaning.

    Args:
        name: with its namespace.
        kernel: computes it where no device's own kernel is registered.
        schema: arguments and results, as `torch.library` writes them.
    """

    def __init__(self, name: str, kernel: Callable[..., Any], *, schema: str) -> None:
        self.op = torch.library.custom_op(name, kernel, mutates_args=(), schema=schema)
        self.op.register_vmap(self._one_by_one)
        self.register_kernel = self.op.register_kernel
        self.register_fake = self.op.register_fake
        self._function: Any = None

    def register_autograd(
        self, backward: Callable[..., Any], *, setup_context: Callable[[Any, tuple[Any, ...], Any], None]
    ) -> None:
        """Give the operator its gradients, as `torch.library.register_autograd` does."""
        self.op.register_autograd(backward, setup_context=setup_context)
        self._function = _function(self.op, backward, setup_context)

    def __call__(self, *arguments: Any) -> Any:
        """Compute it; differentiable, traceable, and open to `torch.func`.

        Raises:
            UsageError: forward-mode differentiation, which the operators do not have.
        """
        if not torch.compiler.is_compiling() and _transformed():
            return self._function.apply(*arguments)
        return self.op(*arguments)

    def _one_by_one(self, info: Any, in_dims: Sequence[int | None], *arguments: Any) -> tuple[Any, Any]:
        """The operator for `torch.vmap`: once for each entry of the mapped axis, the results stacked."""
        results = [
            self.op(*(_entry(value, axis, index) for value, axis in zip(arguments, in_dims, strict=True)))
            for index in range(info.batch_size)
        ]
        if isinstance(results[0], Tensor):
            return torch.stack(results), 0
        stacked = [torch.stack(parts) for parts in zip(*results, strict=True)]
        return type(results[0])(stacked), type(results[0])(0 for _ in stacked)


def _transformed() -> bool:
    """Whether a transform that differentiates is active: one of `torch.func`, or forward mode."""
    if forward_ad._current_level >= 0:
        return True
    levels = torch._C._functorch.get_interpreter_stack() or ()
    return any(level.key() in _DIFFERENTIATING for level in levels)


def _entry(value: Any, axis: Any, index: int) -> Any:
    """One entry of a mapped argument; any other argument as it is."""
    return value.select(axis, index) if isinstance(value, Tensor) and axis is not None else value


def _function(op: Callable[..., Any], backward: Callable[..., Any], setup: Callable[..., None]) -> Any:
    """The `autograd.Function` of an operator and its gradients."""

    class Function(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(*arguments: Any) -> Any:
            result = op(*arguments)
            return tuple(result) if isinstance(result, list) else result

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
            setup(ctx, inputs, output)

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            return backward(ctx, *grads)

        @staticmethod
        def jvp(ctx: Any, *tangents: Any) -> NoReturn:
            raise UsageError(
                "the operators of vmexport have no forward-mode derivative",
                "a tangent reached one (torch.func.jvp, jacfwd, hessian or torch.autograd.forward_ad)",
                "differentiate backwards (torch.func.grad, vjp, jacrev), or call selective_scan_reference or "
                "causal_conv1d_reference of vmexport.ops.reference there (slow)",
            )

    return Function
