"""Costs on paper, measurements, the doctor. Names load on first use: the parts need different extras."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vmexport.bench.measure import benchmark
    from vmexport.bench.report import BenchmarkReport
    from vmexport.config.flops import Cost, count
    from vmexport.doctor.examine import DoctorReport, examine

__all__ = ["BenchmarkReport", "Cost", "DoctorReport", "benchmark", "count", "examine"]

_HOMES = {
    "BenchmarkReport": "vmexport.bench.report",
    "Cost": "vmexport.config.flops",
    "DoctorReport": "vmexport.doctor.examine",
    "benchmark": "vmexport.bench.measure",
    "count": "vmexport.config.flops",
    "examine": "vmexport.doctor.examine",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
