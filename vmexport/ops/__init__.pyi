from .functional import causal_conv1d as causal_conv1d
from .functional import directional_selective_scan as directional_selective_scan
from .mamba import selective_scan as selective_scan
from .schema import ScanOrder as ScanOrder
