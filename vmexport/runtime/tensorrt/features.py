"""What TensorRT 8.6, 10.0 to 11.x and TensorRT-RTX can do: all their differences, in one place.

| | 8.6 | 10.0 | 10.1 | 10.7 | 10.8 | 11.0 | RTX 1.x |
|---|---|---|---|---|---|---|---|
| network | explicit batch flag | strongly typed flag | | | | always strongly typed | strongly typed flag |
| precision | builder flags | of the ONNX file | | | | | of the ONNX file |
| progress monitor | no | yes | | | | | yes |
| plugin | V2 | V3 | | preferred to a function | | | V3 from 1.7 on, or none |
| editable timing cache | no | | | | yes | | no timing cache |
| activation memory | address only | | address and size | | | | address and size |
| several GPU kinds in one engine | no | | | | | | named capabilities |
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vmexport.config.choices import PRECISIONS, Runtime

TENSORRT, RTX = Runtime.TENSORRT.value, Runtime.RTX.value
OLDEST: Mapping[str, tuple[int, ...]] = {TENSORRT: (8, 6), RTX: (1, 0)}
"""First version of each flavour whose Python API serves; 8.5 is for C++ only."""

RTX_WITH_PLUGINS = (1, 7)
"""First version of TensorRT-RTX whose parser was seen to take plugins."""
V3_MAJORS = (11, 10)
"""Major versions of TensorRT that have `IPluginV3`."""

PRECISION_FLAGS = {"fp32": (), "fp16": ("FP16",)}
"""Builder flags by precision, for the versions that have them; bfloat16 came with strong typing."""


@dataclass(frozen=True)
class Features:
    """What a version can do.

    Attributes:
        flavour: "tensorrt" or "rtx".
        numbers: the version.
    """

    flavour: str
    numbers: tuple[int, ...]

    @property
    def major(self) -> int:
        """The major version, to which a plugin library belongs."""
        return self.numbers[0]

    @property
    def plugins(self) -> bool:
        """Whether operators can be plugins."""
        return self.flavour == TENSORRT or self.numbers >= RTX_WITH_PLUGINS

    @property
    def function_bodies(self) -> bool:
        """Whether operators can be left to their function bodies, for all versions of this library."""
        return self.flavour == RTX

    @property
    def plugin_majors(self) -> tuple[int, ...]:
        """Major versions of TensorRT whose plugin libraries serve, the first the best; RTX has their V3."""
        return V3_MAJORS if self.flavour == RTX else (self.major,)

    @property
    def strongly_typed(self) -> bool:
        """Whether the types of the ONNX file are kept."""
        return self.flavour == RTX or self.numbers >= (10,)

    @property
    def precision_flags(self) -> bool:
        """Whether precision is a builder flag."""
        return not self.strongly_typed

    @property
    def precisions(self) -> tuple[str, ...]:
        """Precisions that an engine may have."""
        return PRECISIONS if self.strongly_typed else tuple(PRECISION_FLAGS)

    @property
    def progress_monitor(self) -> bool:
        """Whether a build reports its progress and can be stopped."""
        return self.flavour == RTX or self.numbers >= (10,)

    @property
    def timing_cache(self) -> bool:
        """Whether measured times of kernels can be kept; RTX does not measure while it builds."""
        return self.flavour == TENSORRT

    @property
    def named_capabilities(self) -> bool:
        """Whether an engine is built for named compute capabilities, on a machine without a GPU too."""
        return self.flavour == RTX

    @property
    def own_graphs(self) -> bool:
        """Whether the library itself captures CUDA graphs, so that callers must not."""
        return self.flavour == RTX


@dataclass(frozen=True)
class TensorRT:
    """A TensorRT that can be used.

    Attributes:
        module: the Python package.
        flavour: "tensorrt" or "rtx".
        version: as the package says it, such as `10.3.0`.
        features: what this version can do and how it is asked for.
    """

    module: Any = field(repr=False)
    flavour: str
    version: str
    features: Features

    @property
    def name(self) -> str:
        """`TensorRT 10.3.0` or `TensorRT-RTX 1.7.1.116`."""
        return flavour_name(self.flavour, self.version)


def flavour_name(flavour: str, version: str = "") -> str:
    """A flavour in words, with its version where one is given."""
    name = "TensorRT-RTX" if flavour == RTX else "TensorRT"
    return f"{name} {version}".strip()


def version_tuple(version: str) -> tuple[int, ...]:
    """`(10, 3, 0, 30)` for `10.3.0.30`; a suffix such as `.post1` does not count."""
    numbers = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in numbers[0].split(".")) if numbers else ()
