"""Errors say what, why and the fix, and every kind has its exit code."""

from __future__ import annotations

import pickle

import pytest

from vmexport import errors
from vmexport.errors import ExitCode, VmexportError

KINDS = {
    errors.UsageError: 2,
    errors.EnvironmentProblem: 3,
    errors.InputError: 4,
    errors.ShapeError: 4,
    errors.BuildError: 5,
    errors.ParityError: 6,
    errors.OutOfMemory: 7,
}


def test_every_kind_has_its_exit_code() -> None:
    defined = {
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, VmexportError) and kind is not VmexportError
    }
    assert defined == set(KINDS)
    assert {kind: int(kind.exit_code) for kind in KINDS} == KINDS
    assert VmexportError.exit_code is ExitCode.BUG
    assert int(ExitCode.INTERRUPTED) == 130


def test_the_parts_become_lines() -> None:
    error = errors.InputError("cannot read a.mp4", "expected a video, got text", "use another file")
    assert str(error) == "cannot read a.mp4\nwhy: expected a video, got text\nfix: use another file"
    assert str(errors.InputError("cannot read a.mp4")) == "cannot read a.mp4"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_survives_pickling(kind: type[VmexportError]) -> None:
    again = pickle.loads(pickle.dumps(kind("what", "why", "fix")))
    assert type(again) is kind
    assert (again.what, again.why, again.fix) == ("what", "why", "fix")


def test_a_shape_error_is_a_value_error_too() -> None:
    with pytest.raises(ValueError, match="u"):
        raise errors.ShapeError("u is wrong")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Failed to allocate memory for buffer"),
        RuntimeError("std::bad_alloc"),
        "Error Code 2: OutOfMemory (Requested size was 1 bytes.)",
        "CUDA out of memory. Tried to allocate 2 GiB",
    ],
)
def test_memory_that_ran_out_is_told(error: BaseException | str) -> None:
    assert errors.tells_of_memory(error)
    assert not errors.tells_of_memory("no such file")
