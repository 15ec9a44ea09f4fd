"""Starting from weights: image and video checkpoints, other frame counts, other classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small import small_model

from vmexport.errors import InputError, UsageError
from vmexport.model import save_checkpoint
from vmexport.train import TrainingRequest
from vmexport.train.plan import make_plan

Tiny = Callable[..., TrainingRequest]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A model of 4 frames and 7 classes."""
    return save_checkpoint(small_model(), tmp_path / "video.safetensors")


def unsaid(request: TrainingRequest, *names: str) -> TrainingRequest:
    """A request that leaves some settings of the architecture to the card."""
    said = {k: v for k, v in request.settings.items() if k.removeprefix("architecture.") not in names}
    return replace(request, settings=said)


def test_weights_are_taken_and_the_head_is_new(tiny: Tiny, video: Path) -> None:
    plan = make_plan(unsaid(tiny(init=video), "d_model", "depth"))
    source = small_model()
    for name, value in plan.model.state_dict().items():
        if not name.startswith("head."):
            assert torch.equal(value, source.state_dict()[name]), name
    assert plan.model.head.weight.shape == (2, 32)
    assert plan.settings.architecture.d_model == 32
    text = " ".join(plan.notes)
    assert "head is new" in text
    assert "d_model 32 instead of 96" in text


def test_what_the_weights_fix_is_not_changed_quietly(tiny: Tiny, video: Path, fixtures_dir: Path) -> None:
    for path in (video, fixtures_dir / "vim.pth"):
        with pytest.raises(UsageError, match="d_model cannot be changed on loading"):
            make_plan(
                tiny({"architecture.d_model": 16}, init=path, init_scale=0.5 if path != video else None)
            )


def test_another_frame_count_needs_a_word(tiny: Tiny, video: Path) -> None:
    with pytest.raises(InputError, match="4 frames, not 8") as caught:
        make_plan(unsaid(tiny({"architecture.frames": 8}, init=video), "d_model", "depth"))
    assert "--interpolate-time" in caught.value.fix
    request = unsaid(tiny({"architecture.frames": 8}, init=video), "d_model", "depth")
    plan = make_plan(replace(request, interpolate_time=True))
    assert plan.model.architecture.frames == 8


def test_the_head_stays_for_the_same_classes_only(tiny: Tiny, tmp_path: Path) -> None:
    classes = make_plan(tiny()).training.classes
    model = small_model(num_classes=2)
    for labels, kept in ((classes, True), (classes[::-1], False), ((), False)):
        model.info = replace(model.info, labels=labels)
        request = tiny(init=save_checkpoint(model, tmp_path / "two.safetensors"))
        plan = make_plan(unsaid(request, "d_model", "depth"))
        assert torch.equal(plan.model.head.weight, model.head.weight) == kept


@pytest.mark.parametrize("name", ["vim.pth", "opengvlab_videomamba.pth", "opengvlab_videomamba_tubelet2.pth"])
def test_public_checkpoints(tiny: Tiny, fixtures_dir: Path, name: str) -> None:
    request = tiny(init=fixtures_dir / name, init_scale=0.5 if name == "vim.pth" else None)
    card = replace(request, settings={k: v for k, v in request.settings.items() if "architecture" not in k})
    source = make_source(fixtures_dir / name)
    frames = 4 if source.frames == 1 else source.frames
    plan = make_plan(
        replace(card, settings={"architecture.frames": frames, "architecture.size": source.size})
    )
    made = plan.model.architecture
    assert (made.frames, made.num_classes, made.d_model) == (frames, 2, source.d_model)
    if source.frames == 1:
        assert (made.tubelet, made.cls_position) == (2, "first")
        table = plan.model.embedding.position[0, -made.patches :].reshape(made.grid[0], -1, made.d_model)
        assert torch.equal(table[0], table[1])  # expanding: the same for every layer


def test_how_an_image_model_is_read_can_be_said(tiny: Tiny, fixtures_dir: Path) -> None:
    request = replace(
        tiny(init=fixtures_dir / "vim.pth"), settings={"architecture.frames": 4, "architecture.size": 32}
    )
    with pytest.raises(InputError, match="can be read in two ways"):
        make_plan(request)
    vim = make_plan(replace(request, init_cls_position="middle", init_scale=0.5))
    other = make_plan(replace(request, init_cls_position="first"))
    assert (vim.model.architecture.cls_position, vim.model.architecture.scale) == ("first", 0.5)
    assert "the class token was moved from middle to first" in vim.notes
    assert (other.model.architecture.cls_position, other.model.architecture.scale) == ("first", 1.0)
    assert any("read as OpenGVLab's: class token first, scale 1.0" in note for note in other.notes)
    tables = [plan.model.embedding.position.detach() for plan in (vim, other)]
    assert not torch.equal(*tables)  # the class token's entry lies elsewhere


def test_the_encoder_of_masked_pretraining_starts_a_run(
    tiny: Tiny, fixtures_dir: Path, tmp_path: Path
) -> None:
    content = torch.load(fixtures_dir / "opengvlab_videomamba.pth", weights_only=True)
    state = {name: tensor for name, tensor in content["model"].items() if not name.startswith("head.")}
    state["norm.weight"] = state.pop("norm_f.weight")
    state["clip_decoder.0.norm.weight"] = torch.ones(3)
    torch.save({"model": state}, tmp_path / "masked.pth")
    source = make_source(fixtures_dir / "opengvlab_videomamba.pth")
    sizes = {"architecture.frames": source.frames, "architecture.size": source.size}
    plan = make_plan(replace(tiny(init=tmp_path / "masked.pth"), settings=sizes))
    assert torch.equal(plan.model.norm.weight, state["norm.weight"])
    text = " ".join(plan.notes)
    assert "left out what does not belong to the network: clip_decoder" in text
    assert "the head is new: 2 classes" in text


def make_source(path: Path):  # type: ignore[no-untyped-def]
    """The architecture of a checkpoint."""
    from vmexport.model import load_checkpoint

    return load_checkpoint(path, scale=0.5 if path.name == "vim.pth" else None).architecture


def test_positions_of_an_image_model_can_be_carried_otherwise(tiny: Tiny, fixtures_dir: Path) -> None:
    path = fixtures_dir / "vim.pth"
    size = make_source(path).size
    tables = []
    for method in ("expanding", "interpolate-space", "interpolate-dim", "random"):
        request = tiny(init=path, init_position=method, init_scale=0.5)
        plan = make_plan(replace(request, settings={"architecture.frames": 4, "architecture.size": size}))
        tables.append(plan.model.embedding.position.detach())
    assert all(not torch.equal(a, b) for i, a in enumerate(tables) for b in tables[:i])
