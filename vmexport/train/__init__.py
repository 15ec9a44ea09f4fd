"""Training: the paper's recipe on any of the published data formats, resumable to the bit.

Names are loaded on first use, so that settings can be read without torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
