"""The inference form of a model: what the torch runner runs and what every export traces."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import Tensor, nn

from vmexport.config import Architecture
from vmexport.errors import UsageError
from vmexport.model.embedding import class_index, insert_class_token
from vmexport.model.mixer import Mixer
from vmexport.model.network import Block, VideoMamba
from vmexport.model.norm import LayerNorm, RMSNorm
from vmexport.ops import causal_conv1d, directional_selective_scan

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
"""Precisions of the inference form and the dtype of its weights and activations."""


def freeze(model: VideoMamba, precision: str = "fp32") -> FrozenVideoMamba:
    """Build the inference form of a model; the model itself stays as it is.

    Args:
        model: the model.
        precision: "fp32", or "fp16" or "bf16" for half-precision weights and activations with float32 islands
            (norms, `A`, `D`, delta's bias, convolution weights, scan state, residual stream, head, logits).

    Raises:
        UsageError: an unknown precision.
    """
    frozen = FrozenVideoMamba(model, _dtype(precision)).eval().requires_grad_(False)
    frozen.info = replace(model.info, precision=precision)
    return frozen


def retyped(frozen: FrozenVideoMamba, precision: str) -> FrozenVideoMamba:
    """A float32 inference form in another precision, with the same islands as `freeze` leaves.

    Raises:
        UsageError: an unknown precision.
    """
    frozen = copy.deepcopy(frozen)
    for module in frozen.modules():
        if isinstance(module, FrozenEmbedding | FrozenMixer):  # of the others every parameter is an island
            for parameter in module.parameters(recurse=False):
                parameter.data = parameter.data.to(_dtype(precision))
    frozen.info = replace(frozen.info, precision=precision)
    return frozen


def _dtype(precision: str) -> torch.dtype:
    """The dtype of weights and activations."""
    if precision not in DTYPES:
        raise UsageError(
            f"unknown precision {precision!r}", f"expected one of {', '.join(DTYPES)}", "use fp32"
        )
    return DTYPES[precision]


class FrozenEmbedding(nn.Module):
    """Embedding with everything constant folded: one table holds positions and the convolution's bias."""

    position: Tensor
    class_row: Tensor

    def __init__(self, model: VideoMamba, dtype: torch.dtype) -> None:
        super().__init__()
        source = model.embedding
        self.has_cls = model.architecture.has_cls
        self.class_index = class_index(model.architecture)
        self.stride = source.patch.stride
        self.patch_weight = nn.Parameter(source.patch.weight.detach().to(dtype, copy=True))
        assert source.patch.bias is not None
        bias = source.patch.bias.detach().float()
        positions = source.patch_positions()
        folded = bias.expand(1, 1, -1) if positions is None else positions.detach().float() + bias
        self.register_buffer("position", folded.clone())  # (1, P or 1, d) float32
        if self.has_cls:
            self.register_buffer("class_row", source.class_row().detach().float().clone())  # (1, 1, d)

    def forward(self, clips: Tensor) -> Tensor:
        """Clips `(B, 3, T, H, W)` float32 to tokens `(B, L, d)` float32."""
        patches = nn.functional.conv3d(
            clips.to(self.patch_weight.dtype), self.patch_weight, stride=self.stride
        )
        tokens = patches.flatten(2).transpose(1, 2).float() + self.position
        if not self.has_cls:
            return tokens
        return insert_class_token(tokens, self.class_row.expand(clips.shape[0], -1, -1), self.class_index)


class FrozenMixer(nn.Module):
    """Mixer with `A` computed and all projections stored as right-hand matrices, `in_proj` in two halves.

    Two products in place of one spare the copies that splitting their common result would cost.
    """

    A: Tensor
    D: Tensor
    dt_bias: Tensor
    conv_weight: Tensor
    conv_bias: Tensor

    def __init__(self, source: Mixer, dtype: torch.dtype) -> None:
        super().__init__()
        self.order, self.scale = source.order, source.scale
        self.widths = [source.rank, 2 * source.states]
        inner = source.D.shape[-1]

        def right_hand(weight: Tensor) -> nn.Parameter:
            """Transposed copy, `(..., out, in)` to `(..., in, out)`."""
            return nn.Parameter(weight.detach().transpose(-1, -2).to(dtype).contiguous().clone())

        self.x_weight = right_hand(source.in_proj.weight[:inner])  # (d, D)
        self.z_weight = right_hand(source.in_proj.weight[inner:])  # (d, D)
        self.x_proj = right_hand(source.x_proj)  # (S, D, R + 2N)
        self.dt_proj = right_hand(source.dt_proj)  # (S, R, D)
        self.out_weight = right_hand(source.out_proj.weight)  # (D, d)
        self.register_buffer("A", -torch.exp(source.A_log.detach().float()))  # (S, D, N)
        for name in ("D", "dt_bias", "conv_weight", "conv_bias"):
            self.register_buffer(name, getattr(source, name).detach().float().clone())

    def operands(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What the scan reads of float32 `(B, L, d)`.

        Returns:
            u; delta before bias and softplus `(S, B, L, D)` each; BC `(S, B, L, 2N)`; z `(B, L, D)`.
        """
        hidden = hidden.to(self.x_weight.dtype)
        x, z = torch.matmul(hidden, self.x_weight), torch.matmul(hidden, self.z_weight)  # (B, L, D) each
        u = causal_conv1d(x, self.conv_weight, self.conv_bias, **self.order)  # (S, B, L, D)
        mixed = torch.matmul(u.flatten(1, 2), self.x_proj)  # (S, B L, R + 2N)
        low_rank, bc = torch.split(mixed, self.widths, dim=-1)  # (S, B L, R), (S, B L, 2N)
        delta = torch.matmul(low_rank, self.dt_proj)  # (S, B L, D)
        delta, bc = (value.reshape(*u.shape[:3], value.shape[-1]) for value in (delta, bc))
        return u, delta, bc, z

    def step_sizes(self, hidden: Tensor) -> Tensor:
        """Delta itself, after bias and softplus: float32 `(B, L, d)` to float32 `(S, B, L, D)`."""
        delta = self.operands(hidden)[1].float()
        return nn.functional.softplus(delta + self.dt_bias[:, None, None])

    def scan(self, hidden: Tensor) -> Tensor:
        """Everything before the projection out: float32 `(B, L, d)` to the gated sum `(B, L, D)`."""
        u, delta, bc, z = self.operands(hidden)
        gated: Tensor = directional_selective_scan(
            u, delta, self.A, bc, self.D, self.dt_bias, z, **self.order, scale=self.scale
        )
        return gated

    def project(self, gated: Tensor) -> Tensor:
        """Projection out, `(..., D)` to float32 `(..., d)` for the residual stream."""
        return torch.matmul(gated, self.out_weight).float()


class FrozenBlock(nn.Module):
    """Norm and mixer of one block; the residual addition stands between the blocks."""

    def __init__(self, source: Block, dtype: torch.dtype) -> None:
        super().__init__()
        self.norm = _frozen_norm(source.norm)
        self.mixer = FrozenMixer(source.mixer, dtype)

    def forward(self, stream: Tensor) -> Tensor:
        """The residual stream, float32 `(B, L, d)`, to the gated sum `(B, L, D)`."""
        return self.mixer.scan(self.norm(stream))


class FrozenVideoMamba(nn.Module):
    """A VideoMamba for inference: float32 clips in, float32 logits out, in every precision.

    It holds no branch on a tensor's shape, so a trace with a dynamic batch is valid for every batch. Of the
    last block's output only the class token's row is projected, added, normed and classified.

    Attributes:
        architecture: the network's settings.
        info: what travels into files; its `precision` is that of this form.
    """

    def __init__(self, model: VideoMamba, dtype: torch.dtype) -> None:
        super().__init__()
        self.architecture: Architecture = model.architecture
        self.info = model.info
        self.embedding = FrozenEmbedding(model, dtype)
        self.blocks = nn.ModuleList(FrozenBlock(block, dtype) for block in model.blocks)  # type: ignore[arg-type]
        self.norm = _frozen_norm(model.norm)
        self.head = nn.Linear(model.head.in_features, model.head.out_features)
        self.head.load_state_dict({key: value.float() for key, value in model.head.state_dict().items()})

    def forward(self, clips: Tensor) -> Tensor:
        """Classify clips `(B, 3, T, H, W)` float32; logits `(B, classes)` float32."""
        return self._run(clips)[0]

    def forward_blocks(self, clips: Tensor) -> list[Tensor]:
        """The residual stream at every block, for finding the first block that differs.

        Args:
            clips: `(B, 3, T, H, W)` float32.

        Returns:
            `depth + 1` float32 tensors: entry i is the stream `(B, L, d)` that block i reads (entry 0
            therefore is the embedding's output), the last is what the final norm reads, `(B, d)` of the class
            token or, without one, `(B, L, d)`.
        """
        return self._run(clips)[1]

    def _run(self, clips: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits and the residual streams."""
        stream = self.embedding(clips)
        streams = [stream]
        last = len(self.blocks) - 1
        for index, block in enumerate(self.blocks):
            gated = block(stream)
            if index == last and self.architecture.has_cls:
                row = class_index(self.architecture)
                stream, gated = stream[:, row], gated[:, row]
            stream = stream + block.mixer.project(gated)  # type: ignore[union-attr, operator]
            streams.append(stream)
        features = self.norm(stream)  # (B, d) or (B, L, d)
        if not self.architecture.has_cls:
            features = features.mean(dim=1)
        return self.head(features), streams


def _frozen_norm(source: nn.Module) -> RMSNorm | LayerNorm:
    """A float32 copy of a norm."""
    if isinstance(source, RMSNorm):
        copy: RMSNorm | LayerNorm = RMSNorm(source.weight.shape[0], source.eps)
    else:
        assert isinstance(source, LayerNorm)
        copy = LayerNorm(source.normalized_shape, source.eps)
    copy.load_state_dict({key: value.float() for key, value in source.state_dict().items()})
    return copy
