"""Defaults, refusals, and the way through a file's metadata and back."""

from __future__ import annotations

from typing import Any

import pytest

from vmexport.config import Architecture, BatchProfile, ModelInfo, Preprocessing
from vmexport.config.architecture import SCAN_ORDERS
from vmexport.errors import InputError, UsageError
from vmexport.ops.schema import ScanOrder


def test_the_default_is_the_papers_small_model() -> None:
    a = Architecture()
    assert (a.grid, a.patches, a.tokens, a.tokens_per_frame) == ((8, 14, 14), 1568, 1569, 196)
    assert (a.d_inner, a.rank, a.clip_shape) == (768, 24, (3, 16, 224, 224))
    assert a.has_cls


def test_order_names_and_numbers_agree() -> None:
    assert [order.name.lower() for order in ScanOrder] == list(SCAN_ORDERS)
    assert [int(order) for order in ScanOrder] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"frames": 15}, "frames must be a multiple of tubelet"),
        ({"size": 225}, "size must be a multiple of patch_size"),
        ({"depth": 0}, "depth must be a whole number"),
        ({"depth": True}, "depth must be a whole number"),
        ({"d_model": 1.5}, "d_model must be a whole number"),
        ({"dt_rank": -1}, "dt_rank"),
        ({"cls_position": "last"}, "unknown cls_position"),
        ({"position": "rope"}, "unknown position"),
        ({"norm": "batch"}, "unknown norm"),
        ({"scale": "x"}, "scale must be a number"),
        ({"scale": float("nan")}, "scale must be a finite number"),
        ({"norm_eps": float("inf")}, "norm_eps must be a finite number"),
        ({"directions": ()}, "scan order"),
        ({"directions": ("sideways",)}, "sideways"),
        ({"cls_position": "middle", "directions": ("forward", "spatial")}, "middle"),
        ({"colour": 3}, "unknown architecture setting: colour"),
    ],
)
def test_a_bad_architecture_is_refused(overrides: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Architecture().with_overrides(**overrides)


@pytest.mark.parametrize(
    ("text", "values", "probes"),
    [
        (3, (3, 3, 3), (3,)),
        ("4", (4, 4, 4), (4,)),
        ("1:4:8", (1, 4, 8), (1, 4, 5, 8)),
        ("1:1:2", (1, 1, 2), (1, 2)),
        ("1:2:3", (1, 2, 3), (1, 2, 3)),
    ],
)
def test_batch_profiles(text: str | int, values: tuple[int, ...], probes: tuple[int, ...]) -> None:
    profile = BatchProfile.parse(text)
    assert (profile.minimum, profile.optimum, profile.maximum) == values
    assert profile.probes() == probes
    assert BatchProfile.parse(str(profile)) == profile
    assert profile.dynamic == (values[0] != values[2])
    assert values[2] in profile
    assert values[2] + 1 not in profile


@pytest.mark.parametrize(
    "text", ["", "a", "1:2", "0", "4:2:8", "1:9:8", "-1", "1:2:3:4", "1:4:99999999999999"]
)
def test_a_bad_batch_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="batch"):
        BatchProfile.parse(text)


@pytest.mark.parametrize(
    "settings",
    [
        {"stride": 0},
        {"std": (0.0, 1.0, 1.0)},
        {"mean": (0.5,)},
        {"resize": -1},
        {"crop": 3},
        {"std": (float("inf"), 1.0, 1.0)},
        {"std": (1.0, float("nan"), 1.0)},
        {"mean": (float("-inf"), 0.0, 0.0)},
        {"std": (1e-300, 1.0, 1.0)},
        {"std": (1.0, 1.0, 1e30)},
        {"mean": (0.0, 1e38, 0.0)},
    ],
)
def test_bad_preprocessing_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="preprocessing"):
        Preprocessing.from_dict(settings)


def test_metadata_comes_back() -> None:
    info = ModelInfo(
        Architecture(num_classes=2, frames=8, directions=("forward", "temporal")),
        labels=("cat", 'dog, "big"'),
        preprocessing=Preprocessing(stride=4, resize=256),
        profile=BatchProfile(1, 4, 8),
        precision="fp16",
        extra={"parity": '{"passed": true}'},
    )
    assert ModelInfo.from_metadata({**info.to_metadata(), "foreign": "kept out"}, "a.onnx") == info
    assert (info.label(1), ModelInfo(Architecture()).label(17)) == ('dog, "big"', "class 17")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"vmexport.architecture": None}, "was not written by vmexport"),
        ({"vmexport.architecture": "{"}, "damaged"),
        ({"vmexport.architecture": "[1]"}, "damaged"),
        ({"vmexport.architecture": '{"depth": -1}'}, "damaged"),
        ({"vmexport.labels": '["only one"]'}, "damaged"),
        ({"vmexport.labels": "3"}, "damaged"),
        ({"vmexport.preprocessing": '{"stride": "x"}'}, "damaged"),
        ({"vmexport.profile": '"8:1"'}, "damaged"),
        ({"vmexport.format": "99"}, "newer"),
    ],
)
def test_damaged_metadata_is_refused(change: dict[str, str | None], words: str) -> None:
    texts = {**ModelInfo(Architecture()).to_metadata(), **change}
    with pytest.raises(InputError, match=words):
        ModelInfo.from_metadata({key: value for key, value in texts.items() if value is not None}, "a.onnx")


def test_labels_must_match_the_head() -> None:
    with pytest.raises(InputError, match="1 labels for 400 classes"):
        ModelInfo(Architecture(), labels=("cat",))
