"""Checkpoints: reading ours and foreign ones, changing settings on the way in, writing ours."""

from vmexport.model.checkpoints.load import load_checkpoint
from vmexport.model.checkpoints.rewrite import ConversionReport, convert_checkpoint
from vmexport.model.checkpoints.save import save_checkpoint

__all__ = ["ConversionReport", "convert_checkpoint", "load_checkpoint", "save_checkpoint"]
