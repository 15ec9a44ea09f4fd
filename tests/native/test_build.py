"""`build_plugins`: what it leaves in the cache, and that nothing half-written stays, however it ends."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_cmake import BOTH, FakeCmake
from patience import HANG_S, wait_until

import vmexport
from vmexport.errors import BuildError, EnvironmentProblem, OutOfMemory, UsageError
from vmexport.native import cache, sources
from vmexport.native.build import build_plugins
from vmexport.native.loading import locate
from vmexport.ops.native import NativeLibrary

PROGRAM = "from vmexport.cli.main import run; run()"


@pytest.fixture
def cmake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeCmake:
    """A fake cmake and an empty cache."""
    fake = FakeCmake(tmp_path)
    for name, value in fake.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("CMAKE_ARGS", "CXX", "CUDACXX"):
        monkeypatch.delenv(name, raising=False)
    return fake


def assert_no_debris() -> None:
    """No scratch folder, no entry without its manifest."""
    root = cache.cache_root()
    assert not (root / "scratch").exists()
    folder = cache.platform_folder()
    folders = list(folder.iterdir()) if folder.exists() else []
    assert len(folders) == len(cache.entries())
    assert not list(root.glob("probe-*"))


def start(cmake: FakeCmake, root_dir: Path, *words: str, **settings: str) -> subprocess.Popen[str]:
    """`vmexport plugin build` in its own process."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "plugin", "build", "--cuda", "off", *words],
        env={**os.environ, **cmake.environment, "PYTHONPATH": str(root_dir), **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(path: Path) -> str:
    """The content of a file that a child will write."""
    wait_until(lambda: path.exists() and path.read_text().strip(), f"{path} did not appear")
    return path.read_text().strip()


def is_gone(process: int) -> bool:
    """Whether a process has ended."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_build_is_one_private_entry(cmake: FakeCmake) -> None:
    steps: list[tuple[str, int, int]] = []
    report = build_plugins(cuda="off", progress=lambda *step: steps.append(step))
    assert [(target.name, target.state, target.detail) for target in report.targets] == list(BOTH)
    assert not report.reused
    assert {path.name for path in report.folder.iterdir()} == {
        "libvmexport_scan.so", "libvmexport_ort.so", "build.json", "build.log",
    }  # fmt: skip
    assert "Linking" in report.log.read_text()
    assert steps == [
        ("configuring", 0, 0),
        ("compiling", 0, 0),
        ("Building CXX object scan/one.cpp.o", 1, 2),
        ("Linking", 2, 2),
    ]
    assert cache.cache_root().stat().st_mode & 0o777 == 0o700
    assert report.folder.stat().st_mode & 0o777 == 0o700
    assert_no_debris()


def test_a_second_build_is_reused_and_force_replaces_it(cmake: FakeCmake) -> None:
    first = build_plugins(cuda="off")
    again = build_plugins(cuda="off")
    assert again.reused
    assert again.folder == first.folder
    assert len(cmake.calls("--build")) == len(cmake.calls("-S")) == 1
    forced = build_plugins(cuda="off", force=True)
    assert not forced.reused
    assert [entry.folder for entry in cache.entries()] == [forced.folder]
    assert_no_debris()


@pytest.mark.parametrize(
    ("name", "value"), [("CXXFLAGS", "-O1"), ("CMAKE_ARGS", "-DVMEXPORT_ORT_DOWNLOAD=OFF")]
)
def test_other_tools_are_another_entry(
    cmake: FakeCmake, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    first = build_plugins(cuda="off")
    monkeypatch.setenv(name, value)
    second = build_plugins(cuda="off")
    assert not second.reused
    assert {entry.folder for entry in cache.entries()} == {first.folder, second.folder}
    assert (value in cmake.calls("-S")[-1]) == (name == "CMAKE_ARGS")


def test_what_was_skipped_is_asked_for_again(cmake: FakeCmake, monkeypatch: pytest.MonkeyPatch) -> None:
    cmake.announce((BOTH[0], ("libvmexport_ort.so", "SKIPPED", "no headers")))
    monkeypatch.setenv("FAKE_LIBRARIES", cmake.environment["FAKE_LIBRARIES"])
    first = build_plugins(cuda="off")
    assert build_plugins(cuda="off").reused
    assert len(cmake.calls("--build")) == 1
    cmake.announce(BOTH)
    monkeypatch.setenv("FAKE_LIBRARIES", cmake.environment["FAKE_LIBRARIES"])
    second = build_plugins(cuda="off")
    assert not second.reused
    assert (second.folder / "libvmexport_ort.so").exists()
    assert not first.folder.exists()


def test_architectures_reach_cmake(cmake: FakeCmake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmexport.native.gpu.compute_capabilities", lambda: ("89",))
    monkeypatch.setattr("vmexport.native.toolchain.find_nvcc", lambda: "/bin/true")
    assert build_plugins(cuda="auto").architectures == ("89",)
    assert build_plugins(cuda="auto", architectures="90, 87").architectures == ("87", "90")
    assert build_plugins(cuda="on", architectures="all").architectures == ()
    native, listed, everything = cmake.calls("-S")
    assert "-DVMEXPORT_CUDA=AUTO -DVMEXPORT_CUDA_ARCHITECTURES=89" in native
    assert "-DVMEXPORT_CUDA_ARCHITECTURES=87;90" in listed
    assert "-DVMEXPORT_CUDA=ON" in everything
    assert "ARCHITECTURES" not in everything


def test_without_a_gpu_native_is_all_and_says_so(cmake: FakeCmake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmexport.native.gpu.compute_capabilities", lambda: ())
    report = build_plugins(cuda="auto")
    assert report.architectures == ()
    assert "all architectures" in report.notes[0]


@pytest.mark.parametrize(
    "words", [{"cuda": "maybe"}, {"architectures": "sm_87"}, {"architectures": ";"}, {"jobs": -1}]
)
def test_unknown_words_are_refused(words: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"unknown value for {next(iter(words))}"):
        build_plugins(**words)


def test_a_compile_failure_shows_its_end_and_the_log(
    cmake: FakeCmake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_MODE", "fail")
    with pytest.raises(BuildError) as caught:
        build_plugins(cuda="off")
    assert caught.value.why.splitlines() == ["FAILED: two.o", "two.cpp:7:1: error: expected a semicolon"]
    log = Path(caught.value.fix.removeprefix("read the whole log: "))
    assert "before 1\n" in log.read_text()
    assert "expected a semicolon" in log.read_text()
    assert cache.entries() == []
    assert_no_debris()


def test_a_failure_keeps_the_entry_that_was_there(cmake: FakeCmake, monkeypatch: pytest.MonkeyPatch) -> None:
    first = build_plugins(cuda="off")
    monkeypatch.setenv("FAKE_MODE", "fail")
    with pytest.raises(BuildError):
        build_plugins(cuda="off", force=True)
    assert (first.folder / "libvmexport_scan.so").exists()


@pytest.mark.parametrize(("mode", "kind"), [("full", BuildError), ("memory", OutOfMemory)])
def test_a_full_disk_and_a_full_memory_are_named(
    cmake: FakeCmake, monkeypatch: pytest.MonkeyPatch, mode: str, kind: type[Exception]
) -> None:
    monkeypatch.setenv("FAKE_MODE", mode)
    with pytest.raises(kind, match="the disk is full" if mode == "full" else "--jobs 1"):
        build_plugins(cuda="off")
    assert_no_debris()


def test_a_disk_that_fills_while_publishing(cmake: FakeCmake, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache, "publish", full)
    with pytest.raises(BuildError, match="the disk is full"):
        build_plugins(cuda="off")
    assert_no_debris()


def test_a_library_that_does_not_come_is_an_error(cmake: FakeCmake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_MODE", "nothing")
    with pytest.raises(BuildError, match=r"no libvmexport_scan\.so, libvmexport_ort\.so"):
        build_plugins(cuda="off")
    assert_no_debris()


def test_a_cmake_without_a_report_is_an_error(cmake: FakeCmake) -> None:
    cmake.targets_file.write_text("{}")
    with pytest.raises(BuildError, match="no report of its targets"):
        build_plugins(cuda="off")


def test_ctrl_c_leaves_no_half(cmake: FakeCmake, root_dir: Path) -> None:
    child = start(cmake, root_dir, FAKE_MODE="hang")
    compiler = int(wait_for(cmake.calls_file.with_name("calls.pid")))
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=HANG_S)
    assert child.returncode == 130, errors
    assert_no_debris()
    assert cache.entries() == []
    wait_until(lambda: is_gone(compiler), "the build goes on after its command has ended")


def test_ctrl_c_while_the_build_starts_leaves_no_half(
    cmake: FakeCmake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The compilers run already, and nobody has been told of them yet."""
    compilers: list[int] = []

    class Interrupted(subprocess.Popen[str]):
        def __init__(self, command: list[str], **options: Any) -> None:
            super().__init__(command, **options)
            if "--build" in command:
                compilers.append(int(wait_for(cmake.calls_file.with_name("calls.pid"))))
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("vmexport.native.cmake.subprocess.Popen", Interrupted)
    monkeypatch.setenv("FAKE_MODE", "hang")
    with pytest.raises(KeyboardInterrupt):
        build_plugins(cuda="off")
    wait_until(lambda: is_gone(compilers[0]), "the build goes on after its command has ended")
    assert_no_debris()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_two_builds_at_once_make_one_entry(cmake: FakeCmake, root_dir: Path) -> None:
    first = start(cmake, root_dir, FAKE_MODE="held")
    wait_until(lambda: cmake.calls("--build") or first.poll() is not None, "the first does not build")
    second = start(cmake, root_dir, FAKE_MODE="held")
    assert second.stderr is not None
    assert any("waiting for another vmexport plugin build" in line for line in second.stderr)
    cmake.calls_file.with_name("calls.go").touch()
    outputs = [child.communicate(timeout=HANG_S) for child in (first, second)]
    assert [child.returncode for child in (first, second)] == [0, 0], outputs
    assert len(cmake.calls("--build")) == len(cache.entries()) == 1
    assert "waiting" not in outputs[0][1]
    assert_no_debris()


def test_the_debris_of_a_killed_build_goes_with_the_next(cmake: FakeCmake, root_dir: Path) -> None:
    child = start(cmake, root_dir, FAKE_MODE="hang")
    compiler = int(wait_for(cmake.calls_file.with_name("calls.pid")))
    child.kill()
    child.communicate()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(compiler, signal.SIGKILL)
    assert (cache.cache_root() / "scratch").exists()
    assert not build_plugins(cuda="off").reused
    assert_no_debris()


def test_a_cache_folder_of_others_is_refused(cmake: FakeCmake) -> None:
    root = cache.cache_root()
    root.mkdir(parents=True)
    root.chmod(0o770)
    with pytest.raises(EnvironmentProblem, match="its group may write it") as caught:
        build_plugins(cuda="off")
    assert caught.value.fix.startswith(f"chmod g-w {root}")


def test_a_cache_folder_that_cannot_be_made_is_named(cmake: FakeCmake) -> None:
    root = cache.cache_root()
    root.parent.mkdir(parents=True)
    root.write_text("a file")
    with pytest.raises(EnvironmentProblem, match=f"cannot write the cache folder {root}"):
        build_plugins(cuda="off")


def test_a_cache_folder_where_no_folder_can_be_is_named(
    cmake: FakeCmake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")  # the system says: no such file
    with pytest.raises(EnvironmentProblem, match="cannot write the cache folder /proc/nowhere") as caught:
        build_plugins(cuda="off")
    assert caught.value.fix.startswith("XDG_CACHE_HOME=")


def test_old_entries_go(cmake: FakeCmake, monkeypatch: pytest.MonkeyPatch) -> None:
    for count in range(cache.KEPT_ENTRIES + 2):
        monkeypatch.setenv("CXXFLAGS", f"-DN={count}")
        newest = build_plugins(cuda="off")
    assert len(cache.entries()) == cache.KEPT_ENTRIES
    assert cache.entries()[0].folder == newest.folder


def test_downloaded_headers_are_kept_for_the_next_build(cmake: FakeCmake, tmp_path: Path) -> None:
    script = cmake.folder / "cmake"
    fetch = 'mkdir -p "$4/onnxruntime-headers/include" && '
    script.write_text(script.read_text().replace("-S) ", f"-S) {fetch}"))
    build_plugins(cuda="off")
    build_plugins(cuda="off", force=True)
    first, second = cmake.calls("-S")
    assert "VMEXPORT_ORT_INCLUDE_DIR" not in first
    (kept,) = (cache.cache_root() / "headers").iterdir()
    assert f"-DVMEXPORT_ORT_INCLUDE_DIR={kept}" in second


@pytest.fixture(scope="session")
def real_build(tmp_path_factory: pytest.TempPathFactory, root_dir: Path) -> Path:
    """A cache folder with the CPU library, built by the real tools from a copy of the sources."""
    if not shutil.which("cmake") or not shutil.which("c++"):
        pytest.skip("no cmake or no C++ compiler")
    folder = tmp_path_factory.mktemp("real")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "plugin", "build", "--cuda", "off"],
        env={
            **os.environ,
            "PYTHONPATH": str(root_dir),
            "XDG_CACHE_HOME": str(folder),
            "CMAKE_ARGS": "-DVMEXPORT_ONNXRUNTIME=OFF",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.integration
def test_the_real_build_works_and_says_what_it_left_out(
    real_build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(real_build))
    (entry,) = cache.entries()
    states = {target.name: target for target in entry.targets}
    assert states["libvmexport_scan.so"].state == "BUILT"
    assert states["libvmexport_ort.so"].state == "SKIPPED"
    assert states["libvmexport_ort.so"].detail == "VMEXPORT_ONNXRUNTIME is OFF"
    assert NativeLibrary(entry.folder / "libvmexport_scan.so").tier()
    location = locate("scan")
    assert (location.path, location.origin) == ((entry.folder / "libvmexport_scan.so").resolve(), "cache")


def test_the_sources_of_an_installed_package_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site-packages" / "vmexport"
    (package / "_plugins").mkdir(parents=True)
    (package.parent / "plugins").mkdir()  # somebody else's
    (package.parent / "plugins" / "CMakeLists.txt").write_text("")
    monkeypatch.setattr(vmexport, "__path__", [str(package)])
    with pytest.raises(EnvironmentProblem, match="sources of the native libraries are not here"):
        sources.require_sources()
    (package / "_plugins" / "CMakeLists.txt").write_text("")
    assert sources.require_sources() == package / "_plugins"


def test_the_digest_follows_the_sources_but_not_their_tests(tmp_path: Path) -> None:
    for name in ("CMakeLists.txt", "scan/a.cpp", "tests/t.cpp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    before = sources.source_digest(tmp_path)
    (tmp_path / "tests/t.cpp").write_text("22")
    assert sources.source_digest(tmp_path) == before
    (tmp_path / "scan/a.cpp").write_text("22")
    after = sources.source_digest(tmp_path)
    assert after != before
    (tmp_path / "scan/a.cpp").rename(tmp_path / "scan/b.cpp")
    assert sources.source_digest(tmp_path) != after
