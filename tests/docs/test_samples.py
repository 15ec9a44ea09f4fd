"""The Python of the pages runs as it is printed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pages import PAGES, ROOT, fences

pytest.importorskip("torch", reason="the samples build networks")
pytest.importorskip("onnxruntime", reason="the samples run what they export")

SAMPLES = [
    pytest.param(code, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, code in enumerate(fences(page, "python"))
]


@pytest.mark.parametrize("code", SAMPLES)
def test_a_sample_runs_as_printed(code: str, tmp_path: Path) -> None:
    (tmp_path / "sample.py").write_text(code, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "sample.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_readme_has_a_sample() -> None:
    assert fences(ROOT / "README.md", "python")
