from .factory import load_module as load_module
from .patch import Patch as Patch
from .patch import patch_mamba as patch_mamba
from .stand_ins import stand_ins as stand_ins
