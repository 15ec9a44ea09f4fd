"""Something-Something V2 as published: three JSON files and videos named by number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vmexport.data.formats.catalogue import Catalogue, Entry
from vmexport.data.formats.classes import names_by_number
from vmexport.data.formats.files import Listing, video_folder
from vmexport.data.formats.text import read_json
from vmexport.errors import InputError

PREFIX = "something-something-v2-"
PARTS = {"train": ("train",), "val": ("validation", "val")}
FOLDERS = ("", "labels", "annotations")
"""Where the JSON files are, below the root of the data set."""


def find_ssv2(root: Path) -> dict[str, Path]:
    """The files "train", "val" and "labels" that are there; empty unless the labels and a part are.

    Beside the published names, those without the prefix count, as the later archives have them.
    """
    for name in FOLDERS:
        for prefix in (PREFIX, ""):
            wanted = {**PARTS, "labels": ("labels",)}
            found = {
                part: path
                for part, words in wanted.items()
                for word in words
                if (path := root / name / f"{prefix}{word}.json").is_file()
            }
            if ("labels" in found and len(found) > 1) or (prefix and found):
                return found
    return {}


def read_ssv2(path: Path, videos: Path | None) -> Catalogue:
    """Read the JSON files.

    Args:
        path: the folder, or one of the files.
        videos: folder of the videos; None searches at and below the root.

    Raises:
        InputError: a file is missing, damaged, or names a template that has no label; or no video is found.
    """
    root = path if path.is_dir() else path.parent
    files = find_ssv2(root)
    if "labels" not in files or len(files) < 2:
        raise InputError(
            f"{root} is not a complete Something-Something V2",
            f"found {', '.join(file.name for file in files.values()) or 'none of its files'}",
            f"it needs {PREFIX}labels.json and {PREFIX}train.json or {PREFIX}validation.json",
        )
    values = read_json(files["labels"])
    if not isinstance(values, Mapping):
        raise InputError(
            f"{files['labels']} is no list of labels", "expected an object from template to number"
        )
    classes = tuple(names_by_number(values, files["labels"]))
    number_of = {_plain(name): number for number, name in enumerate(classes)}
    listed = {
        part: [
            _item(item, number_of, f"{files[part].name}, entry {n}")
            for n, item in enumerate(_items(files[part]))
        ]
        for part in PARTS
        if part in files
    }
    return Catalogue(
        "ssv2",
        root,
        classes,
        _located(listed, (root, files["labels"].parent, root.parent), videos),
        fixed_classes=True,
        directional=True,
        sources=list(files.values()),
    )


def _items(path: Path) -> Sequence[Any]:
    """The entries of one part."""
    value = read_json(path)
    if not isinstance(value, list):
        raise InputError(f"{path} is no list of videos", f"expected a JSON list, got {type(value).__name__}")
    return value


def _item(item: Any, number_of: Mapping[str, int], where: str) -> tuple[str, int, str]:
    """Id, label and place of one entry."""
    template = item.get("template") if isinstance(item, Mapping) else None
    if not isinstance(template, str) or not isinstance(item.get("id"), str | int):
        raise InputError(
            f"{where} has no id or no template",
            f"got {str(item)[:80]}",
            "the test part is published without: use --split val",
        )
    label = number_of.get(_plain(template))
    if label is None:
        raise InputError(f"{where}: no such label: {_plain(template)!r}", "it is not in the file of labels")
    return str(item["id"]), label, where


def _plain(template: str) -> str:
    """A template as the labels write it: without brackets."""
    return template.replace("[", "").replace("]", "")


def _located(
    listed: Mapping[str, Sequence[tuple[str, int, str]]], bases: Sequence[Path], videos: Path | None
) -> dict[str, list[Entry]]:
    """Entries with the files of their ids, `.webm` or another ending of a video."""
    listing = Listing()
    ids = [f"{number}.webm" for part in listed.values() for number, _, _ in part]
    folder = video_folder(ids, bases, listing, videos) if ids else Path()
    return {
        part: [
            Entry(listing.find(folder / f"{number}.webm") or folder / f"{number}.webm", label, where)
            for number, label, where in items
        ]
        for part, items in listed.items()
    }
