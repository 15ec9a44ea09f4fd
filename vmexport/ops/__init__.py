"""The operators: `selective_scan` in mamba-ssm's layout, and the pair that VideoMamba is made of.

`directional_selective_scan` and `causal_conv1d` are `vmexport::SelectiveScan` and `vmexport::CausalConv1d` of
exported files. The functions need torch and load on first use; `vmexport.ops.schema` and the native kernels
(`vmexport.ops.native`) do without.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
