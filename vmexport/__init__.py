"""Export VideoMamba to ONNX and TensorRT with a native selective scan, proven to compute the same function.

Every public name is loaded on first use, so that `import vmexport` needs neither torch nor ONNX Runtime; the
table of names and their modules is `__init__.pyi`.

Every function is called in the same way. Its main objects come first (a model, a file, a data set, videos),
all else by keyword: `vmexport.evaluate("model.onnx", "data", views="2x3")`. The keywords of a function with
many of them are the fields of one frozen dataclass, here `EvaluationRequest`, where each default stands and
is explained; a request made beforehand is given as `request=`, and keywords change it. `progress=` is told
what is being done. What comes back is a dataclass; errors (`vmexport.errors`) say what happened, why, and a
fix.
"""

import lazy_loader

from vmexport.package import VERSION

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

__version__ = VERSION
