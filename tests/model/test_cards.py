"""Presets: what they hold, how they are found, and the wording for names that are none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vmexport.config.flops import count
from vmexport.errors import InputError, UsageError
from vmexport.model import available_cards, create_model, load_card

NAMES = [
    "hmdb51", "kinetics400", "opengvlab_videomamba_base", "opengvlab_videomamba_middle",
    "opengvlab_videomamba_small", "opengvlab_videomamba_tiny", "ssv2", "synthetic",
    "videomamba_small", "videomamba_tiny", "vim_base", "vim_small", "vim_tiny",
]  # fmt: skip
SMALL = {"d_model": 16, "depth": 1, "size": 16}


def test_all_presets_are_found() -> None:
    assert list(available_cards()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_cards_are_complete_and_their_numbers_true(name: str) -> None:
    card = load_card(name)
    assert card.name == name
    assert card.summary
    assert card.source
    for entry in card.expected:
        settings = {key: entry[key] for key in ("frames", "num_classes")}
        cost = count(card.architecture.with_overrides(**settings))
        assert cost.tokens == entry["tokens"]
        assert round(cost.parameters / 1e6, 3) == entry["parameters_m"]
        assert round(cost.paper_macs / 1e9, 3) == entry["paper_gmacs"]
        assert round(cost.linear_macs / 1e9, 3) == entry["linear_gmacs"]
        assert round(cost.scan_flops / 1e9, 3) == entry["scan_gflops"]
        assert round(cost.exponentials / 1e6, 1) == entry["exponentials_m"]


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_makes_a_model(name: str) -> None:
    model = create_model(name, **SMALL)
    assert any("random" in note for note in model.notes)
    with torch.no_grad():
        logits = model(torch.zeros(1, *model.architecture.clip_shape))
    assert torch.isfinite(logits).all()


def test_a_name_means_the_same_weights_every_time() -> None:
    first, second = (create_model("videomamba_tiny", frames=2, num_classes=3, **SMALL) for _ in range(2))
    other = create_model("videomamba_tiny", frames=2, num_classes=3, seed=1, **SMALL)
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name])
    assert not torch.equal(first.head.weight, other.head.weight)


def test_near_names_are_listed() -> None:
    with pytest.raises(UsageError, match="videomamba_small") as caught:
        create_model("videomanba_smal")
    assert caught.value.fix == "use videomamba_small"


def test_a_name_like_nothing() -> None:
    with pytest.raises(UsageError, match="the presets are"):
        create_model("0")


def test_a_card_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('summary = "x"\n[architecture]\nd_model = 16\ndepth = 1\nsize = 16\nframes = 2\n')
    assert create_model(path).architecture.d_model == 16
    path.write_text("[architecture]\nd_model = 'wide'\n")
    with pytest.raises(InputError, match="d_model must be a whole number"):
        create_model(path)
    for text, words in (
        ("", "it lacks 'architecture'"),
        ("[architecture]\n[recpie]\n", "unknown entry 'recpie'"),
        ("recipe = 3\n[architecture]\n", "recipe should be object . null, got int"),
        ("[architecture]\ndepht = 1\n", "unknown architecture setting: depht: the settings are"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=words):
            create_model(path)
    path.write_text("[architecture\n")
    with pytest.raises(InputError, match="is damaged"):
        create_model(path)
    with pytest.raises(InputError, match="there is no card"):
        create_model(tmp_path / "none.toml")
