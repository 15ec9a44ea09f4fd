"""What a TensorRT plugin library was built for, as it says itself; needs neither TensorRT nor a GPU."""

from __future__ import annotations

import ctypes
import json
from dataclasses import dataclass
from pathlib import Path

from vmexport.errors import EnvironmentProblem
from vmexport.native.libraries import build_fix


@dataclass(frozen=True)
class PluginBuild:
    """What `vmexport_trt_build_info` says.

    Attributes:
        version: of vmexport.
        tensorrt: of the TensorRT headers, such as `10.3.0`.
        interface: `IPluginV3` or `IPluginV2DynamicExt`.
        architectures: of its GPU code, such as `sm_87 sm_90 compute_90`.
    """

    version: str
    tensorrt: str
    interface: str
    architectures: str

    @property
    def major(self) -> int:
        """The major version of TensorRT that it belongs to."""
        return int(self.tensorrt.split(".")[0])


def read_plugin_build(path: Path) -> PluginBuild:
    """Load a plugin library, already known to be trusted, and ask it.

    Raises:
        EnvironmentProblem: it does not load, or is no plugin library of this project.
    """
    try:
        function = ctypes.CDLL(str(path)).vmexport_trt_build_info
        function.restype = ctypes.c_char_p
        values = json.loads(function())
        build = PluginBuild(**{name: str(value) for name, value in values.items()})
        _ = build.major
    except (OSError, AttributeError, ValueError, TypeError) as error:
        why = f"{type(error).__name__}: {error}"
        raise EnvironmentProblem(f"cannot load {path}", why, f"{build_fix(path.name)} --force") from error
    return build
