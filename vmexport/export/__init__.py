"""Export: from a network to files that other runtimes execute. Names load on first use: they need torch."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
