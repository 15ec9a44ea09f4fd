"""Tubelets to tokens: the 3-D convolution, the positional embedding and the class token (paper 4.1, 4.2)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from vmexport.config import Architecture


def class_index(architecture: Architecture) -> int:
    """Place of the class token in the sequence: 0 when first, half of the patches when in the middle."""
    return architecture.patches // 2 if architecture.cls_position == "middle" else 0


def sinusoid(length: int, width: int) -> Tensor:
    """The sinusoidal table of Vaswani et al. (2017) over the flattened tokens, `(1, length, width)` float32.

    Even channels hold sines, odd ones cosines; channel pair `k` has the wavelength `2 pi 10000^(2k / width)`.
    """
    place = torch.arange(length, dtype=torch.float64).unsqueeze(1)
    channel = torch.arange(width)
    angle = place / torch.pow(10000.0, 2 * (channel // 2) / width)
    return torch.where(channel % 2 == 0, angle.sin(), angle.cos()).float().unsqueeze(0)


class Embedding(nn.Module):
    """Clip to token sequence.

    A learned table holds the class token's entry, where it has one (`position_on_cls`), at index 0 whatever
    the place of the class token in the sequence; the patch tokens' entries follow, frame by frame, row by
    row.

    Args:
        architecture: sizes, kind of positional embedding and place of the class token.

    Attributes:
        patch: the tubelet convolution, weight `(d, 3, tubelet, patch, patch)`, bias `(d)`.
        cls_token: `(1, 1, d)`, where there is a class token.
        position: "learned": one joint table `(1, [1 +] n_t * n_h * n_w, d)`.
        position_space: "separate": `(1, [1 +] n_h * n_w, d)`, the same for every frame.
        position_time: "separate": `(1, n_t, d)`, the same for every place; nothing is added to the class
            token.
    """

    sinusoid: Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        a = self.architecture = architecture
        kernel = (a.tubelet, a.patch_size, a.patch_size)
        self.patch = nn.Conv3d(a.in_channels, a.d_model, kernel_size=kernel, stride=kernel)
        self.class_entries = int(a.has_cls and a.position_on_cls and a.position in ("learned", "separate"))
        if a.has_cls:
            self.cls_token = nn.Parameter(torch.empty(1, 1, a.d_model))
        if a.position == "learned":
            self.position = nn.Parameter(torch.empty(1, self.class_entries + a.patches, a.d_model))
        elif a.position == "separate":
            self.position_space = nn.Parameter(
                torch.empty(1, self.class_entries + a.tokens_per_frame, a.d_model)
            )
            self.position_time = nn.Parameter(torch.empty(1, a.grid[0], a.d_model))
        elif a.position == "sinusoidal":
            self.register_buffer("sinusoid", sinusoid(a.patches, a.d_model), persistent=False)

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw new weights as Vim does: positions and class token truncated normal with deviation 0.02, the
        convolution LeCun normal (cut at two deviations, variance `1 / fan_in` after the cut) without bias.

        Args:
            generator: of the draw; None takes torch's global one.
        """
        for parameter in self.parameters(recurse=False):
            nn.init.trunc_normal_(parameter, std=0.02, generator=generator)
        weight, bias = self.patch.weight, self.patch.bias
        deviation = 1 / math.sqrt(weight[0].numel()) / 0.87962566103423978
        nn.init.trunc_normal_(weight, std=deviation, a=-2 * deviation, b=2 * deviation, generator=generator)
        assert bias is not None
        nn.init.zeros_(bias)

    def patch_positions(self) -> Tensor | None:
        """What is added to the patch tokens, `(1, n_t * n_h * n_w, d)`, or None where nothing is."""
        a = self.architecture
        if a.position == "learned":
            return self.position[:, self.class_entries :]
        if a.position == "separate":
            space = self.position_space[:, self.class_entries :].unsqueeze(1)  # (1, 1, n_h n_w, d)
            return (space + self.position_time.unsqueeze(2)).flatten(1, 2)
        if a.position == "sinusoidal":
            return self.sinusoid
        return None

    def class_row(self) -> Tensor:
        """The class token with its positional entry, `(1, 1, d)`."""
        if not self.class_entries:
            return self.cls_token
        table = self.position if self.architecture.position == "learned" else self.position_space
        return self.cls_token + table[:, :1]

    def forward(self, clips: Tensor) -> Tensor:
        """Clips `(B, 3, T, H, W)` to tokens `(B, L, d)` in the dtype of the weights."""
        tokens: Tensor = self.patch(clips).flatten(2).transpose(1, 2)  # (B, n_t n_h n_w, d)
        positions = self.patch_positions()
        if positions is not None:
            tokens = tokens + positions.to(tokens.dtype)
        if not self.architecture.has_cls:
            return tokens
        row = self.class_row().to(tokens.dtype).expand(tokens.shape[0], -1, -1)
        return insert_class_token(tokens, row, class_index(self.architecture))


def insert_class_token(tokens: Tensor, row: Tensor, index: int) -> Tensor:
    """Put `row` `(B, 1, d)` at `index` into the patch tokens `(B, P, d)`, giving `(B, P + 1, d)`."""
    if index == 0:
        return torch.cat((row, tokens), dim=1)
    return torch.cat((tokens[:, :index], row, tokens[:, index:]), dim=1)
