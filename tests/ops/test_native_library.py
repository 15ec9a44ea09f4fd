"""Finding the native library, and refusing one that cannot be trusted or does not fit."""

from __future__ import annotations

import ctypes
import os
import pickle
import shutil
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backends import forget_loaded_libraries, native_library, run_native
from cases import SCAN_CASES

import vmexport
from vmexport.errors import EnvironmentProblem, OutOfMemory, ShapeError
from vmexport.native.loading import SCAN_LIBRARY
from vmexport.ops import abi, binding, torch_native
from vmexport.ops.native import NativeLibrary, library_path, load_native

needs_library = pytest.mark.skipif(native_library() is None, reason="the native kernels are not built")


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty installation; the path of the library that it lacks."""
    folder = tmp_path / "package" / "_native"
    folder.mkdir(parents=True)
    monkeypatch.setattr(vmexport, "__path__", [str(folder.parent)])
    forget_loaded_libraries()
    yield folder / SCAN_LIBRARY
    forget_loaded_libraries()


def test_a_missing_library_says_how_to_build_it(installation: Path) -> None:
    assert library_path(SCAN_LIBRARY) is None
    with pytest.raises(EnvironmentProblem, match="make native") as caught:
        load_native()
    assert caught.value.fix.startswith("vmexport plugin build")
    assert torch_native.cpu_library() is None  # the operators fall back to the reference


@pytest.mark.parametrize("place", ["file", "folder"])
def test_a_library_that_anybody_may_write_is_refused(installation: Path, place: str) -> None:
    installation.write_bytes(b"whatever")
    spot = installation if place == "file" else installation.parent
    spot.chmod(spot.stat().st_mode | stat.S_IWOTH)
    with pytest.raises(EnvironmentProblem, match="everybody may write it") as caught:
        load_native()
    assert caught.value.fix.startswith(f"chmod o-w {spot}")
    with pytest.raises(EnvironmentProblem, match="everybody may write it"):
        torch_native.cpu_library()  # no silent fall back


def test_a_library_of_another_user_is_refused(installation: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installation.write_bytes(b"whatever")
    if os.getuid() == 0:  # who may give files away
        os.chown(installation, 12345, -1)
    owner = installation.stat().st_uid
    monkeypatch.setattr("os.getuid", lambda: owner + 1)
    with pytest.raises(EnvironmentProblem, match=f"it belongs to user {owner}"):
        library_path(SCAN_LIBRARY)


def test_a_damaged_library_is_refused(installation: Path) -> None:
    installation.write_bytes(b"\x7fELF and then nothing")
    with pytest.raises(EnvironmentProblem, match=f"cannot load .*{SCAN_LIBRARY}"):
        load_native()


@needs_library
def test_a_library_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    path = load_native().path
    monkeypatch.setattr(binding, "ABI_VERSION", 99)
    with pytest.raises(EnvironmentProblem, match="another version"):
        NativeLibrary(path)


@needs_library
def test_it_loads_from_the_package_only(installation: Path) -> None:
    shutil.copy(Path(vmexport.__file__).parent / "_native" / SCAN_LIBRARY, installation)
    installation.chmod(0o755)
    assert load_native().path == installation.resolve()


@needs_library
def test_structs_have_the_size_that_the_library_expects() -> None:
    library = load_native()._library
    assert ctypes.sizeof(abi.ScanParams) == library.vmexport_scan_params_size()
    assert ctypes.sizeof(abi.ConvParams) == library.vmexport_conv_params_size()


@needs_library
def test_the_tier_can_be_chosen() -> None:
    library = load_native()
    best = library.tier()
    assert not library.set_tier("mmx")
    assert library.tier() == best
    assert library.set_tier("baseline")
    assert library.tier() == "baseline"
    assert library.set_tier(None)
    assert library.tier() == best


@needs_library
def test_calls_may_come_from_several_threads() -> None:
    case = SCAN_CASES[7]
    arrays = case.inputs()
    want, _ = run_native(case, arrays, "float32")
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: run_native(case, arrays, "float32")[0], range(16)))
    for got in results:
        np.testing.assert_array_equal(got, want)


@needs_library
@pytest.mark.parametrize(
    ("status", "kind"), [(abi.OUT_OF_MEMORY, OutOfMemory), (abi.INVALID_ARGUMENT, ShapeError)]
)
def test_a_status_becomes_an_error(
    monkeypatch: pytest.MonkeyPatch, status: int, kind: type[Exception]
) -> None:
    class Failing:
        def vmexport_selective_scan(self, params: Any, message: Any) -> int:
            message.value = b"workspace: something happened"
            return status

    monkeypatch.setattr(load_native(), "_library", Failing())
    with pytest.raises(kind, match="workspace: something happened"):
        run_native(SCAN_CASES[0], SCAN_CASES[0].inputs(), "float32")


def test_a_refusal_survives_the_way_between_processes() -> None:
    error = ShapeError("selective_scan cannot take its argument u", "u: expected 1, got 2")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
