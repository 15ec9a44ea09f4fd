"""Other people's Mamba-1 models: their scans, convolutions and norms computed by this package's operators."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
