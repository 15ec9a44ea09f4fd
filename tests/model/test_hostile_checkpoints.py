"""Dictionaries of tensors that a training script might have saved, and some that none would."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from hostile import few, refused_or
from hypothesis import example, given
from hypothesis import strategies as st
from plain_vim import random_state
from torch import Tensor

from vmexport.model import VideoMamba, load_checkpoint
from vmexport.model.checkpoints.reading import AVERAGES, WRAPPERS

VIDEO: dict[str, Any] = {"d": 8, "tubelet": 1, "layers": 2, "states": 2}
GOOD = random_state(**VIDEO)
DTYPES = st.sampled_from(
    (
        *(torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn),
        *(torch.int64, torch.int8, torch.bool, torch.complex64),
    )
)
PREFIXES = st.sampled_from(
    ["", "module.", "model.", "_orig_mod.", "module._orig_mod.", "backbone.", ".", "a.b.c.", "é."]
)
OTHERS = st.one_of(
    st.none(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(st.characters(codec="utf-8"), max_size=5),
    st.just([]),
    st.just({}),
    st.builds(argparse.Namespace, model=st.sampled_from(["vim_tiny", 3, None, "\x1b[2J"])),
)


NAMES = st.sampled_from([*GOOD, "extra.weight", "layers.2.mixer.D", "layers.-1.norm.weight", "layers.x.D"])
HOW = ("drop", "nan", "empty", "scalar", "longer", "turned", "one more axis", "sparse", "expanded", "meta")
CHANGES = st.tuples(NAMES, st.one_of(st.sampled_from(HOW), DTYPES, OTHERS))
"""What is done to one entry, by name of the entry."""


def changed(tensor: Tensor, how: Any) -> Any:
    """A tensor after a change; None where it is left out."""
    if isinstance(how, torch.dtype):
        return tensor.to(how)
    if not isinstance(how, str):
        return how
    results: dict[str, Callable[[], Tensor]] = {
        "nan": lambda: torch.full_like(tensor, float("nan")),
        "empty": lambda: tensor.new_zeros(0, *tensor.shape[1:]),
        "scalar": lambda: tensor.new_zeros(()),
        "longer": lambda: torch.cat([tensor, tensor[:1]]),
        "turned": lambda: tensor.permute(*reversed(range(tensor.dim()))),
        "one more axis": lambda: tensor[None],
        "sparse": tensor.to_sparse,
        "expanded": lambda: tensor.flatten()[:1].expand(10**9),
        "meta": lambda: tensor.to("meta"),
    }
    return results[how]() if how in results else how


def saved(content: Any, folder: Path) -> Path:
    path = folder / "model.pth"
    torch.save(content, path)
    return path


@few
@given(st.lists(CHANGES, max_size=4), PREFIXES, st.sampled_from([None, *WRAPPERS, *AVERAGES]), st.booleans())
def test_dictionaries(done: list[tuple[str, Any]], prefix: str, wrapper: str | None, settled: bool) -> None:
    state: dict[str, Any] = dict(GOOD)
    for name, how in done:
        if how == "drop":
            state.pop(name, None)
        else:
            state[name] = changed(GOOD.get(name, torch.ones(3)), how)
    content: Any = {prefix + name: value for name, value in state.items()}
    if wrapper is not None:
        content = {wrapper: content, "epoch": 3, "args": argparse.Namespace(model="videomamba_tiny")}
    options: dict[str, Any] = {"cls_position": "first", "scale": 1.0} if settled else {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = saved(content, folder)
        model = refused_or(lambda: load_checkpoint(path, **options), folder)
    if model is None:
        assert done, "a good dictionary is refused"
        return
    assert isinstance(model, VideoMamba)
    for parameter in model.parameters():
        assert parameter.dtype is torch.float32
        assert parameter.device.type == "cpu"
    with torch.no_grad():
        logits = model(torch.zeros(1, *model.architecture.clip_shape))
    assert logits.shape == (1, model.architecture.num_classes)
    if not done:
        torch.testing.assert_close(model.head.weight.detach(), GOOD["head.weight"])


KEYS = st.one_of(
    st.sampled_from([*WRAPPERS, *AVERAGES]), st.integers(), st.text(st.characters(codec="utf-8"), max_size=4)
)


@few
@given(st.recursive(OTHERS, lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=8))
@example({"model": {"model": {"model": {}}}})
@example([torch.zeros(3)])
@example({1: torch.zeros(3), "patch_embed.proj.weight": None})
@example({"patch_embed.proj.weight": torch.zeros(4, 3, 1, 16, 16)})
def test_what_is_no_checkpoint(content: Any) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = saved(content, folder)
        assert refused_or(lambda: load_checkpoint(path), folder) is None
