"""Video data sets: published formats, clips for training and evaluation, and a motion data set made here.

Names are loaded on first use: only the training clips need torch, only what decodes needs PyAV.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
