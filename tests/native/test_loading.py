"""Which copy of a library is loaded, and from where never."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

import vmexport
from vmexport.errors import EnvironmentProblem, UsageError
from vmexport.native import cache
from vmexport.native.cache import BUILT, Target
from vmexport.native.libraries import CUDA_LIBRARY, SCAN_LIBRARY, TRT_LIBRARY
from vmexport.native.loading import library_path, locate, locate_plugins
from vmexport.native.sources import source_digest


class Installation:
    """A package with sources and an empty cache."""

    def __init__(self, folder: Path) -> None:
        self.native = folder / "vmexport" / "_native"
        self.sources = folder / "vmexport" / "_plugins"
        self.native.mkdir(parents=True)
        self.sources.mkdir()
        (self.sources / "CMakeLists.txt").write_text("project(vmexport)")

    def package(self, name: str, built_at: float) -> Path:
        """A library of the package."""
        path = self.native / name
        path.write_text("library")
        os.utime(path, (built_at, built_at))
        return path

    def cached(self, name: str, built_at: float, sources: str = "", tensorrt: str = "") -> Path:
        """A library of the cache."""
        root = cache.prepare_root()
        folder = root / "staged"
        folder.mkdir()
        (folder / name).write_text("library")
        manifest = {
            "sources": sources or source_digest(self.sources),
            "built_at": built_at,
            "targets": [vars(Target(name, BUILT, ""))],
            "request": {},
            "tensorrt": tensorrt,
        }
        return cache.publish(folder, f"{name}{built_at}", manifest).folder / name


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """The installation that vmexport takes for its own."""
    installation = Installation(tmp_path)
    monkeypatch.setattr(vmexport, "__path__", [str(installation.native.parent)])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return installation


def test_without_any_copy_there_is_no_path(here: Installation) -> None:
    assert library_path(SCAN_LIBRARY) is None
    one = locate("scan")
    assert (one.name, one.path, one.problem) == (SCAN_LIBRARY, None, "not built")
    assert one.fix.startswith("vmexport plugin build")
    assert not cache.cache_root().exists()  # looking makes nothing


def test_the_copy_that_was_built_last_counts(here: Installation) -> None:
    packaged = here.package(SCAN_LIBRARY, 100)
    assert library_path(SCAN_LIBRARY) == packaged.resolve()
    here.cached(SCAN_LIBRARY, 50)
    assert locate("scan").origin == "package"
    newer = here.cached(SCAN_LIBRARY, 200)
    assert library_path(SCAN_LIBRARY) == newer.resolve()
    assert locate(SCAN_LIBRARY).origin == "cache"
    newest = here.cached(SCAN_LIBRARY, 300)
    assert library_path(SCAN_LIBRARY) == newest.resolve()


def test_each_library_is_looked_for_by_itself(here: Installation) -> None:
    here.package(SCAN_LIBRARY, 100)
    cuda = here.cached(CUDA_LIBRARY, 50)
    assert library_path(CUDA_LIBRARY) == cuda.resolve()
    origins = {one.name: one.origin for one in locate_plugins() if one.origin}
    assert origins == {SCAN_LIBRARY: "package", CUDA_LIBRARY: "cache"}


def test_a_plugin_is_chosen_by_the_major_version_of_tensorrt(here: Installation) -> None:
    of_10 = here.cached(TRT_LIBRARY, 100, tensorrt="10.3.0")
    of_11 = here.cached(TRT_LIBRARY, 200, tensorrt="11.1.0")
    assert library_path(TRT_LIBRARY) == of_11.resolve()
    assert library_path(TRT_LIBRARY, 10) == of_10.resolve()
    assert library_path(TRT_LIBRARY, 8) is None
    packaged = here.package(TRT_LIBRARY, 300)  # of nobody knows which version
    assert library_path(TRT_LIBRARY) == packaged.resolve()
    assert library_path(TRT_LIBRARY, 10) == of_10.resolve()
    assert library_path(TRT_LIBRARY, 8) == packaged.resolve()


def test_libraries_of_other_sources_do_not_count(here: Installation) -> None:
    here.cached(SCAN_LIBRARY, 100, sources="of another version")
    assert library_path(SCAN_LIBRARY) is None
    here.cached(SCAN_LIBRARY, 100)
    assert library_path(SCAN_LIBRARY) is not None
    (here.sources / "CMakeLists.txt").write_text("project(vmexport VERSION 2)")
    assert library_path(SCAN_LIBRARY) is None


@pytest.mark.parametrize("changed", ["__version__", "platform"])
def test_libraries_of_other_versions_and_machines_do_not_count(
    here: Installation, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    here.cached(SCAN_LIBRARY, 100)
    if changed == "platform":
        monkeypatch.setattr("platform.machine", lambda: "riscv64")
    else:
        monkeypatch.setattr(cache, "VERSION", "99")
    assert library_path(SCAN_LIBRARY) is None


@pytest.mark.parametrize("damage", ["no manifest", "half a manifest", "no library"])
def test_an_incomplete_entry_does_not_count(here: Installation, damage: str) -> None:
    library = here.cached(SCAN_LIBRARY, 100)
    manifest = library.parent / cache.MANIFEST
    if damage == "no manifest":
        manifest.unlink()
    elif damage == "half a manifest":
        manifest.write_text(manifest.read_text()[:40])
    else:
        library.unlink()
    assert library_path(SCAN_LIBRARY) is None


@pytest.mark.parametrize("place", ["file", "entry", "version folder"])
def test_a_cached_library_that_anybody_may_write_is_refused(here: Installation, place: str) -> None:
    here.package(SCAN_LIBRARY, 50)
    library = here.cached(SCAN_LIBRARY, 100)
    spot = {"file": library, "entry": library.parent, "version folder": library.parents[2]}[place]
    spot.chmod(0o777)
    with pytest.raises(EnvironmentProblem, match="everybody may write it") as caught:
        library_path(SCAN_LIBRARY)
    assert caught.value.fix.startswith(f"chmod o-w {spot}")
    one = locate("scan")
    assert one.path is None
    assert "everybody may write it" in one.problem


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_nothing_of_a_cache_that_others_may_write_is_loaded(here: Installation, mode: int) -> None:
    here.cached(SCAN_LIBRARY, 100)
    cache.cache_root().chmod(mode)
    with pytest.raises(EnvironmentProblem, match="will not use the cache folder"):
        library_path(SCAN_LIBRARY)
    packaged = here.package(SCAN_LIBRARY, 50)  # which needs no cache
    assert library_path(SCAN_LIBRARY) == packaged.resolve()


def test_nothing_of_another_users_cache_is_loaded(
    here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.cached(SCAN_LIBRARY, 100)
    root = cache.cache_root()
    if os.getuid() == 0:  # who may give files away
        os.chown(root, 12345, -1)
    owner = root.stat().st_uid
    monkeypatch.setattr("os.getuid", lambda: owner + 1)
    with pytest.raises(EnvironmentProblem, match=f"it belongs to user {owner}"):
        library_path(SCAN_LIBRARY)


def test_a_cache_folder_that_is_not_absolute_counts_as_not_given(
    here: Installation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "somewhere")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.cache_root() == tmp_path / ".cache" / "vmexport"


def test_without_a_home_the_package_still_serves(here: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", homeless)
    with pytest.raises(EnvironmentProblem, match="no cache folder") as caught:
        cache.cache_root()
    assert caught.value.fix.startswith("export XDG_CACHE_HOME=")
    assert library_path(SCAN_LIBRARY) is None
    packaged = here.package(SCAN_LIBRARY, 100)
    assert library_path(SCAN_LIBRARY) == packaged.resolve()


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="scan, ort, scan_cuda, ort_cuda"):
        locate("libvmexport_other.so")
