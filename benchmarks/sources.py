"""Which sources a measurement is of, also where files travel without their history. Standard library only."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WRITTEN_FROM_RESULTS = ("benchmarks/results", "docs", "README.md")
"""Changes here do not change what is measured: results, and the pages that quote them."""
MANIFEST = Path("build/gpu-bundle/sources.json")
"""What `make gpu-bundle` wrote down within a tree: the commit, and digests of the files that count."""


def source_state(root: Path) -> tuple[str | None, list[str]]:
    """Commit of a checkout, None outside of one, and the files that differ from it, results aside."""
    left_out = [f":(exclude){name}" for name in WRITTEN_FROM_RESULTS]
    commit = git(root, "rev-parse", "--short=12", "HEAD").strip()
    status = git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", *left_out)
    return commit or None, [line[3:] for line in status.splitlines()]


def bundled_state(root: Path, manifest: Path) -> tuple[str | None, list[str]]:
    """Commit that a tree without history was copied from, and the files that differ from it.

    The commit is None where nobody wrote one down.
    """
    try:
        written = json.loads(manifest.read_text(encoding="utf-8"))
        commit, before, digests = str(written["commit"]), list(written["changed"]), dict(written["files"])
    except (OSError, ValueError, KeyError):
        return None, []
    return commit, before + changed_files(root, digests)


def write_manifest(root: Path, manifest: Path) -> tuple[str | None, list[str]]:
    """Write down the state of a checkout, which is returned, and its files' digests."""
    commit, changed = source_state(root)
    files = {name: digest_of(root / name) for name in measured_files(root)}
    document = {"commit": commit, "changed": changed, "files": files}
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return commit, changed


def changed_files(root: Path, digests: Mapping[str, str]) -> list[str]:
    """Names of the files that are others than their digests say, or gone."""
    return [name for name, digest in digests.items() if digest_of(root / name) != digest]


def measured_files(root: Path) -> list[str]:
    """The files of a checkout that decide what is measured."""
    names = git(root, "ls-files", "-z").split("\0")
    return [name for name in names if name and not name.startswith(WRITTEN_FROM_RESULTS)]


def digest_of(path: Path) -> str:
    """SHA-256 of a file, empty where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def git(root: Path, *words: str) -> str:
    """Output of a git command; empty where git is missing or fails."""
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""
