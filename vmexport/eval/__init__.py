"""Evaluation: accuracy over test views, frame orders (paper section 5.2), ablations, maps of delta.

Names are loaded on first use, since some of them need torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
