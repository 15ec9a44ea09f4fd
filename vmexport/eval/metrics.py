"""Accuracy and confusion from averaged probabilities; the counting is torchmetrics'."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_confusion_matrix

from vmexport.eval.report import ClassResult


def accuracy(probabilities: NDArray[np.float64], labels: NDArray[np.int64], top: int) -> float:
    """Share of the rows whose label is among the `top` likeliest classes (of fewer classes: all of them).

    Args:
        probabilities: (videos, classes).
        labels: (videos,).
        top: at least 1.
    """
    classes = probabilities.shape[1]
    score = multiclass_accuracy(
        torch.from_numpy(probabilities), torch.from_numpy(labels), classes,
        top_k=min(top, classes), average="micro",
    )  # fmt: skip
    return float(score)


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
    matrix = multiclass_confusion_matrix(
        torch.from_numpy(probabilities), torch.from_numpy(labels), probabilities.shape[1]
    )
    return tuple(tuple(int(value) for value in row) for row in matrix.tolist())
