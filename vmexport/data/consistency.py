"""Contradictions in a data set's own description."""

from __future__ import annotations

from vmexport.data.formats.catalogue import Catalogue, Entry
from vmexport.errors import InputError

SHOWN = 5
"""Names listed in one message."""


def check_catalogue(catalogue: Catalogue) -> list[str]:
    """Check labels, duplicates and overlaps; duplicates are dropped from the catalogue.

    Returns:
        notes on what is odd but usable.

    Raises:
        InputError: a label without a class, one video with two labels, or classes that are never trained.
    """
    notes: list[str] = []
    for part, entries in catalogue.parts.items():
        _check_labels(catalogue, entries)
        kept = _without_duplicates(entries)
        if len(kept) < len(entries):
            name = f"the {part} part" if part else "the list"
            notes.append(f"{len(entries) - len(kept)} videos are listed twice in {name}; each counts once")
        catalogue.parts[part] = kept
    notes += _overlaps(catalogue)
    notes += _untrained(catalogue)
    notes += _vacant(catalogue)
    return notes


def _check_labels(catalogue: Catalogue, entries: list[Entry]) -> None:
    """Every label is the number of a class."""
    for entry in entries:
        if not 0 <= entry.label < len(catalogue.classes):
            raise InputError(
                f"{entry.where}: label {entry.label} is out of range",
                f"there are {len(catalogue.classes)} classes, labels 0 to {len(catalogue.classes) - 1}",
                "correct the line, or the list of classes",
            )


def _without_duplicates(entries: list[Entry]) -> list[Entry]:
    """Each video once; two labels for one video are an error."""
    kept: dict[str, Entry] = {}
    for entry in entries:
        _same_label(kept.setdefault(str(entry.path), entry), entry)
    return list(kept.values())


def _same_label(first: Entry, second: Entry) -> None:
    """Refuse two labels for one video."""
    if first.label != second.label:
        raise InputError(
            f"{first.path} has two labels",
            f"{first.label} in {first.where}, {second.label} in {second.where}",
            "remove the wrong line",
        )


def _overlaps(catalogue: Catalogue) -> list[str]:
    """A note on videos that are in training and in another part; their labels must agree."""
    training = {str(entry.path): entry for entry in catalogue.parts.get("train", [])}
    notes = []
    for part in ("val", "test"):
        shared = [entry for entry in catalogue.parts.get(part, []) if str(entry.path) in training]
        for entry in shared:
            _same_label(training[str(entry.path)], entry)
        if shared:
            notes.append(
                f"{len(shared)} videos are in the train part and in the {part} part, such as "
                f"{shared[0].path}: accuracy on {part} will be too high"
            )
    return notes


def _untrained(catalogue: Catalogue) -> list[str]:
    """Classes of other parts without a training video: a mistake, or a note where classes are fixed."""
    training = {entry.label for entry in catalogue.parts.get("train", [])}
    others = {e.label for part in ("val", "test") for e in catalogue.parts.get(part, [])}
    untrained = sorted(others - training) if training else []
    if not untrained:
        return []
    names = ", ".join(catalogue.classes[label] for label in untrained[:SHOWN])
    names += ", ..." if len(untrained) > SHOWN else ""
    if catalogue.fixed_classes:
        return [f"{len(untrained)} classes have no training video: {names}"]
    raise InputError(
        f"{len(untrained)} classes of {catalogue.root} are never trained",
        f"they appear in validation or test, but not in train: {names}",
        "check the spelling of the class names, or the labels, of each part",
    )


def _vacant(catalogue: Catalogue) -> list[str]:
    """A note on labels that nothing has, where only the numbers say how many classes there are."""
    used = {entry.label for entries in catalogue.parts.values() for entry in entries}
    vacant = [name for label, name in enumerate(catalogue.classes) if label not in used]
    if catalogue.fixed_classes or not vacant:
        return []
    names = ", ".join(vacant[:SHOWN]) + (", ..." if len(vacant) > SHOWN else "")
    return [
        f"{len(vacant)} of {len(catalogue.classes)} classes have no video ({names}): labels count from 0; "
        "where classes are missing on purpose, name them all in labels.txt"
    ]
