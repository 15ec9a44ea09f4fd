"""One table of extras: as in pyproject.toml, and naming a home for all that is imported."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vmexport.extras import EXTRAS, HOMES, install, install_extra, missing

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DISTRIBUTIONS = {
    "pynvml": "nvidia-ml-py",
    "tensorrt_rtx": "tensorrt-rtx",
    "mamba_ssm": "mamba-ssm",
    "causal_conv1d": "causal-conv1d",
}
"""Where a package is imported by another name."""


@pytest.fixture(scope="module")
def project(root_dir: Path) -> dict[str, Any]:
    """The table `project` of pyproject.toml."""
    text = (root_dir / "pyproject.toml").read_text(encoding="utf-8")
    found: dict[str, Any] = tomllib.loads(text)["project"]
    return found


def declared(project: dict[str, Any], extra: str) -> Iterator[str]:
    """Distributions of an extra, those of the extras that it takes in too."""
    for line in project["optional-dependencies"][extra]:
        name, inner = re.match(r"([\w.-]+)(?:\[([\w,]+)\])?", line).groups()  # type: ignore[union-attr]
        if name == "vmexport":
            for other in inner.split(","):
                yield from declared(project, other)
        else:
            yield name


def imported(folder: Path) -> dict[str, str]:
    """Packages from elsewhere that the sources import when they run, and where."""
    found: dict[str, str] = {}
    for path in folder.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                node.body = []
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                root = name.partition(".")[0]
                if root not in sys.stdlib_module_names and root != "vmexport":
                    found.setdefault(root, f"{path}:{getattr(node, 'lineno', 0)}")
    return found


def test_the_table_is_that_of_pyproject(project: dict[str, Any]) -> None:
    assert set(EXTRAS) | {"dev"} == set(project["optional-dependencies"])
    for name, distributions in EXTRAS.items():
        assert sorted(declared(project, name)) == sorted(distributions), name


def test_what_is_imported_comes_with_the_base_or_an_extra(project: dict[str, Any], root_dir: Path) -> None:
    base = {re.split(r"[^\w-]", line)[0].replace("-", "_") for line in project["dependencies"]}
    for root, where in imported(root_dir / "vmexport").items():
        if root in base or root == "tomllib":  # tomli, for a Python without tomllib, is one of the base
            continue
        assert root in HOMES, f"{where}: {root} comes with no extra"
        assert DISTRIBUTIONS.get(root, root) in EXTRAS[HOMES[root]], root


def test_no_message_writes_an_extra_by_hand(root_dir: Path) -> None:
    for path in (root_dir / "vmexport").rglob("*.py"):
        if path.name != "extras.py":
            assert "vmexport[" not in re.sub(r'"""\w.*', "", path.read_text(encoding="utf-8")), path


def test_lines_to_copy() -> None:
    assert install("onnxruntime.capi") == install_extra("cpu") == "pip install 'vmexport[cpu]'"
    assert install("numpy") == "pip install numpy"
    assert install("tensorrt", "--upgrade").startswith(
        "pip install --upgrade --extra-index-url https://pypi.nvidia.com 'vmexport[tensorrt]'   (Jetson: "
    )
    error = missing("torch.onnx")
    assert error.what == "the Python package torch is not installed"
    assert error.fix == "pip install 'vmexport[export]'"
    assert missing("torch", command="train").fix == "pip install 'vmexport[train]'"
    assert missing("numpy", command="train").fix == "pip install numpy"
