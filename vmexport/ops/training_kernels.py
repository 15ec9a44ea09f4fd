"""Kernels of other packages that give gradients on CUDA tensors: found once, or missed with one warning."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import warnings
from typing import Any

from vmexport.extras import install_extra


@functools.cache
def mamba_kernels() -> Any | None:
    """mamba-ssm's extension, with `fwd` and `bwd` of the scan, or None."""
    return _find("selective_scan_cuda", "mamba-ssm", "selective_scan")


@functools.cache
def conv_kernels() -> Any | None:
    """causal-conv1d's functions over its extension, with `causal_conv1d_bwd_function`, or None."""
    return _find("causal_conv1d.cpp_functions", "causal-conv1d", "causal_conv1d")


def _find(module: str, package: str, operator: str) -> Any | None:
    """A module, or None with a warning that says why and what to install.

    Args:
        module: what is imported.
        package: its name on PyPI.
        operator: of ours, whose gradients it gives.
    """
    if importlib.util.find_spec(module.partition(".")[0]) is None:
        why = f"{package} is not installed ({install_extra('mamba')})"
    else:
        try:
            return importlib.import_module(module)
        except ImportError as error:
            why = f"{package}'s {module} does not load: {error} (install it again for this torch)"
    warnings.warn(f"gradients of {operator} on the GPU come from the slow reference: {why}", stacklevel=3)
    return None
