"""Cost of a model on paper, each figure with its convention named.

Conventions in the wild differ by a factor of two and more, so every figure here says what it counts. One
multiply-accumulate (MAC) is two floating-point operations (FLOPs).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vmexport.config.architecture import Architecture


@dataclass(frozen=True)
class Cost:
    """What one forward pass costs; all but `tokens` and `parameters` are for the whole batch.

    Attributes:
        tokens: tokens `L` of one clip, the class token included.
        parameters: learned numbers, buffers not counted.
        paper_macs: MACs of `in_proj`, `out_proj` and the patch embedding only. The papers of VideoMamba print
            this figure as "GFLOPs": their counter cannot see inside the fused mixer.
        linear_macs: MACs of all linear layers and convolutions: those of `paper_macs`, and `x_proj`,
            `dt_proj`, the causal convolution and the head.
        scan_flops: FLOPs of the selective scans, Gu's `9 B L D N` for each direction and block. The skip `D`,
            the gate and the softplus are not counted (another `2 B L D` for each direction, or less).
        exponentials: exponentials of the scans' decays, `B L D N` for each direction and block.
    """

    tokens: int
    parameters: int
    paper_macs: int
    linear_macs: int
    scan_flops: int
    exponentials: int

    @property
    def flops(self) -> int:
        """All FLOPs: two a MAC of `linear_macs`, and `scan_flops`; no norms, gates, activations."""
        return 2 * self.linear_macs + self.scan_flops


def count(architecture: Architecture, batch: int = 1) -> Cost:
    """Count the cost of one forward pass from the architecture alone.

    Args:
        architecture: the network.
        batch: clips `B`.

    Returns:
        The cost, in units of one (not thousands or millions).
    """
    a = architecture
    d, inner, directions = a.d_model, a.d_inner, len(a.directions)
    patch = a.patches * d * a.in_channels * a.tubelet * a.patch_size**2
    outer = a.depth * a.tokens * (d * 2 * inner + inner * d)
    low_rank = inner * (a.rank + 2 * a.d_state) + a.rank * inner
    mixer = a.depth * a.tokens * directions * (low_rank + inner * a.d_conv)
    exponentials = batch * a.depth * directions * a.tokens * inner * a.d_state
    return Cost(
        tokens=a.tokens,
        parameters=count_parameters(a),
        paper_macs=batch * (patch + outer),
        linear_macs=batch * (patch + outer + mixer + d * a.num_classes),
        scan_flops=9 * exponentials,
        exponentials=exponentials,
    )


def count_parameters(architecture: Architecture) -> int:
    """Learned numbers of the network, from the sizes alone."""
    a = architecture
    d, inner = a.d_model, a.d_inner
    norm = d * (2 if a.norm == "layer" else 1)
    direction = inner * (a.d_conv + 1)  # convolution
    direction += inner * (a.rank + 2 * a.d_state) + inner * (a.rank + 1)  # x_proj, dt_proj with bias
    direction += inner * (a.d_state + 1)  # A_log, D
    block = norm + 3 * d * inner + len(a.directions) * direction
    patch = d * (a.in_channels * a.tubelet * a.patch_size**2 + 1)
    class_entry = int(a.has_cls and a.position_on_cls)
    positions = {
        "learned": a.patches + class_entry,
        "separate": a.tokens_per_frame + class_entry + a.grid[0],
    }.get(a.position, 0)
    embedding = patch + d * (positions + int(a.has_cls))
    return embedding + a.depth * block + norm + (d + 1) * a.num_classes
