"""The empty library that goes by the short name of TensorRT-RTX's."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from vmexport.errors import EnvironmentProblem
from vmexport.runtime.tensorrt import rtx_name
from vmexport.runtime.tensorrt.rtx_name import empty_library, provide_short_name

SCRIPT = """
import ctypes, sys
folder, needed, name = sys.argv[1:]
ctypes.CDLL(f"{folder}/{needed}")
ctypes.CDLL(f"{folder}/made.so")
print(ctypes.CDLL(name).answer())
"""


def compiled(path: Path, soname: str) -> None:
    """A library with a function `answer`."""
    compiler = str(sysconfig.get_config_var("CC") or "cc").split()[0]
    source = path.with_suffix(".c")
    source.write_text("int answer(void) { return 42; }\n")
    words = [compiler, "-shared", "-fPIC", f"-Wl,-soname,{soname}", "-o", str(path), str(source)]
    try:
        subprocess.run(words, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no C compiler: {error}")


@pytest.mark.skipif(sys.platform != "linux", reason="ELF")
def test_what_is_looked_up_in_it_is_found_in_the_library_that_it_needs(tmp_path: Path) -> None:
    """Under its own name, and without a search: the other one lies in a folder that nobody searches."""
    compiled(tmp_path / "libreal-name.so.1", "libreal-name.so.1")
    content = empty_library("libshort-name.so", "libreal-name.so.1", platform.machine())
    (tmp_path / "made.so").write_bytes(content)
    words = [sys.executable, "-c", SCRIPT, str(tmp_path), "libreal-name.so.1", "libshort-name.so"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "42", done.stderr


def test_where_the_name_is_found_nothing_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtx_name, "_loads", lambda name: True)
    monkeypatch.setattr(ctypes, "CDLL", None)
    provide_short_name()


@pytest.mark.parametrize(("machine", "words"), [(platform.machine(), "OSError"), ("riscv64", "KeyError")])
def test_where_it_cannot_be_provided(machine: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """For instance because TensorRT-RTX is not loaded."""
    monkeypatch.setattr(rtx_name, "_loads", lambda name: False)
    monkeypatch.setattr(rtx_name, "LIBRARY", "libno-such-library.so.1")
    monkeypatch.setattr("platform.machine", lambda: machine)
    with pytest.raises(EnvironmentProblem, match="would not find libtensorrt_rtx") as caught:
        provide_short_name()
    assert words in caught.value.why
    assert "--no-plugin" in caught.value.fix
