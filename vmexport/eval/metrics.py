"""Accuracy and confusion from averaged probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vmexport.eval.report import ClassResult


def accuracy(probabilities: NDArray[np.float64], labels: NDArray[np.int64], top: int) -> float:
    """Share of the rows whose label is among the `top` likeliest classes (of fewer classes: all of them).

    Args:
        probabilities: (videos, classes).
        labels: (videos,).
        top: at least 1.
    """
    likeliest = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    return float((likeliest == labels[:, None]).any(axis=1).mean())


def class_results(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], names: Sequence[str]
) -> tuple[ClassResult, ...]:
    """One result a class, classes without a video included."""
    found = []
    for number, name in enumerate(names):
        own = labels == number
        if not own.any():
            found.append(ClassResult(name, 0, None, None))
            continue
        rows = probabilities[own], labels[own]
        found.append(ClassResult(name, int(own.sum()), accuracy(*rows, top=1), accuracy(*rows, top=5)))
    return tuple(found)


def confusion(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> tuple[tuple[int, ...], ...]:
    """`[right class][predicted class]`, numbers of videos."""
    classes = probabilities.shape[1]
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (labels, probabilities.argmax(axis=1)), 1)
    return tuple(tuple(row) for row in matrix.tolist())
