"""Random weights, as Mamba and Vim draw them, and video weights out of an image model (paper 4.1 and 4.2)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from vmexport.config.choices import InitPosition
from vmexport.errors import UsageError

if TYPE_CHECKING:
    from vmexport.model.network import VideoMamba

INIT_POSITIONS = InitPosition.all()
"""Ways to a video's positional table out of an image's (paper section 4.2, options 3-1 to 3-4)."""

DELTA_RANGE = (1e-3, 0.1)
DELTA_FLOOR = 1e-4


@torch.no_grad()
def initialise(model: VideoMamba, seed: int | None = None) -> None:
    """Fill a model with random weights, in place.

    Source: Mamba's reference module for the scan (`A_log = log(1..N)`, `D = 1`, delta's bias the inverse
    softplus of a log-uniform draw from 1e-3 to 0.1, `dt_proj` uniform within `R^-1/2`), PyTorch's defaults
    for the other projections and the convolution, `out_proj` divided by the square root of the depth; Vim for
    the rest (head and embeddings truncated normal with deviation 0.02, LeCun normal for the patches, zero
    biases).

    Args:
        model: the model; one on the meta device is left as it is.
        seed: makes the draw repeatable; None draws from torch's global generator.
    """
    if model.head.weight.is_meta:
        return
    generator = None
    if seed is not None:
        generator = torch.Generator(model.head.weight.device).manual_seed(seed)
    for parameter in model.embedding.parameters(recurse=False):
        nn.init.trunc_normal_(parameter, std=0.02, generator=generator)
    patch = model.embedding.patch
    _lecun_normal(patch.weight, generator)
    assert patch.bias is not None
    nn.init.zeros_(patch.bias)
    for block in model.blocks:
        _initialise_mixer(block.mixer, len(model.blocks), generator)  # type: ignore[arg-type]
    nn.init.trunc_normal_(model.head.weight, std=0.02, generator=generator)
    nn.init.zeros_(model.head.bias)


def _initialise_mixer(mixer: nn.Module, depth: int, generator: torch.Generator | None) -> None:
    """Mamba's own initialisation of one mixer, each direction drawn by itself."""
    from vmexport.model.mixer import Mixer

    assert isinstance(mixer, Mixer)
    inner = mixer.D.shape[-1]
    taps = mixer.conv_weight.shape[-1]
    _uniform(mixer.in_proj.weight, mixer.in_proj.in_features, generator)
    _uniform(mixer.x_proj, inner, generator)
    _uniform(mixer.dt_proj, mixer.rank, generator)
    _uniform(mixer.conv_weight, taps, generator)
    _uniform(mixer.conv_bias, taps, generator)
    _uniform(mixer.out_proj.weight, inner * depth, generator)
    low, high = map(math.log, DELTA_RANGE)
    delta = (
        torch.empty_like(mixer.dt_bias).uniform_(low, high, generator=generator).exp().clamp(min=DELTA_FLOOR)
    )
    mixer.dt_bias.copy_(delta + torch.log(-torch.expm1(-delta)))  # inverse of softplus
    mixer.A_log.copy_(torch.arange(1, mixer.states + 1, dtype=torch.float32).log().expand_as(mixer.A_log))
    nn.init.ones_(mixer.D)


def _uniform(parameter: Tensor, fan_in: int, generator: torch.Generator | None) -> None:
    """PyTorch's default for linear layers: uniform within `fan_in^-1/2`."""
    bound = 1 / math.sqrt(fan_in)
    nn.init.uniform_(parameter, -bound, bound, generator=generator)


def _lecun_normal(weight: Tensor, generator: torch.Generator | None) -> None:
    """Truncated normal (at two deviations) whose variance is 1 / fan_in after the truncation."""
    deviation = 1 / math.sqrt(weight[0].numel()) / 0.87962566103423978
    nn.init.trunc_normal_(weight, std=deviation, a=-2 * deviation, b=2 * deviation, generator=generator)


def inflate_patch(weight: Tensor, tubelet: int) -> Tensor:
    """Repeat an image model's patch weight over time and average (paper section 4.1).

    A clip that shows one picture `tubelet` times then gives the picture's own tokens.

    Args:
        weight: `(d, 3, 1, p, p)`.
        tubelet: frames of a tubelet.

    Returns:
        `(d, 3, tubelet, p, p)`.
    """
    return weight.repeat(1, 1, tubelet, 1, 1) / tubelet


def video_positions(image: Tensor, layers: int, method: str = "expanding") -> Tensor:
    """A video's joint positional table out of an image's (paper section 4.2).

    Args:
        image: `(n_h n_w, d)`, patch tokens only.
        layers: tubelet layers `n_t` of the video.
        method: "expanding" replicates the table `n_t` times; "interpolate-space" stretches it linearly along
            the tokens to `n_h n_w n_t` of them; "interpolate-dim" stretches each token's vector linearly to
            `d n_t` values and cuts it into `n_t` vectors of `d`, one a layer; "random" forgets the image's
            and draws truncated normals of deviation 0.02 with a fixed seed.

    Returns:
        `(n_t n_h n_w, d)`, frame by frame.

    Raises:
        UsageError: an unknown method.
    """
    tokens, width = image.shape
    if method == "expanding":
        return image.repeat(layers, 1)
    if method == "interpolate-space":
        return _stretch(image.T, tokens * layers).T.contiguous()
    if method == "interpolate-dim":
        return (
            _stretch(image, width * layers).reshape(tokens, layers, width).transpose(0, 1).reshape(-1, width)
        )
    if method == "random":
        table = torch.empty(tokens * layers, width)
        return nn.init.trunc_normal_(table, std=0.02, generator=torch.Generator().manual_seed(0))
    raise UsageError(
        f"unknown initialisation of the positional embedding: {method!r}",
        f"expected one of {', '.join(INIT_POSITIONS)}",
        "use --init-position expanding",
    )


def stretch_time(table: Tensor, layers: int) -> Tensor:
    """Stretch a table linearly along its first axis, time: `(n, ...)` to `(layers, ...)`."""
    flat = table.reshape(table.shape[0], -1)
    return _stretch(flat.T, layers).T.reshape(layers, *table.shape[1:]).contiguous()


def _stretch(rows: Tensor, length: int) -> Tensor:
    """Linear interpolation of each row of `(rows, n)` to `length` values, cell centres aligned."""
    return nn.functional.interpolate(rows.unsqueeze(0), size=length, mode="linear", align_corners=False)[0]
