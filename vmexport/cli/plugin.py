"""`vmexport plugin`: build the native libraries for this machine, find them, test them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from vmexport.cli import options, render
from vmexport.config.choices import Cuda
from vmexport.errors import EnvironmentProblem, ExitCode
from vmexport.native.build import BuildRequest, build_plugins

if TYPE_CHECKING:
    from vmexport.native.build import BuildReport
    from vmexport.native.loading import Location

app = typer.Typer(
    help="Build the native libraries (CPU, ONNX Runtime, CUDA) for this machine, find them, test them.",
    no_args_is_help=True,
)


@app.command()
def build(
    cuda: Annotated[
        Cuda, typer.Option(help="CUDA libraries: where nvcc is (auto), in any case (on), or not (off).")
    ] = Cuda(BuildRequest.cuda),
    architectures: Annotated[
        str,
        typer.Option(
            help='GPUs to build for: native (those here; all where there is none), all, or "87;90".'
        ),
    ] = BuildRequest.architectures,
    jobs: Annotated[
        int, typer.Option(min=0, help="Compilers at a time; 0: one a core, as far as memory goes.")
    ] = BuildRequest.jobs,
    force: Annotated[bool, typer.Option("--force", help="Build even what the cache already has.")] = False,
    as_json: options.Json = False,
    verbose: options.Verbose = 0,
) -> None:
    """Build every native library that this machine has the tools for, into the user's cache folder.

    Needs cmake, ninja or make, and a C++17 compiler; for CUDA nvcc. It heeds CMAKE_ARGS, CXX, CUDACXX
    and CUDAHOSTCXX.
    """
    with render.counted_progress("building the native libraries") as progress:
        report = build_plugins(
            cuda=cuda.value, architectures=architectures, jobs=jobs, force=force, progress=progress
        )
    if as_json:
        render.as_json(report)
    else:
        _show_build(report)


@app.command()
def path(
    name: Annotated[
        str | None,
        typer.Argument(help="scan, ort, scan_cuda, ort_cuda or a file name; all of them without."),
    ] = None,
    as_json: options.Json = False,
    verbose: options.Verbose = 0,
) -> None:
    """Print where the native libraries lie: of the package and the cache, the copy that was built last.

    With NAME only the path, for scripts; exit code 3 where that library is missing or must not be loaded.
    Without NAME a table; exit code 3 where no library is there or one must not be loaded.
    """
    from vmexport.native.loading import NOT_BUILT, locate, locate_plugins

    if name is None:
        found = locate_plugins()
        if as_json:
            render.as_json(found)
        else:
            _show_locations(found)
        refused = [one for one in found if one.path is None and one.problem != NOT_BUILT]
        if refused or not any(one.path for one in found):
            raise _not_here(refused[0] if refused else found[0])
        return
    one = locate(name)
    if as_json:
        render.as_json(one)
    elif one.path is not None:
        render.text(str(one.path))
    if one.path is None:
        raise _not_here(one)


@app.command("test")
def run_test(as_json: options.Json = False, verbose: options.Verbose = 0) -> None:
    """Run a numeric self-test of each kernel; exit code 3 if one is broken, or no library is built."""
    with render.progress("testing the native libraries"):
        from vmexport.doctor.self_test import self_test

        report = self_test()
    if as_json:
        render.as_json(report, "usable")
    else:
        render.findings("Native libraries", report.libraries)
        render.findings("Kernels", report.kernels)
    if not report.usable:
        raise typer.Exit(ExitCode.ENVIRONMENT)


def _not_here(one: Location) -> EnvironmentProblem:
    """The error for a library without a path."""
    return EnvironmentProblem(f"{one.name} cannot be used", one.problem, one.fix)


def _show_build(report: BuildReport) -> None:
    """Every target, then what was decided."""
    render.table(
        "Native targets",
        ("target", "state", "detail"),
        [(target.name, target.state, target.detail) for target in report.targets],
    )
    render.notes(report.notes)
    render.text(f"folder: {report.folder}")
    if report.reused:
        render.text("reused: built before from the same sources with the same tools (--force builds again)")
    else:
        render.text(f"built in {report.seconds:.0f} s; log: {report.log}")
    render.text("test them: vmexport plugin test")


def _show_locations(found: Sequence[Location]) -> None:
    """A table of libraries, with the fix of each one that is not here."""
    render.table(
        "Native libraries",
        ("library", "from", "path"),
        [(one.name, one.origin or "-", str(one.path or one.problem)) for one in found],
    )
    for fix in dict.fromkeys(one.fix for one in found if one.fix):
        names = ", ".join(one.name for one in found if one.fix == fix)
        render.text(f"  {names}: {fix}")
