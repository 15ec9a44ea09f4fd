"""The words of a setting stand once: tables that give each of them a meaning have all of them, in order."""

from __future__ import annotations

import json

import pytest

from vmexport.config.choices import (
    PRECISIONS,
    AblationTable,
    Device,
    Order,
    SynthLayout,
    TrainingPrecision,
)
from vmexport.data.synth.layouts import WRITERS
from vmexport.eval.ablation_plan import TABLES
from vmexport.eval.reorder import REORDERINGS
from vmexport.export.verify import ACTIVATION_TYPES
from vmexport.model.freeze import DTYPES
from vmexport.runtime.tolerance import TOLERANCES


@pytest.mark.parametrize(
    ("words", "table"),
    [
        (PRECISIONS, DTYPES),
        (PRECISIONS, ACTIVATION_TYPES),
        (PRECISIONS, TOLERANCES),
        (PRECISIONS, TrainingPrecision.all()[1:]),
        (Order.all(), REORDERINGS),
        (SynthLayout.all(), WRITERS),
        (AblationTable.all(), map(str, TABLES)),
    ],
)
def test_every_word_has_its_entry(words: tuple[str, ...], table: object) -> None:
    assert words == tuple(table)  # type: ignore[arg-type]


def test_a_word_is_a_plain_string() -> None:
    assert {"cuda": 1}[Device.CUDA] == 1
    assert f"on {Device.CUDA}" == "on cuda"
    assert json.dumps({"device": Device.CUDA}) == '{"device": "cuda"}'
