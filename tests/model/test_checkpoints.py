"""Loading and saving: wrappers, prefixes, inferred sizes, overrides, derived embeddings."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plain_vim import State, plain_logits, random_state
from safetensors.torch import load_file, save_file
from torch import Tensor

from vmexport.config import Architecture, ModelInfo, Preprocessing
from vmexport.errors import InputError, UsageError
from vmexport.model import VideoMamba, create_model, load_checkpoint, save_checkpoint
from vmexport.model.checkpoints.infer import Reading

VIM: dict[str, Any] = {"cls_position": "middle", "scale": 0.5}
"""What the shapes of an image model do not show."""

TINY: dict[str, Any] = {"d_model": 16, "depth": 2, "size": 16, "patch_size": 8, "d_state": 4}


def store(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def logits_of(model: VideoMamba, batch: int = 1) -> Tensor:
    clips = torch.randn(batch, *model.architecture.clip_shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits: Tensor = model(clips)
    return logits


def wrap(state: State, how: str) -> dict[str, Any]:
    prefixed = {"module." + name: tensor for name, tensor in state.items()}
    training = {"optimizer": {"state": {0: {"step": 3}}}, "epoch": 7, "lr_scheduler": {"lr": 0.1}}
    ways: dict[str, dict[str, Any]] = {
        "bare": dict(state),
        "model": {"model": state},
        "state_dict": {"state_dict": state},
        "module prefix": prefixed,
        "model prefix": {"model." + name: tensor for name, tensor in state.items()},
        "state_dict and prefix": {"state_dict": prefixed, **training},
        "compiled and parallel": {"model": {"_orig_mod." + name: t for name, t in prefixed.items()}},
        "deepspeed": {"module": state, **training},
        "inside a training module": {"state_dict": {"net.encoder." + name: t for name, t in state.items()}},
        "average only": {"model_ema": state, **training},
        "training state": {
            "model": state,
            "model_ema": {name: tensor + 1 for name, tensor in state.items()},
            "args": argparse.Namespace(model="vim_tiny_patch16_224_midclstok_div2", lr=1e-3),
            **training,
        },
    }
    return ways[how]


@pytest.mark.parametrize(
    "how",
    ["bare", "model", "state_dict", "module prefix", "model prefix", "state_dict and prefix",
     "compiled and parallel", "deepspeed",
     "inside a training module", "average only", "training state"],
)  # fmt: skip
def test_wrapped(tmp_path: Path, how: str) -> None:
    state = random_state()
    model = load_checkpoint(store(tmp_path / "m.pth", wrap(state, how)), **VIM)
    clips = torch.randn(1, *model.architecture.clip_shape)
    with torch.no_grad():
        torch.testing.assert_close(
            model(clips), plain_logits(state, clips, place="middle", scale=0.5), rtol=1e-4, atol=1e-5
        )


def test_old_file_format_and_half_precision_weights(tmp_path: Path) -> None:
    state = {name: tensor.half() for name, tensor in random_state().items()}
    torch.save({"model": state}, tmp_path / "m.pth", _use_new_zipfile_serialization=False)
    model = load_checkpoint(tmp_path / "m.pth", **VIM)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    clips = torch.randn(1, *model.architecture.clip_shape)
    with torch.no_grad():
        expected = plain_logits(state, clips, place="middle", scale=0.5)
        torch.testing.assert_close(model(clips), expected, rtol=1e-4, atol=1e-5)


def test_foreign_safetensors(tmp_path: Path) -> None:
    save_file(random_state(), tmp_path / "vim.safetensors")
    assert load_checkpoint(tmp_path / "vim.safetensors", **VIM).architecture.scale == 0.5


def test_inferred_sizes(tmp_path: Path) -> None:
    state = random_state(
        d=24, depth=3, side=3, patch=5, tubelet=2, layers=4, classes=11, states=6, rank=3, taps=3, expand=3
    )
    architecture = load_checkpoint(store(tmp_path / "m.pth", state)).architecture
    assert architecture == Architecture(
        d_model=24, depth=3, frames=8, size=15, num_classes=11, patch_size=5, tubelet=2, d_state=6, d_conv=3,
        expand=3, dt_rank=3, position="separate", position_on_cls=True,
    )  # fmt: skip


def test_automatic_rank_is_recognised(tmp_path: Path) -> None:
    path = store(tmp_path / "m.pth", random_state(d=24, rank=2))
    assert load_checkpoint(path, **VIM).architecture.dt_rank == 0


@pytest.mark.parametrize(
    ("name", "overrides", "place", "scale"),
    [
        ("", {"cls_position": "middle"}, "middle", 0.5),
        ("", {"scale": 0.5}, "middle", 0.5),
        ("", {"cls_position": "first"}, "first", 1.0),
        ("", {"scale": 1.0}, "first", 1.0),
        ("", {"cls_position": "first", "scale": 1.0}, "first", 1.0),
        ("", {"cls_position": "middle", "scale": 1.0}, "middle", 1.0),
        ("", {"cls_position": "first", "scale": 0.5}, "first", 0.5),
        (
            "vim_tiny_patch16_224_bimambav2_final_pool_mean_abs_pos_embed_with_midclstok_div2",
            {},
            "middle",
            0.5,
        ),
        ("vim_tiny_patch16_224", {}, "first", 1.0),
        ("videomamba_small", {}, "first", 1.0),
    ],
)
def test_what_no_shape_shows(
    tmp_path: Path, name: str, overrides: dict[str, Any], place: str, scale: float
) -> None:
    state = random_state(side=3)
    model = load_checkpoint(
        store(tmp_path / "m.pth", {"model": state, "args": argparse.Namespace(model=name)}), **overrides
    )
    assert (model.architecture.cls_position, model.architecture.scale) == (place, scale)
    clips = torch.randn(1, *model.architecture.clip_shape)
    with torch.no_grad():
        expected = plain_logits(state, clips, place=place, scale=scale)
        torch.testing.assert_close(model(clips), expected, rtol=1e-4, atol=1e-5)


def test_layer_scale_is_folded(tmp_path: Path) -> None:
    state = random_state()
    folded = dict(state)
    for i in range(2):
        gamma = torch.rand(16)
        folded[f"layers.{i}.mixer.gamma"] = gamma
        state[f"layers.{i}.mixer.out_proj.weight"] = (
            state[f"layers.{i}.mixer.out_proj.weight"] * gamma[:, None]
        )
    expected = load_checkpoint(store(tmp_path / "a.pth", state), **VIM)
    torch.testing.assert_close(
        logits_of(load_checkpoint(store(tmp_path / "b.pth", folded), **VIM)), logits_of(expected)
    )


def test_round_trip(tmp_path: Path) -> None:
    model = create_model("videomamba_tiny", frames=4, num_classes=3, **TINY)
    model.info = replace(model.info, labels=("a", "b", "c"), preprocessing=Preprocessing(stride=5))
    assert save_checkpoint(model, tmp_path / "m.safetensors") == tmp_path / "m.safetensors"
    again = load_checkpoint(tmp_path / "m.safetensors")
    assert again.info == model.info
    assert torch.equal(logits_of(again), logits_of(model))
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.safetensors"]


def test_saving_into_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="mkdir -p"):
        save_checkpoint(create_model("videomamba_tiny", frames=2, **TINY), tmp_path / "no" / "m.safetensors")


def test_another_head_is_fresh_and_said(tmp_path: Path) -> None:
    model = create_model("videomamba_tiny", frames=2, num_classes=2, **TINY)
    model.info = replace(model.info, labels=("a", "b"))
    save_checkpoint(model, tmp_path / "m.safetensors")
    changed = load_checkpoint(tmp_path / "m.safetensors", num_classes=5)
    assert changed.info.labels == ()
    assert logits_of(changed).shape == (1, 5)
    assert any("the head is new: 5 classes" in note for note in changed.notes)


def test_a_headless_checkpoint_needs_classes(tmp_path: Path) -> None:
    state = {name: tensor for name, tensor in random_state().items() if not name.startswith("head")}
    path = store(tmp_path / "m.pth", state)
    with pytest.raises(InputError, match=r"missing key head\.weight") as caught:
        load_checkpoint(path, **VIM)
    assert f"vmexport train --data DIR --init {path}" in caught.value.fix
    assert logits_of(load_checkpoint(path, num_classes=4, **VIM)).shape == (1, 4)


def opengvlab(tmp_path: Path, layers: int = 4) -> Path:
    return store(tmp_path / "gv.pth", random_state(tubelet=1, layers=layers))


def test_other_frames_only_when_asked(tmp_path: Path) -> None:
    path = opengvlab(tmp_path)
    with pytest.raises(InputError, match="--interpolate-time") as caught:
        load_checkpoint(path, frames=8)
    assert "4 entries" in caught.value.why
    assert "need 8" in caught.value.why
    model = load_checkpoint(path, frames=8, interpolate_time=True)
    time = torch.load(path, weights_only=True)["temporal_pos_embedding"]
    expected = torch.nn.functional.interpolate(time.transpose(1, 2), size=8, mode="linear").transpose(1, 2)
    torch.testing.assert_close(model.embedding.position_time.data, expected)
    assert any("stretched from 4 to 8" in note for note in model.notes)
    assert torch.isfinite(logits_of(model)).all()


def test_same_frames_ask_for_nothing(tmp_path: Path) -> None:
    path = opengvlab(tmp_path)
    assert torch.equal(logits_of(load_checkpoint(path, frames=4)), logits_of(load_checkpoint(path)))
    assert torch.equal(
        logits_of(load_checkpoint(path, frames=4, interpolate_time=True)), logits_of(load_checkpoint(path))
    )


def test_joint_table_is_stretched_along_time(tmp_path: Path) -> None:
    model = create_model("videomamba_tiny", frames=4, position_on_cls=True, **TINY)
    save_checkpoint(model, tmp_path / "m.safetensors")
    with pytest.raises(InputError, match="for 4 frames, not 8"):
        load_checkpoint(tmp_path / "m.safetensors", frames=8)
    longer = load_checkpoint(tmp_path / "m.safetensors", frames=8, interpolate_time=True)
    old = model.embedding.position.data[0]
    new = longer.embedding.position.data[0]
    assert torch.equal(new[0], old[0])
    by_place = old[1:].reshape(2, 4, 16).permute(1, 2, 0)
    expected = torch.nn.functional.interpolate(by_place, size=4, mode="linear").permute(2, 0, 1).flatten(0, 1)
    torch.testing.assert_close(new[1:], expected)


def test_separate_tables_add_up_to_a_joint_one(tmp_path: Path) -> None:
    path = opengvlab(tmp_path)
    joint = load_checkpoint(path, position="learned")
    assert joint.architecture.position == "learned"
    torch.testing.assert_close(logits_of(joint), logits_of(load_checkpoint(path)))


def test_image_to_video(tmp_path: Path) -> None:
    state = random_state(side=3)
    path = store(tmp_path / "vim.pth", {"model": state})
    model = load_checkpoint(path, frames=8, tubelet=2, cls_position="first", scale=0.5)
    assert model.architecture.grid == (4, 3, 3)
    assert (model.architecture.cls_position, model.architecture.scale) == ("first", 0.5)
    assert "the class token was moved from middle to first" in model.notes
    table, image = model.embedding.position.data[0], state["pos_embed"][0]
    assert torch.equal(table[0], image[4])  # the class token's entry stands in the middle of Vim's table
    patches = torch.cat((image[:4], image[5:]))
    assert torch.equal(table[1:], patches.repeat(4, 1))
    weight = state["patch_embed.proj.weight"].unsqueeze(2)
    torch.testing.assert_close(model.embedding.patch.weight.data, torch.cat((weight, weight), dim=2) / 2)
    assert torch.isfinite(logits_of(model)).all()


def test_image_to_video_with_separate_embeddings_starts_as_the_image(tmp_path: Path) -> None:
    path = store(tmp_path / "vim.pth", random_state())
    model = load_checkpoint(path, frames=3, position="separate", scale=0.5)
    assert model.embedding.position_time.shape == (1, 3, 16)
    assert not model.embedding.position_time.any()


@pytest.mark.parametrize("kind", ["none", "sinusoidal"])
def test_a_learned_embedding_can_be_left_out(tmp_path: Path, kind: str) -> None:
    path = store(tmp_path / "vim.pth", random_state())
    model = load_checkpoint(path, position=kind, size=24, **VIM)
    assert torch.isfinite(logits_of(model)).all()
    assert any("left out" in note for note in model.notes)


def test_the_class_token_can_be_left_out(tmp_path: Path) -> None:
    path = store(tmp_path / "vim.pth", random_state())
    model = load_checkpoint(path, cls_position="none", scale=0.5)
    assert model.embedding.position.shape == (1, 4, 16)
    assert torch.isfinite(logits_of(model)).all()


def test_another_size_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="4 places a frame, expected 16") as caught:
        load_checkpoint(opengvlab(tmp_path), size=16)
    assert "size=8" in caught.value.fix


@pytest.mark.parametrize(
    ("overrides", "match"),
    [
        ({"d_model": 32}, "d_model cannot be changed on loading"),
        ({"depth": 1}, "depth cannot be changed"),
        ({"directions": ("forward",)}, "number of directions cannot be changed"),
        ({"wdith": 3}, "unknown architecture setting: wdith"),
        ({"frames": 3, "tubelet": 2}, "frames must be a multiple of tubelet"),
        ({"size": 9}, "size must be a multiple of patch_size"),
        ({"init_position": "magic"}, "unknown initialisation"),
        ({"position_on_cls": False}, "position_on_cls cannot be changed"),
    ],
)
def test_impossible_overrides(tmp_path: Path, overrides: dict[str, Any], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        load_checkpoint(opengvlab(tmp_path), **overrides)


def test_none_overrides_mean_no_change(tmp_path: Path) -> None:
    path = opengvlab(tmp_path)
    assert load_checkpoint(path, frames=None, size=None).architecture == load_checkpoint(path).architecture


def test_own_weights_under_foreign_metadata(tmp_path: Path) -> None:
    model = create_model("videomamba_tiny", frames=2, **TINY)
    save_checkpoint(model, tmp_path / "m.safetensors")
    tensors = load_file(tmp_path / "m.safetensors")
    wrong = ModelInfo(model.architecture.with_overrides(d_state=5)).to_metadata()
    save_file(tensors, tmp_path / "wrong.safetensors", metadata=wrong)
    with pytest.raises(InputError, match="has the wrong shape") as caught:
        load_checkpoint(tmp_path / "wrong.safetensors")
    assert "expected (2," in caught.value.why
    save_file(tensors, tmp_path / "bare.safetensors")
    with pytest.raises(InputError, match="not written by vmexport"):
        load_checkpoint(tmp_path / "bare.safetensors")


def test_an_image_model_that_may_be_of_two_families_is_refused_with_both_commands(tmp_path: Path) -> None:
    for name, first in (("videomamba_t16_in1k.pth", "--cls-position first --scale 1.0"), ("x.pth", "middle")):
        path = store(tmp_path / name, {"model": random_state()})
        for overrides in ({}, {"frames": 4, "tubelet": 2, "cls_position": "first"}, {"cls_position": "none"}):
            with pytest.raises(InputError, match="can be read in two ways") as caught:
                load_checkpoint(path, **overrides)
            one, other = caught.value.fix.split(" or vmexport")
            assert first in one
            assert first not in other
    moved = load_checkpoint(path, reading=Reading("middle", 1.0), cls_position="first", frames=2, tubelet=2)
    assert "the class token was moved from middle to first" in moved.notes


def test_an_image_model_of_which_one_family_alone_is_published(tmp_path: Path) -> None:
    path = store(tmp_path / "m.pth", {"model": random_state(d=576, depth=32)})
    a = load_checkpoint(path).architecture
    assert (a.cls_position, a.scale) == ("first", 1.0)


def test_videos_of_opengvlabs_models_are_sampled_uniformly(tmp_path: Path) -> None:
    model = load_checkpoint(opengvlab(tmp_path))
    assert model.info.preprocessing.sampling == "uniform"
    assert any("uniformly over the whole video" in note for note in model.notes)
    own = load_checkpoint(save_checkpoint(model, tmp_path / "own.safetensors"))
    assert own.info.preprocessing == model.info.preprocessing
    dense = load_checkpoint(opengvlab(tmp_path), sampling="dense")
    assert dense.info.preprocessing.sampling == "dense"
    assert not any("uniformly" in note for note in dense.notes)
    again = load_checkpoint(tmp_path / "own.safetensors", sampling="dense")
    assert again.info.preprocessing.sampling == "dense"
    with pytest.raises(UsageError, match="unknown sampling"):
        load_checkpoint(opengvlab(tmp_path), sampling="sparse")


def masked_pretraining() -> State:
    """An encoder whose last norm is called `norm`, and a decoder that rebuilds CLIP's features."""
    state = {name: tensor for name, tensor in random_state(tubelet=1, layers=4).items() if "head" not in name}
    state["norm.weight"] = state.pop("norm_f.weight")
    for name, shape in (("head.weight", (8, 16)), ("head.bias", (8,)), ("norm.weight", (8,))):
        state[f"clip_decoder.0.{name}"] = torch.rand(shape)
    return state


@pytest.mark.parametrize("prefix", ["", "backbone.", "encoder.", "module.encoder."])
def test_the_encoder_of_masked_pretraining_is_taken(tmp_path: Path, prefix: str) -> None:
    state = masked_pretraining()
    named = {name if "decoder" in name else prefix + name: tensor for name, tensor in state.items()}
    path = store(tmp_path / "m.pth", {"model": named})
    with pytest.raises(InputError, match="has no classification head") as caught:
        load_checkpoint(path)
    assert "clip_decoder (3 tensors)" in caught.value.why
    model = load_checkpoint(path, num_classes=5)
    assert any("left out" in note and "clip_decoder" in note for note in model.notes)
    assert torch.equal(model.norm.weight.data, state["norm.weight"])
    assert logits_of(model).shape == (1, 5)


def test_with_a_head_nothing_is_left_out(tmp_path: Path) -> None:
    state = {**random_state(tubelet=1, layers=4), "clip_decoder.0.weight": torch.rand(3)}
    with pytest.raises(InputError, match=r"unexpected key clip_decoder\.0\.weight"):
        load_checkpoint(store(tmp_path / "m.pth", state))


@pytest.mark.parametrize("name", ["model_ema", "ema", "state_dict_ema"])
def test_trained_weights_and_their_average(tmp_path: Path, name: str) -> None:
    state = random_state(tubelet=1, layers=4)
    average = {"module." + key: tensor + 1 for key, tensor in state.items()}
    path = store(
        tmp_path / "m.pth", {name: average, "model": state, "best_acc": np.float64(81.2), "epoch": 3}
    )
    first, other = load_checkpoint(path), load_checkpoint(path, weights="ema")
    assert torch.equal(first.head.weight.data + 1, other.head.weight.data)
    assert any("took model (weights=ema for the other)" in note for note in first.notes)
    assert any("took ema (weights=model for the other)" in note for note in other.notes)
    alone = store(tmp_path / "alone.pth", {name: average})
    assert torch.equal(load_checkpoint(alone).head.weight.data, other.head.weight.data)
    with pytest.raises(InputError, match="holds no weights 'model'") as caught:
        load_checkpoint(alone, weights="model")
    assert "--weights ema" in caught.value.fix


@pytest.mark.parametrize("number", [np.float64(1.5), np.float32(1.5), np.int64(3), np.bool_(True)])
def test_a_number_of_numpy_beside_the_weights_needs_no_trust(tmp_path: Path, number: np.generic) -> None:
    path = store(tmp_path / "m.pth", {"model": random_state(tubelet=1, layers=4), "max_accuracy": number})
    assert load_checkpoint(path).architecture.frames == 4


def test_a_spatial_table_is_interpolated_on_request(tmp_path: Path) -> None:
    path = opengvlab(tmp_path)
    model, larger = load_checkpoint(path), load_checkpoint(path, size=16, interpolate_space=True)
    old, new = (m.embedding.position_space.data[0] for m in (model, larger))
    assert torch.equal(new[0], old[0])
    square = old[1:].reshape(1, 2, 2, 16).permute(0, 3, 1, 2)
    expected = torch.nn.functional.interpolate(square, size=(4, 4), mode="bicubic")
    torch.testing.assert_close(new[1:], expected.permute(0, 2, 3, 1).reshape(16, 16))
    assert any("interpolated from 8 to 16 pixels" in note for note in larger.notes)
    image = store(tmp_path / "vim.pth", random_state())
    video = load_checkpoint(
        image, frames=4, tubelet=2, size=16, interpolate_space=True, cls_position="first", scale=0.5
    )
    assert video.architecture.grid == (2, 4, 4)
    assert logits_of(video).isfinite().all()
