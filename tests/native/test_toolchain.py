"""A tool that is missing or too old is named, with the command that brings it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vmexport.errors import EnvironmentProblem
from vmexport.native import toolchain
from vmexport.native.toolchain import find_toolchain


class Machine:
    """A machine with just the programs that were put on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, name: str, version: str = "1.0") -> str:
        """A program that knows its version and no more."""
        path = self.folder / name
        path.write_text(f"#!/bin/sh\nprintf '%b\\n' '{version}'\n")
        path.chmod(0o755)
        return str(path)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """An empty machine, on which the environment says nothing either."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "venv").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr("vmexport.native.toolchain.sys.executable", str(tmp_path / "venv" / "python"))
    monkeypatch.setattr(toolchain, "CUDA_FOLDERS", (str(tmp_path / "cuda"),))
    for name in (*toolchain.SETTINGS, "CUDA_HOME", "CUDA_PATH"):
        monkeypatch.delenv(name, raising=False)
    return Machine(tmp_path / "bin")


@pytest.fixture
def complete(machine: Machine) -> Machine:
    """A machine with all that the CPU libraries need."""
    machine.add("cmake", "cmake version 3.25.1\\n\\nCMake suite")
    machine.add("ninja", "1.11.1")
    machine.add("c++", "c++ (Debian 12.2.0) 12.2.0")
    return machine


def test_a_complete_machine(complete: Machine) -> None:
    tools = find_toolchain("auto")
    assert tools.cmake == str(complete.folder / "cmake")
    assert (tools.generator, tools.make_program) == ("Ninja", str(complete.folder / "ninja"))
    assert tools.nvcc is None
    assert tools.versions["cmake"].endswith("cmake version 3.25.1")
    assert tools.versions["C++ compiler"].endswith("c++ (Debian 12.2.0) 12.2.0")


@pytest.mark.parametrize(
    ("lacking", "what", "fix"),
    [
        ("cmake", "cmake was not found", "pip install 'cmake>=3.22' ninja"),
        ("ninja", "neither ninja nor make was found", "pip install ninja"),
        ("c++", r"no C\+\+ compiler was found", "sudo apt-get install g++"),
    ],
)
def test_what_is_missing_is_named(complete: Machine, lacking: str, what: str, fix: str) -> None:
    (complete.folder / lacking).unlink()
    with pytest.raises(EnvironmentProblem, match=what) as caught:
        find_toolchain("auto")
    assert caught.value.fix.startswith(fix)


def test_make_serves_where_there_is_no_ninja(complete: Machine) -> None:
    (complete.folder / "ninja").unlink()
    complete.add("make")
    assert find_toolchain("off").generator == "Unix Makefiles"


def test_an_old_cmake_is_refused_unless_there_is_a_newer_one(complete: Machine, tmp_path: Path) -> None:
    complete.add("cmake", "cmake version 3.18.4")
    with pytest.raises(EnvironmentProblem, match="cmake is too old") as caught:
        find_toolchain("off")
    assert "3.18.4" in caught.value.why
    Machine(tmp_path / "venv").add("cmake", "cmake version 4.0.0")  # as pip installs it
    assert find_toolchain("off").cmake == str(tmp_path / "venv" / "cmake")


def test_a_compiler_that_is_not_there_is_named(complete: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "g++-99 -m64")
    with pytest.raises(EnvironmentProblem, match="CXX=g\\+\\+-99 -m64 names no program"):
        find_toolchain("off")


def test_nvcc_is_found_beside_the_path_too(complete: Machine, tmp_path: Path) -> None:
    (tmp_path / "cuda").mkdir()
    nvcc = Machine(tmp_path / "cuda").add("nvcc", "nvcc: NVIDIA\\nCuda compilation tools, release 13.0")
    assert find_toolchain("off").nvcc is None
    tools = find_toolchain("auto")
    assert tools.nvcc == nvcc
    assert tools.versions["nvcc"].endswith("release 13.0")


@pytest.mark.parametrize(("jetson", "package"), [(False, "nvidia-cuda-toolkit"), (True, "cuda-toolkit")])
def test_cuda_on_needs_nvcc(
    complete: Machine, monkeypatch: pytest.MonkeyPatch, jetson: bool, package: str
) -> None:
    monkeypatch.setattr(toolchain, "is_jetson", lambda: jetson)
    with pytest.raises(EnvironmentProblem, match="nvcc was not found") as caught:
        find_toolchain("on")
    assert caught.value.fix.startswith(f"sudo apt-get install {package} ")
    assert "--cuda off" in caught.value.fix


def test_the_environment_is_part_of_the_versions(complete: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXXFLAGS", "-march=native")
    assert find_toolchain("off").versions["CXXFLAGS"] == "-march=native"


PARTS = ("MAJOR", "MINOR", "PATCH")
HEADERS = {
    "numbers": "".join(
        f"#define NV_TENSORRT_{x} {n} //!< {x}\n" for x, n in zip(PARTS, (10, 3, 0), strict=True)
    ),
    "names": "".join(
        f"#define TRT_{x}_ENTERPRISE {n}\n#define NV_TENSORRT_{x} TRT_{x}_ENTERPRISE\n"
        for x, n in zip(PARTS, (11, 1, 0), strict=True)
    ),
    "damaged": "#define NV_TENSORRT_MAJOR\n",
}


@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")
@pytest.mark.parametrize(("form", "version"), [("numbers", "10.3.0"), ("names", "11.1.0"), ("damaged", "")])
def test_cmake_reads_the_version_of_tensorrts_headers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, version: str
) -> None:
    folder = tmp_path / "TensorRT of mine" / "include"
    folder.mkdir(parents=True)
    (folder / "NvInfer.h").touch()
    (folder / "NvInferVersion.h").write_text(HEADERS[form])
    monkeypatch.setenv("TENSORRT_ROOT", str(folder.parent))
    tools = find_toolchain("off", Path(__file__).parents[2] / "plugins")
    assert tools.tensorrt == version
    assert tools.versions["TensorRT headers"] == (f"{version} {folder.resolve()}" if version else "")
    assert find_toolchain("off").tensorrt == ""  # nobody to ask
