"""Video weights out of an image model's (paper 4.1 and 4.2), and out of another number of frames."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vmexport.config.choices import InitPosition
from vmexport.errors import UsageError

INIT_POSITIONS = InitPosition.all()
"""Ways to a video's positional table out of an image's (paper section 4.2, options 3-1 to 3-4)."""


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


def resize_space(table: Tensor, have: tuple[int, int], want: tuple[int, int]) -> Tensor:
    """Carry a positional table to another grid of patches, bicubically, as the loaders of DeiT and its
    followers do; each layer of a video's joint table by itself.

    Args:
        table: (layers * rows * columns, d), row by row.
        have: rows and columns of its grid.
        want: rows and columns of the new one.

    Returns:
        (layers * new rows * new columns, d).
    """
    d = table.shape[-1]
    layers = table.reshape(-1, *have, d).permute(0, 3, 1, 2)
    resized: Tensor = nn.functional.interpolate(layers, size=want, mode="bicubic", align_corners=False)
    return resized.permute(0, 2, 3, 1).reshape(-1, d)
