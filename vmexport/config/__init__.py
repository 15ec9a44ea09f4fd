"""Dataclasses that hold every default, and the metadata that travels inside model files."""

from vmexport.config.architecture import Architecture
from vmexport.config.metadata import ModelInfo
from vmexport.config.preprocessing import Preprocessing
from vmexport.config.profile import BatchProfile

__all__ = ["Architecture", "BatchProfile", "ModelInfo", "Preprocessing"]
