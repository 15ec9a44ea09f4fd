"""Sizes beyond every budget are refused at once, with the figure, before anything is allocated."""

from __future__ import annotations

import json
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from vmexport.config import Architecture, ModelInfo, Preprocessing
from vmexport.errors import InputError, UsageError, VmexportError
from vmexport.model import available_cards, create_model, load_card

WHOLE = [field.name for field in fields(Architecture) if type(getattr(Architecture(), field.name)) is int]
HUGE = (1_000_000_000, 2**31 - 1, 2**31, 2**63, 10**30, 10**5000)
SMALL: dict[str, Any] = {"d_model": 16, "depth": 1, "frames": 2, "size": 16, "num_classes": 2}


def rest(name: str, value: int) -> dict[str, Any]:
    """Settings that go with a huge one, so that nothing but its size is wrong."""
    if name == "size":
        return {"patch_size": 1}
    if name == "patch_size":
        return {"size": value}
    if name == "tubelet":
        return {"frames": value}
    return {}


@pytest.mark.parametrize("name", WHOLE)
def test_no_size_is_without_bound(name: str) -> None:
    begun = time.monotonic()
    for value in HUGE:
        settings = {**SMALL, **rest(name, value), name: value * 16 if name in ("frames", "size") else value}
        with pytest.raises(UsageError) as caught:
            Architecture(**settings)
        assert caught.value.why
        assert "at most" in caught.value.why
    assert time.monotonic() - begun < 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"depth": 1_000_000}, "1000000 blocks"),
        ({"d_model": 100_000}, "parameters"),
        ({"num_classes": 10_000_000, "d_model": 384}, "parameters"),
        ({"in_channels": 1_000_000}, "parameters"),
        ({"size": 16_000, "frames": 16, "patch_size": 16}, "values in a clip"),
        ({"size": 4096, "frames": 16, "patch_size": 1, "position": "none"}, "values in one array"),
        ({"directions": ["forward"] * 17}, "17 scan directions"),
        ({"d_model": 4096, "depth": 19, "size": 4080, "position": "none"}, "multiply-accumulates"),
    ],
)
def test_the_figure_is_named(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        Architecture.from_dict({**SMALL, **settings})
    assert "at most" in caught.value.why


def test_presets_lie_far_below() -> None:
    for name in available_cards():
        create = load_card(name).architecture
        create.with_overrides(frames=create.tubelet * 64, depth=2 * create.depth, d_model=2 * create.d_model)


@pytest.mark.parametrize("change", [{"resize": 1_000_000}, {"resize": 2**70}, {"stride": 2**63}])
def test_preprocessing_has_bounds(change: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="out of range"):
        Preprocessing(**change)  # type: ignore[arg-type]


def test_cards_and_files_are_held_to_it(tmp_path: Path) -> None:
    card = tmp_path / "big.toml"
    for line in ("depth = 1000000", "depth = 1000000000", "d_model = 1000000", f"num_classes = {2**62}"):
        card.write_text(f"[architecture]\n{line}\n")
        with pytest.raises(InputError, match="at most"):
            create_model(card)
    card.write_text("[architecture]\ndepth = 1\n[preprocessing]\nresize = 1000000\n")
    with pytest.raises(InputError, match="resize 0 to 16384"):
        create_model(card)
    entries = ModelInfo(Architecture()).to_metadata()
    key = next(key for key, value in entries.items() if "d_model" in value)
    sizes = {**json.loads(entries[key]), "depth": 10**9}
    with pytest.raises(VmexportError, match="1000000000 blocks"):
        ModelInfo.from_metadata({**entries, key: json.dumps(sizes)}, "model.onnx")
