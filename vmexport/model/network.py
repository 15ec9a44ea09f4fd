"""VideoMamba itself: tubelet embedding, pre-norm blocks on a float32 residual stream, read-out, head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vmexport.config import Architecture, ModelInfo
from vmexport.errors import ShapeError
from vmexport.model.embedding import Embedding, class_index
from vmexport.model.mixer import Mixer
from vmexport.model.norm import make_norm
from vmexport.ops.reference import compute_dtype


class Block(nn.Module):
    """One pre-norm block in Mamba's order: add, norm, mixer.

    Args:
        architecture: sizes and settings.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.norm = make_norm(architecture)
        self.mixer = Mixer(architecture)

    def forward(self, hidden: Tensor, residual: Tensor | None) -> tuple[Tensor, Tensor]:
        """Add the previous mixer's output to the residual stream and mix its norm.

        Args:
            hidden: output of the previous mixer, or the tokens in the first block, `(B, L, d)`.
            residual: the stream so far, float32 `(B, L, d)`; None in the first block.

        Returns:
            The mixer's output `(B, L, d)` and the stream that it read, float32 `(B, L, d)`.
        """
        residual = hidden.to(compute_dtype(hidden)) if residual is None else residual + hidden
        return self.mixer(self.norm(residual).to(self.mixer.in_proj.weight.dtype)), residual


class VideoMamba(nn.Module):
    """The network of section 4 of the paper; OpenGVLab's VideoMamba and Vim are other settings of it.

    Args:
        architecture: every size and choice.
        seed: seed of the random weights (see `reset_parameters`); None draws from torch's global generator.
        initial: False leaves the weights unset, for a caller that fills them in.

    Attributes:
        architecture: as given.
        info: what travels with the model into files (labels, preprocessing); may be replaced.
        notes: sentences about how the weights came to be, for the user to read.
    """

    def __init__(self, architecture: Architecture, *, seed: int | None = None, initial: bool = True) -> None:
        super().__init__()
        self.architecture = architecture
        self.info = ModelInfo(architecture)
        self.notes: tuple[str, ...] = ()
        self.embedding = Embedding(architecture)
        self.blocks = nn.ModuleList(Block(architecture) for _ in range(architecture.depth))
        self.norm = make_norm(architecture)
        self.head = nn.Linear(architecture.d_model, architecture.num_classes)
        if initial and not self.head.weight.is_meta:
            self.reset_parameters(seed)

    @torch.no_grad()
    def reset_parameters(self, seed: int | None = None) -> None:
        """Draw new weights, as Mamba and Vim do; see `Embedding.reset_parameters`, `Mixer.reset_parameters`.

        The head is truncated normal with deviation 0.02, its bias zero. The norms stay as they are.

        Args:
            seed: makes the draw repeatable; None draws from torch's global generator.
        """
        generator = None
        if seed is not None:
            generator = torch.Generator(self.head.weight.device).manual_seed(seed)
        self.embedding.reset_parameters(generator)
        for block in self.blocks:
            assert isinstance(block, Block)
            block.mixer.reset_parameters(generator)
        nn.init.trunc_normal_(self.head.weight, std=0.02, generator=generator)
        nn.init.zeros_(self.head.bias)

    def forward(self, clips: Tensor) -> Tensor:
        """Classify clips.

        Args:
            clips: normalised frames, `(B, 3, T, H, W)`; an image model takes T = 1.

        Returns:
            Logits `(B, classes)`, float32; float64 from a model whose weights are (`model.double()`).

        Raises:
            ShapeError: the clips have another shape than the architecture's.
        """
        check_clips(clips, self.architecture)
        hidden: Tensor = self.embedding(clips.to(self.embedding.patch.weight.dtype))
        residual: Tensor | None = None
        for block in self.blocks:
            hidden, residual = block(hidden, residual)
        assert residual is not None  # depth is at least 1
        features = self._read_out(residual + hidden)
        logits: Tensor = self.head(features.to(self.head.weight.dtype))
        return logits.to(compute_dtype(logits))

    def _read_out(self, stream: Tensor) -> Tensor:
        """Norm of the class token, or mean over the tokens' norms: `(B, L, d)` to `(B, d)` float32."""
        if self.architecture.has_cls:
            return self.norm(stream[:, class_index(self.architecture)])  # type: ignore[no-any-return]
        return self.norm(stream).mean(dim=1)  # type: ignore[no-any-return]


def check_clips(clips: Tensor, architecture: Architecture) -> None:
    """Refuse anything but floating-point clips `(B, 3, T, H, W)` of the architecture.

    Raises:
        ShapeError: with the expected and the given shape or dtype.
    """
    expected = architecture.clip_shape
    if clips.ndim != 5 or tuple(clips.shape[1:]) != expected or clips.shape[0] < 1:
        raise ShapeError(
            "the clips have the wrong shape",
            f"expected (B, {', '.join(map(str, expected))}), got {tuple(clips.shape)}",
            "give (batch, channels, frames, height, width)",
        )
    if not torch.is_floating_point(clips):
        raise ShapeError(
            "the clips have the wrong dtype",
            f"expected normalised float32, got {clips.dtype}",
            "scale to 0..1, normalise and convert: vmexport.video.load_clips does all of it",
        )
