"""Every line of the README and of docs/ that installs vmexport is one that is tried here, or is named."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from environments import ROOT, RUNNING, Environment, find_python, project, supported

from vmexport.extras import EXTRAS, OPTIONS

Say = Callable[[str, object], None]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
LINE = re.compile(r"pip install (?P<options>(?:--\S+ (?:https?:\S+ )?)*)['\"]?\.(?:\[(?P<extras>[\w,]+)\])?")

TRIED = {"cpu": "test_pythons", "export": "test_exporter", "train": "test_exporter", "dev": "make setup"}
"""Extras that are installed and used, and where."""
RESOLVED = ("bench", "gpu", "jetson6", "jetson7", "rtx")
"""Extras whose packages are found together, for the board's own Python where there is one, but not run."""
ELSEWHERE = {
    "mamba": "compiles with nvcc against a CUDA build of torch",
    "tensorrt": "needs NVIDIA's own index",
}
"""Extras that cannot be tried without a GPU's software or another index."""
BOARDS = {"jetson6": "3.10", "jetson7": "3.12"}


def test_every_extra_is_accounted_for() -> None:
    assert {*TRIED, *RESOLVED, *ELSEWHERE} == set(project()["optional-dependencies"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_lines_of(page: Path) -> None:
    """No `--no-deps`, no package by hand, known extras, and the options without which pip would fail."""
    text = page.read_text(encoding="utf-8")
    assert "--no-deps" not in text
    for found in LINE.finditer(text):
        extras = (found["extras"] or "").split(",")
        assert set(extras) <= {*EXTRAS, "dev", ""}, found[0]
        for extra in extras:
            assert OPTIONS.get(extra, "") in found["options"], f"{found[0]} lacks {OPTIONS.get(extra)}"


@pytest.mark.parametrize("extra", RESOLVED)
def test_resolves(extra: str, wheel: Path, tmp_path: Path) -> None:
    version = BOARDS.get(extra, RUNNING)
    python = find_python(version)
    if python is None:
        pytest.skip(f"no Python {version} on this machine")
    Environment.make(python, tmp_path).pip("install", "--dry-run", f"{wheel}[{extra}]")


@pytest.mark.parametrize("extra", ELSEWHERE)
def test_not_tried(extra: str) -> None:
    pytest.skip(ELSEWHERE[extra])


def test_from_the_sources(tmp_path: Path, record_property: Say) -> None:
    """`pip install '.[cpu]'` as it stands in the README, in a copy of what is under version control."""
    version = next(version for version in reversed(supported()) if find_python(version))
    python = find_python(version)
    assert python is not None
    tree = tmp_path / "vmexport"
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if names.returncode:
        pytest.skip("these sources are no git checkout")
    for name in filter(None, names.stdout.split("\0")):
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tree / name)
    environment = Environment.make(python, tmp_path)
    environment.pip("install", ".[cpu]", folder=tree)
    libraries = {found["name"]: found["status"] for found in environment.json("doctor")["libraries"]}
    assert libraries["libvmexport_scan.so"] == libraries["libvmexport_ort.so"] == "ok"
    record_property("said", f"Python {version}")
