"""The model: network, checkpoints, presets and the inference form.

Import from the modules below this package, or from here; importing this package imports torch.
"""

from vmexport.model.cards import Card, available_cards, create_model, load_card
from vmexport.model.checkpoints import load_checkpoint, save_checkpoint
from vmexport.model.freeze import FrozenVideoMamba, freeze
from vmexport.model.network import VideoMamba
from vmexport.model.resolve import resolve_model

__all__ = [
    "Card",
    "FrozenVideoMamba",
    "VideoMamba",
    "available_cards",
    "create_model",
    "freeze",
    "load_card",
    "load_checkpoint",
    "resolve_model",
    "save_checkpoint",
]
