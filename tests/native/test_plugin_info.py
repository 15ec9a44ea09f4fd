"""What a plugin library says of itself."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from vmexport.errors import EnvironmentProblem
from vmexport.native.libraries import TRT_LIBRARY
from vmexport.native.loading import library_path
from vmexport.native.plugin_info import PluginBuild, read_plugin_build


def compiled(folder: Path, source: str) -> Path:
    """A shared library of a line of C."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    (folder / "library.c").write_text(source)
    path = folder / "libvmexport_trt.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", path, folder / "library.c"], check=True)
    return path


def test_it_tells(tmp_path: Path) -> None:
    text = '{\\"version\\": \\"0.1.0\\", \\"tensorrt\\": \\"10.3.0\\", \\"interface\\": \\"IPluginV3\\", '
    text += '\\"architectures\\": \\"sm_87\\"}'
    path = compiled(tmp_path, f'const char* vmexport_trt_build_info(void) {{ return "{text}"; }}')
    build = read_plugin_build(path)
    assert build == PluginBuild("0.1.0", "10.3.0", "IPluginV3", "sm_87")
    assert build.major == 10


@pytest.mark.parametrize(
    "source",
    [
        "int other(void) { return 0; }",
        'const char* vmexport_trt_build_info(void) { return "no JSON"; }',
        'const char* vmexport_trt_build_info(void) { return "{}"; }',
        "const char* vmexport_trt_build_info(void) { return 0; }",
    ],
)
def test_other_libraries(source: str, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="cannot load") as caught:
        read_plugin_build(compiled(tmp_path, source))
    assert "vmexport plugin build" in caught.value.fix


def test_no_library_at_all(tmp_path: Path) -> None:
    (tmp_path / TRT_LIBRARY).write_bytes(b"no library")
    with pytest.raises(EnvironmentProblem, match="cannot load"):
        read_plugin_build(tmp_path / TRT_LIBRARY)


@pytest.mark.compiled
def test_the_library_of_this_machine() -> None:
    path = library_path(TRT_LIBRARY)
    if path is None:
        pytest.skip(f"{TRT_LIBRARY} is not built")
    assert read_plugin_build(path).interface.startswith("IPluginV")
