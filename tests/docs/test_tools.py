"""The tools of a developer, of pre-commit and of the workflow are those of pyproject.toml."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

yaml = pytest.importorskip("yaml", reason="the files are YAML")


@pytest.fixture(scope="module")
def project(root_dir: Path) -> dict[str, Any]:
    """The table `project` of pyproject.toml."""
    found: dict[str, Any] = tomllib.loads((root_dir / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    return found


@pytest.fixture(scope="module")
def hooks(root_dir: Path) -> dict[str, Any]:
    """Hooks of pre-commit by id."""
    config = yaml.safe_load((root_dir / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    return {hook["id"]: hook for repo in config["repos"] for hook in repo["hooks"]}


@pytest.fixture(scope="module")
def workflow(root_dir: Path) -> dict[str, Any]:
    """The jobs of continuous integration, by name."""
    found = yaml.safe_load((root_dir / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    jobs: dict[str, Any] = found["jobs"]
    return jobs


def test_hooks_have_the_versions_of_pyproject(project: dict[str, Any], hooks: dict[str, Any]) -> None:
    wanted = {line.split(";")[0].strip() for line in project["optional-dependencies"]["dev"]}
    for name, hook in hooks.items():
        for requirement in hook.get("additional_dependencies", []):
            assert requirement in wanted, f"{name} wants {requirement}, which pyproject.toml does not"


def test_hooks_run_what_make_lint_runs(hooks: dict[str, Any], root_dir: Path) -> None:
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", (root_dir / "Makefile").read_text(encoding="utf-8"), re.M)
    assert lint is not None
    made = set(re.findall(r"\$\(BIN\)/([\w-]+)", lint[1]))
    assert {Path(hook["entry"].split()[0]).name for hook in hooks.values()} == made


def test_the_workflow_tests_every_supported_python(project: dict[str, Any], workflow: dict[str, Any]) -> None:
    found = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    assert workflow["test"]["strategy"]["matrix"]["python"] == found


def test_the_workflow_makes_wheels_for_both_processors(workflow: dict[str, Any]) -> None:
    machines = {one["name"]: one["runner"] for one in workflow["wheels"]["strategy"]["matrix"]["machine"]}
    assert set(machines) == {"x86-64", "aarch64"}
    assert machines["aarch64"].endswith("-arm")


def test_actionlint_finds_nothing(root_dir: Path) -> None:
    program = shutil.which("actionlint", path=str(Path(sys.executable).parent)) or shutil.which("actionlint")
    if program is None:
        pytest.skip("actionlint is not installed (extra `dev`)")
    file = root_dir / ".github/workflows/ci.yml"
    done = subprocess.run([program, str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
