"""Small data sets in every format, made of copies of one real film, and ways to spoil a file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from vmexport.data import VideoIndex
from vmexport.video import write_film

FRAMES, HEIGHT, WIDTH = 12, 48, 64


def make_film(path: Path, seed: int = 0) -> Path:
    """Twelve frames of noise, 64 x 48, H.264; every frame takes enough bytes to be spoiled."""
    random = np.random.default_rng(seed)
    pictures = (random.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8) for _ in range(FRAMES))
    return write_film(path, pictures, (HEIGHT, WIDTH))


def counts(index: VideoIndex) -> tuple[int, ...]:
    """Videos of each class, in label order."""
    labels = [sample.label for sample in index.samples]
    return tuple(labels.count(label) for label in range(len(index.classes)))


def put(root: Path, names: Iterable[str], film: Path) -> None:
    """Copies of a film under some names below a folder."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(film, root / name)


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    """A text file, its line ends as they are; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def ssv2(root: Path, film: Path, parts: Mapping[str, Mapping[int, str]], labels: Iterable[str]) -> Path:
    """Something-Something V2: for each part, ids and their templates."""
    for part, templates in parts.items():
        entries = [
            {"id": str(n), "label": "x", "template": t, "placeholders": []} for n, t in templates.items()
        ]
        write(root / f"something-something-v2-{part}.json", json.dumps(entries))
        put(root / "20bn-something-something-v2", [f"{n}.webm" for n in templates], film)
    numbered = {name: str(number) for number, name in enumerate(labels)}
    write(root / "something-something-v2-labels.json", json.dumps(numbered))
    return root


def spoil(path: Path, kind: str) -> None:
    """Damage a film: empty, text, cut, hole (bytes overwritten in the middle), missing, or folder."""
    content = path.read_bytes()
    if kind in ("missing", "folder"):
        path.unlink()
        if kind == "folder":
            path.mkdir()
    elif kind == "hole":
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes(600) + content[middle + 600 :])
    else:
        path.write_bytes({"empty": b"", "text": b"no film\n" * 50, "cut": content[: len(content) // 2]}[kind])


KINDS = ("empty", "text", "cut", "hole", "missing", "folder")
