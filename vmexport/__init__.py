"""Export VideoMamba to ONNX and TensorRT with a native selective scan, proven to compute the same function.

Every public name is loaded on first use, so that `import vmexport` needs neither torch nor ONNX Runtime; the
table of names and their modules is `__init__.pyi`.
"""

import lazy_loader

from vmexport.package import VERSION

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

__version__ = VERSION
