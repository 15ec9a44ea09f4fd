"""What two artefacts say of themselves: equal logits are no equal answers where labels or frames differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vmexport.config import ModelInfo
from vmexport.config.names import is_engine, is_onnx
from vmexport.runtime.record import record_fault
from vmexport.runtime.runner import Runner


def differing_answers(a: ModelInfo, b: ModelInfo) -> tuple[str, ...]:
    """What makes another answer of the same logits, a sentence each: labels, and how frames become a clip.

    A side without labels names no class, and so none wrongly.
    """
    found = list(_differing("preprocessing", a.preprocessing.to_dict(), b.preprocessing.to_dict()))
    if a.labels and b.labels and a.labels != b.labels:
        found.append(_differing_labels(a.labels, b.labels))
    return tuple(found)


def remarks(a: Runner, b: Runner) -> tuple[str, ...]:
    """What else differs or cannot be relied on, a sentence each; the comparison of the logits stands."""
    found = list(_differing("architecture", a.info.architecture.to_dict(), b.info.architecture.to_dict()))
    if bool(a.info.labels) != bool(b.info.labels):
        found.append(f"{(b if a.info.labels else a).source} has no labels, the other side has")
    exported = [side for side in (a, b) if is_onnx(side.source) or is_engine(side.source)]
    found += [f"{side.source}: {fault}" for side in exported if (fault := record_fault(side.info))]
    return tuple(found)


def _differing(table: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each entry that differs."""
    for name, ours in a.items():
        if ours != b[name]:
            yield f"{table}.{name} is {ours} against {b[name]}"


def _differing_labels(a: Sequence[str], b: Sequence[str]) -> str:
    """The number of labels that differ, and the first of them."""
    places = [index for index, (ours, theirs) in enumerate(zip(a, b, strict=True)) if ours != theirs]
    first = places[0]
    return f"{len(places)} of {len(a)} labels differ: class {first} is {a[first]!r} against {b[first]!r}"
