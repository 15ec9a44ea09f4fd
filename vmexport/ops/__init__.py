"""The operators: `selective_scan` in mamba-ssm's layout, and the pair that VideoMamba is made of.

`directional_selective_scan` and `causal_conv1d` are `vmexport::SelectiveScan` and `vmexport::CausalConv1d` of
exported files. The functions need torch and load on first use; `vmexport.ops.schema` and the native kernels
(`vmexport.ops.native`) do without.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from vmexport.ops.schema import ScanOrder

if TYPE_CHECKING:
    from vmexport.ops.functional import causal_conv1d, directional_selective_scan
    from vmexport.ops.mamba import selective_scan

__all__ = ["ScanOrder", "causal_conv1d", "directional_selective_scan", "selective_scan"]

_HOMES = {
    "causal_conv1d": "vmexport.ops.functional",
    "directional_selective_scan": "vmexport.ops.functional",
    "selective_scan": "vmexport.ops.mamba",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vmexport.ops' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
