"""An independent oracle: Vim and OpenGVLab's VideoMamba straight from their state dictionaries.

It shares no code with the package and knows the public names only, so that a mistake in our table of names
or in our stacking of directions cannot hide in both.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

State = dict[str, Tensor]


def random_state(
    *,
    d: int = 16,
    depth: int = 2,
    side: int = 2,
    patch: int = 4,
    tubelet: int | None = None,
    layers: int = 1,
    classes: int = 3,
    states: int = 4,
    rank: int = 1,
    taps: int = 4,
    expand: int = 2,
    directions: int = 2,
    cls: bool = True,
    positions: bool = True,
    layer_norm: bool = False,
    seed: int = 0,
) -> State:
    """Random weights under the public names; without a `tubelet` they are an image model's."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator) * 0.3

    inner = expand * d
    kernel = (patch, patch) if tubelet is None else (tubelet, patch, patch)
    state = {"patch_embed.proj.weight": draw(d, 3, *kernel), "patch_embed.proj.bias": draw(d)}
    if cls:
        state["cls_token"] = draw(1, 1, d)
    if positions:
        state["pos_embed"] = draw(1, side * side + int(cls), d)
    if tubelet is not None:
        state["temporal_pos_embedding"] = draw(1, layers, d)
    norms = [f"layers.{i}.norm" for i in range(depth)] + ["norm_f"]
    for norm in norms:
        state[f"{norm}.weight"] = 1 + draw(d)
        if layer_norm:
            state[f"{norm}.bias"] = draw(d)
    for i in range(depth):
        at = f"layers.{i}.mixer."
        state[f"{at}in_proj.weight"] = draw(2 * inner, d)
        state[f"{at}out_proj.weight"] = draw(d, inner)
        for b in ("", "_b")[:directions]:
            state[f"{at}conv1d{b}.weight"] = draw(inner, 1, taps)
            state[f"{at}conv1d{b}.bias"] = draw(inner)
            state[f"{at}x_proj{b}.weight"] = draw(rank + 2 * states, inner)
            state[f"{at}dt_proj{b}.weight"] = draw(inner, rank)
            state[f"{at}dt_proj{b}.bias"] = draw(inner) - 2
            state[f"{at}A{b}_log"] = draw(inner, states)
            state[f"{at}D{b}"] = draw(inner)
    state["head.weight"], state["head.bias"] = draw(classes, d), draw(classes)
    return state


def plain_logits(
    state: Mapping[str, Tensor], clips: Tensor, *, place: str = "first", scale: float = 1.0
) -> Tensor:
    """Logits of a state dictionary for clips `(B, 3, T, H, W)`; an image model takes T = 1."""
    s = {name: tensor.double() for name, tensor in state.items()}
    x, index = _embed(s, clips.double(), place)
    depth = 1 + max(int(name.split(".")[1]) for name in s if name.startswith("layers."))
    for i in range(depth):
        x = x + _mix(s, f"layers.{i}.mixer.", _norm(s, f"layers.{i}.norm", x), scale)
    x = _norm(s, "norm_f", x)
    features = x.mean(1) if index is None else x[:, index]
    return (features @ s["head.weight"].T + s["head.bias"]).float()


def _embed(s: Mapping[str, Tensor], clips: Tensor, place: str) -> tuple[Tensor, int | None]:
    """Tokens with embeddings and class token, and the index of the latter."""
    weight = s["patch_embed.proj.weight"]
    weight = weight.unsqueeze(2) if weight.ndim == 4 else weight
    maps = F.conv3d(
        clips, weight, s["patch_embed.proj.bias"], stride=weight.shape[2:]
    )  # (B, d, n_t, n_h, n_w)
    x = maps.permute(0, 2, 3, 4, 1).flatten(2, 3)  # (B, n_t, n_h n_w, d)
    if "temporal_pos_embedding" in s:
        x = (x + s["pos_embed"][:, None, 1:] + s["temporal_pos_embedding"][:, :, None]).flatten(1, 2)
        row = (s["cls_token"] + s["pos_embed"][:, :1]).expand(len(x), -1, -1)
        return torch.cat((row, x), 1), 0
    x, index = x.flatten(1, 2), None
    if "cls_token" in s:
        index = x.shape[1] // 2 if place == "middle" else 0
        x = torch.cat((x[:, :index], s["cls_token"].expand(len(x), -1, -1), x[:, index:]), 1)
    return (x + s["pos_embed"] if "pos_embed" in s else x), index


def _norm(s: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    """Layer norm where there is a bias, else root mean square norm."""
    if f"{name}.bias" in s:
        return F.layer_norm(x, x.shape[-1:], s[f"{name}.weight"], s[f"{name}.bias"], 1e-5)
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * s[f"{name}.weight"]


def _mix(s: Mapping[str, Tensor], at: str, x: Tensor, scale: float) -> Tensor:
    """One mixer; the second direction is the first on the reversed sequence."""
    h, z = (x @ s[f"{at}in_proj.weight"].T).chunk(2, -1)
    y = _direction(s, at, "", h)
    if f"{at}A_b_log" in s:
        y = y + _direction(s, at, "_b", h.flip(1)).flip(1)
    return (scale * y * F.silu(z)) @ s[f"{at}out_proj.weight"].T


def _direction(s: Mapping[str, Tensor], at: str, b: str, h: Tensor) -> Tensor:
    """Convolution and scan of one direction, forward."""
    kernel = s[f"{at}conv1d{b}.weight"]
    padded = F.pad(h.transpose(1, 2), (kernel.shape[-1] - 1, 0))
    u = F.silu(F.conv1d(padded, kernel, s[f"{at}conv1d{b}.bias"], groups=len(kernel))).transpose(1, 2)
    a = -torch.exp(s[f"{at}A{b}_log"])
    rank, n = s[f"{at}dt_proj{b}.weight"].shape[1], a.shape[1]
    low, bs, cs = torch.split(u @ s[f"{at}x_proj{b}.weight"].T, [rank, n, n], -1)
    delta = F.softplus(low @ s[f"{at}dt_proj{b}.weight"].T + s[f"{at}dt_proj{b}.bias"])
    state, outputs = torch.zeros(*u[:, 0].shape, n, dtype=u.dtype), []
    for t in range(u.shape[1]):
        driven = (delta[:, t] * u[:, t]).unsqueeze(-1) * bs[:, t].unsqueeze(1)
        state = torch.exp(delta[:, t].unsqueeze(-1) * a) * state + driven
        outputs.append((state * cs[:, t].unsqueeze(1)).sum(-1) + s[f"{at}D{b}"] * u[:, t])
    return torch.stack(outputs, 1)
