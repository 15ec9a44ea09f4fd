"""Fresh virtual environments of every Python on the machine, and what is run in them."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "tests" / "portability"
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"
"""The Python that the Makefile chose."""
TORCH = os.environ.get("TORCH", "torch==2.13.0")
"""The PyTorch that the Makefile installs."""


@functools.cache
def project() -> dict[str, Any]:
    """The table `project` of pyproject.toml."""
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def supported() -> list[str]:
    """Pythons that pyproject.toml names, such as `3.10`."""
    classifiers = "\n".join(project()["classifiers"])
    return re.findall(r"Python :: (3\.\d+)$", classifiers, re.M)


def oldest(*extras: str) -> list[str]:
    """The floor of each requirement of the base and of some extras, such as `numpy==1.26`."""
    lines = [*project()["dependencies"], *(x for e in extras for x in project()["optional-dependencies"][e])]
    found = [re.match(r"([\w-]+)>=([\d.]+)", line) for line in lines]
    return [f"{pair[1]}=={pair[2]}" for pair in found if pair is not None]


@functools.cache
def find_python(version: str) -> str | None:
    """A program of a Python version that can make environments: on the path, of pyenv, or this one."""
    names = [shutil.which(f"python{version}"), *map(str, _pyenv(version)), sys.executable]
    for name in filter(None, names):
        code = "import ensurepip, sys; print('%d.%d' % sys.version_info[:2])"
        done = subprocess.run([name, "-c", code], capture_output=True, text=True, check=False)
        if done.stdout.strip() == version:
            return name
    return None


def _pyenv(version: str) -> Sequence[Path]:
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    return sorted((root / "versions").glob(f"{version}.*/bin/python"))


@dataclass(frozen=True)
class Environment:
    """A virtual environment.

    Attributes:
        folder: its folder.
        work: where its commands run; nothing of the source tree is found from there.
    """

    folder: Path
    work: Path

    @classmethod
    def make(cls, python: str, folder: Path) -> Environment:
        """A fresh one."""
        run([python, "-m", "venv", str(folder / "venv")], folder)
        (folder / "work").mkdir()
        return cls(folder / "venv", folder / "work")

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self.folder / "bin" / "python")

    def pip(self, *words: str, folder: Path | None = None) -> str:
        """`pip WORDS` as a user types it."""
        options = ["--disable-pip-version-check", "--no-input", "--quiet"]
        return run([self.python, "-m", "pip", *words[:1], *options, *words[1:]], folder or self.work)

    def vmexport(self, *words: str) -> str:
        """What a command prints; it must end well."""
        return run([str(self.folder / "bin" / "vmexport"), *words], self.work)

    def json(self, *words: str) -> dict[str, Any]:
        """A command with --json."""
        found: dict[str, Any] = json.loads(self.vmexport(*words, "--json"))
        return found

    def script(self, name: str, *words: str) -> str:
        """A script of tests/portability."""
        return run([self.python, str(SCRIPTS / name), *words], self.work)

    def has(self, package: str) -> bool:
        """Whether a package can be imported."""
        code = f"import importlib.util as u; print(u.find_spec({package!r}) is not None)"
        return run([self.python, "-c", code], self.work).strip() == "True"

    def megabytes(self) -> int:
        """Its size on disk, compiled modules included."""
        return sum(p.lstat().st_size for p in self.folder.rglob("*") if p.is_file()) // 10**6


def run(words: Sequence[str], folder: Path) -> str:
    """Output of a program that must succeed; the environment is a user's: no PYTHONPATH, no cache of ours."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    kept |= {"XDG_CACHE_HOME": str(folder / "cache"), **_pip_cache()}
    done = subprocess.run(words, cwd=folder, env=kept, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


@functools.cache
def _pip_cache() -> Mapping[str, str]:
    """pip's own cache where it has one, so that the same wheel is downloaded once."""
    words = [sys.executable, "-m", "pip", "cache", "dir", "--disable-pip-version-check"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return {"PIP_CACHE_DIR": done.stdout.strip()} if done.returncode == 0 else {}
