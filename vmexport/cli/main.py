"""The `vmexport` program: registers the commands and is the one place that catches errors."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from vmexport.cli import (
    ablate,
    bench,
    check,
    convert,
    data,
    delta,
    doctor,
    eval,
    info,
    models,
    onnx,
    plugin,
    predict,
    render,
    train,
    trt,
)
from vmexport.cli.usage import explain_usage, is_usage_error
from vmexport.errors import ExitCode, OutOfMemory, VmexportError, tells_of_memory
from vmexport.extras import missing
from vmexport.files import FULL_DISK, explain_write_error
from vmexport.package import VERSION

EXPORTER_LOGGERS = ("torch.onnx", "onnxscript", "onnx_ir")
"""Libraries that log their inner steps as warnings; heard only with -v."""

OTHERS_WAIT_S = 10.0
"""Seconds after which a process of a group says its own error, if the first process has not failed too."""


class CatchingGroup(TyperGroup):
    """The single catcher: every error of a command becomes one message and one exit code here."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the program's own options."""
        with _caught():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command; errors leave as `typer.Exit` with the code of their kind (`ExitCode`)."""
        with _caught(ctx):
            return super().invoke(ctx)


@contextlib.contextmanager
def _caught(ctx: Any = None) -> Iterator[None]:
    """Print what goes wrong inside, and leave with its exit code; `ctx` knows which command it is."""
    try:
        yield
    except KeyboardInterrupt as error:
        render.note("interrupted; nothing half-written was left behind")
        raise typer.Exit(ExitCode.INTERRUPTED) from error
    except Exception as error:
        if is_usage_error(error):
            raise typer.Exit(_report(explain_usage(error))) from error
        if _belongs_to_typer(error):
            raise
        _let_first_process_speak()
        command = getattr(ctx, "invoked_subcommand", None) or ""
        raise typer.Exit(_report(_translate(error, command))) from error


def _let_first_process_speak() -> None:
    """Under torchrun: what every process meets is said once, by the first, whose end ends the others too.

    An error of this process alone is said after a while.
    """
    if int(os.environ.get("LOCAL_RANK", "0")) == 0:
        return
    try:
        time.sleep(OTHERS_WAIT_S)
    except KeyboardInterrupt as ended:
        raise typer.Exit(ExitCode.INTERRUPTED) from ended


def _belongs_to_typer(error: Exception) -> bool:
    """Whether typer itself ends the program on this: Exit, Abort, a closed pipe, help without a command."""
    return isinstance(error, typer.Exit | typer.Abort | BrokenPipeError) or hasattr(error, "format_message")


def _translate(error: Exception, command: str) -> Exception:
    """Name a full disk, memory and missing packages as what they are, whichever library raised them."""
    if isinstance(error, VmexportError):
        return error
    if tells_of_memory(error):
        return OutOfMemory(
            "memory ran out",
            str(error).strip().splitlines()[0] if str(error).strip() else "",
            "use a smaller --batch, --frames or --size, or a machine with more memory",
        )
    if isinstance(error, OSError) and error.errno in FULL_DISK:
        return explain_write_error(error, Path(error.filename or "the output"))
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("vmexport"):
        return missing(error.name, command=command)
    return error


def _report(error: Exception) -> ExitCode:
    """Print the error and return its exit code; the traceback only with -vv."""
    if render.verbosity() >= 2:
        render.traceback(error)
    if isinstance(error, VmexportError):
        render.error(error)
        return error.exit_code
    render.bug(error)
    return ExitCode.BUG


app = typer.Typer(
    name="vmexport",
    cls=CatchingGroup,
    help="Export VideoMamba to ONNX with a native selective scan, and prove that it still computes the same.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(value: bool) -> None:
    if value:
        render.text(f"vmexport {VERSION}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    for name in EXPORTER_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)


for _name, _command in (
    ("doctor", doctor.doctor),
    ("models", models.models),
    ("convert", convert.convert),
    ("info", info.info),
    ("train", train.train),
    ("onnx", onnx.onnx),
    ("trt", trt.trt),
    ("check", check.check),
    ("bench", bench.bench),
    ("predict", predict.predict_command),
    ("eval", eval.eval_command),
    ("ablate", ablate.ablate),
    ("delta", delta.delta),
):
    app.command(_name)(_command)
app.add_typer(data.app, name="data")
app.add_typer(plugin.app, name="plugin")


def run() -> None:
    """Entry point of the `vmexport` program."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # clean up as after Ctrl-C
    render.guard_libraries()
    app()
