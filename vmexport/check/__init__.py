"""Comparison of two artefacts, and the search for the block where they part."""

from vmexport.check.parity import check_parity
from vmexport.runtime.agreement import TOLERANCES, Agreement, Tolerance
from vmexport.runtime.parity import ParityReport

__all__ = ["TOLERANCES", "Agreement", "ParityReport", "Tolerance", "check_parity"]
