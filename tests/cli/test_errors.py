"""One catcher: each kind of failure has its exit code, its message and no traceback."""

from __future__ import annotations

import errno
import json
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from vmexport import errors
from vmexport.cli import main, options, render

RAISED = {
    2: errors.UsageError("w", "y", "f"),
    3: errors.EnvironmentProblem("w", "y", "f"),
    4: errors.InputError("w", "y", "f"),
    5: errors.BuildError("w", "y", "f"),
    6: errors.ParityError("w", "y", "f"),
    7: errors.OutOfMemory("w", "y", "f"),
}
runner = CliRunner()


def failing(error: BaseException) -> typer.Typer:
    """A program with the real catcher and a command that fails."""
    app = typer.Typer(cls=main.CatchingGroup, pretty_exceptions_enable=False)

    @app.command("fail")
    def fail(verbose: options.Verbose = 0) -> None:
        raise error

    @app.command("other")
    def other(count: Annotated[int, typer.Option(min=1)] = 1) -> None:
        return None

    return app


@pytest.fixture(autouse=True)
def _quiet() -> None:
    render.set_verbosity(0)


@pytest.mark.parametrize("code", RAISED)
def test_each_error_has_its_exit_code(code: int) -> None:
    done = runner.invoke(failing(RAISED[code]), ["fail"])
    assert done.exit_code == code
    assert done.stdout == ""
    assert done.stderr.split() == ["error:", "w", "why:", "y", "fix:", "f"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), 130),
        (OSError(errno.ENOSPC, "No space left on device"), 5),
        (MemoryError(), 7),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 9 bytes"), 7),
        (RuntimeError("Non-zero status code returned: std::bad_alloc"), 7),
        (ValueError("odd"), 1),
        (ModuleNotFoundError("No module named 'kornia'", name="kornia"), 3),
        (ModuleNotFoundError("No module named 'vmexport.gone'", name="vmexport.gone"), 1),
    ],
)
def test_foreign_errors_are_translated(error: BaseException, code: int) -> None:
    done = runner.invoke(failing(error), ["fail"])
    assert done.exit_code == code
    assert "Traceback" not in done.stderr


def test_a_bug_says_so_and_shows_its_traceback_only_with_vv() -> None:
    quiet = runner.invoke(failing(ValueError("odd")), ["fail"])
    assert "this is a bug in vmexport: ValueError: odd" in quiet.stderr
    assert "-vv" in quiet.stderr
    loud = runner.invoke(failing(ValueError("odd")), ["fail", "-vv"])
    assert "Traceback" in loud.stderr


@pytest.mark.parametrize("words", [["nonsense"], ["fail", "--nonsense"], ["other", "--count", "0"]])
def test_words_that_typer_refuses_are_exit_2(words: list[str]) -> None:
    assert runner.invoke(failing(ValueError()), words).exit_code == 2


def test_square_brackets_in_messages_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    render.error(errors.UsageError("bad [red] text [1, 2]"))
    assert "bad [red] text [1, 2]" in capsys.readouterr().err


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    render.as_json({"a": float("nan"), "b": [float("inf"), 1.5], "c": errors.ExitCode.OK})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 1.5], "c": 0}
