"""The known-answer table of the paper's sizes, exact to the printed digit, and the real module's count."""

from __future__ import annotations

import pytest
import torch

from vmexport.config import Architecture
from vmexport.config.flops import count, count_parameters
from vmexport.model.network import VideoMamba

# d, frames, classes; tokens, parameters (M), paper's "GFLOPs", linear and convolution MACs (G), scan FLOPs
# (G), exponentials (M), each as printed
KNOWN = [
    (384, 8, 174, 785, "25.999", "17.131", "19.562", "4.167", "463.0"),
    (384, 16, 51, 1569, "26.253", "34.240", "39.099", "8.329", "925.4"),
    (384, 16, 174, 1569, "26.300", "34.240", "39.099", "8.329", "925.4"),
    (384, 16, 400, 1569, "26.387", "34.240", "39.099", "8.329", "925.4"),
    (384, 32, 51, 3137, "26.855", "68.460", "78.174", "16.653", "1850.3"),
    (192, 16, 400, 1569, "7.443", "8.791", "10.527", "4.164", "462.7"),
]
PAPER = {(8, 174): "17.1", (16, 400): "34.2", (32, 51): "68.5"}


@pytest.mark.parametrize("row", KNOWN)
def test_known_answers(row: tuple[int, int, int, int, str, str, str, str, str]) -> None:
    width, frames, classes, tokens, *texts = row
    cost = count(Architecture(d_model=width, frames=frames, num_classes=classes))
    assert cost.tokens == tokens
    got = [
        f"{cost.parameters / 1e6:.3f}",
        f"{cost.paper_macs / 1e9:.3f}",
        f"{cost.linear_macs / 1e9:.3f}",
        f"{cost.scan_flops / 1e9:.3f}",
        f"{cost.exponentials / 1e6:.1f}",
    ]
    assert got == texts
    if width == 384 and (frames, classes) in PAPER:
        assert f"{cost.paper_macs / 1e9:.1f}" == PAPER[frames, classes]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"cls_position": "none"},
        {"position": "separate", "position_on_cls": True, "tubelet": 1},
        {"position": "sinusoidal", "position_on_cls": True},
        {"position": "none", "norm": "layer"},
        {
            "position_on_cls": True,
            "cls_position": "middle",
            "d_state": 8,
            "dt_rank": 5,
            "d_conv": 3,
            "expand": 3,
        },
        {"directions": ("forward", "spatial", "temporal")},
        {"directions": ("forward",), "in_channels": 1, "patch_size": 32},
    ],
)
def test_parameters_equal_the_modules(settings: dict[str, object]) -> None:
    architecture = Architecture(depth=2, frames=4, **settings)  # type: ignore[arg-type]
    with torch.device("meta"):
        model = VideoMamba(architecture)
    assert count_parameters(architecture) == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("width", [192, 384])
def test_full_size_parameters_equal_the_modules(width: int) -> None:
    with torch.device("meta"):
        model = VideoMamba(Architecture(d_model=width))
    assert count(model.architecture).parameters == sum(parameter.numel() for parameter in model.parameters())


def test_batch_scales_work_but_not_size() -> None:
    one, four = count(Architecture()), count(Architecture(), batch=4)
    assert (four.tokens, four.parameters) == (one.tokens, one.parameters)
    for name in ("paper_macs", "linear_macs", "scan_flops", "exponentials", "flops"):
        assert getattr(four, name) == 4 * getattr(one, name)
