"""Comparison of two artefacts, and the search for the block where they part."""

from vmexport.check.parity import check_parity
from vmexport.runtime.compare import ParityReport
from vmexport.runtime.tolerance import TOLERANCES, Agreement, Tolerance

__all__ = ["TOLERANCES", "Agreement", "ParityReport", "Tolerance", "check_parity"]
