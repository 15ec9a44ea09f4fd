"""Costs on paper and measurements. What needs an extra loads on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

from vmexport.config.flops import Cost, count

if TYPE_CHECKING:
    from vmexport.bench.measure import benchmark
    from vmexport.bench.report import BenchmarkReport

__all__ = ["BenchmarkReport", "Cost", "benchmark", "count"]

__getattr__, _, _ = lazy_loader.attach(
    __name__, submod_attrs={"measure": ["benchmark"], "report": ["BenchmarkReport"]}
)


def __dir__() -> list[str]:
    return __all__
