"""Bringing a data set's class numbers and a model's together, by name where both have names."""

from __future__ import annotations

from collections.abc import Sequence

from vmexport.config import ModelInfo
from vmexport.data import VideoIndex
from vmexport.errors import InputError

SHOWN = 5
"""Names listed in one message."""


Match = tuple[tuple[int, ...], tuple[str, ...]]
"""The model's number of each class of the data set, and remarks."""


def match_labels(info: ModelInfo, index: VideoIndex, source: str) -> Match:
    """The model's number of each class of the data set.

    Names decide where both sides have them: classes in another order are matched, and a data set may have
    fewer classes than the model. Where one side has no names, numbers are taken as they are.

    Args:
        info: the model's own description.
        index: the data set.
        source: name of the model in messages.

    Returns:
        a number for each class of the data set, and remarks.

    Raises:
        InputError: a class of the data set that the model does not know, or another number of classes.
    """
    named = index.classes != tuple(f"class {number}" for number in range(len(index.classes)))
    if info.labels and named:
        return _by_name(info.labels, index, source)
    known = info.architecture.num_classes
    if index.num_classes > known or (named and index.num_classes != known):
        raise InputError(
            f"{source} was made for other classes than {index.root} has",
            f"the model has {known} outputs, the data {index.num_classes} classes",
            "evaluate on the data that it was trained for, or train on this: vmexport train --data DIR",
        )
    nameless = "the data set" if info.labels else source
    return tuple(range(index.num_classes)), (f"{nameless} names no classes: they were matched by number",)


def _by_name(labels: Sequence[str], index: VideoIndex, source: str) -> Match:
    """The same, for named classes on both sides."""
    numbers = {name: number for number, name in enumerate(labels)}
    unknown = [name for name in index.classes if name not in numbers]
    if unknown:
        raise InputError(
            f"{source} does not know every class of {index.root}",
            f"{len(unknown)} of {len(index.classes)} are not among its {len(labels)} labels: "
            f"{', '.join(unknown[:SHOWN])}{', ...' if len(unknown) > SHOWN else ''} "
            f"(the model's: {', '.join(labels[:SHOWN])}{', ...' if len(labels) > SHOWN else ''})",
            "evaluate on the data that it was trained for, or train on this: vmexport train --data DIR",
        )
    mapping = tuple(numbers[name] for name in index.classes)
    notes = []
    if len(mapping) < len(labels):
        notes.append(f"the data set has {len(mapping)} of the model's {len(labels)} classes")
    if list(mapping) != sorted(mapping):
        notes.append("the data set counts its classes in another order than the model: matched by name")
    return mapping, tuple(notes)
