"""`vmexport doctor`: is this machine ready, and do the kernels compute the right numbers?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from vmexport.cli import options, render
from vmexport.errors import ExitCode

if TYPE_CHECKING:
    from vmexport.doctor.examine import DoctorReport


def doctor(as_json: options.Json = False, verbose: options.Verbose = 0) -> None:
    """Examine versions, extras, native libraries and CPU; test each kernel; exit code 3 if one is broken."""
    with render.progress("examining this machine"):
        from vmexport.doctor.examine import examine

        report = examine()
    if as_json:
        render.as_json(report, "usable")
    else:
        _show(report)
    if not report.usable:
        raise typer.Exit(ExitCode.ENVIRONMENT)


def _show(report: DoctorReport) -> None:
    """One table a group of findings."""
    machine = report.environment
    render.facts(
        "Machine",
        {
            "CPU": f"{machine.cpu}, {machine.cores} cores for this process",
            "CPU features": ", ".join(machine.cpu_features) or "unknown",
            "kernel tier": report.tier or "none: the native kernels are not built",
            "memory": render.mebibytes(machine.memory_bytes),
            "system": machine.system,
            "Python": machine.python,
            "vmexport": machine.packages.get("vmexport", "source tree, not installed")
            + (f", commit {machine.commit}" if machine.commit else ""),
        },
    )
    for title, findings in (
        ("Packages", report.packages),
        ("Extras", report.extras),
        ("Native libraries", report.libraries),
        ("Kernel self-tests", report.self_tests),
    ):
        render.findings(title, findings)
    render.text("usable: yes" if report.usable else "usable: NO, see the lines marked broken")
