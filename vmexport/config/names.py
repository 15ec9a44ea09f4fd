"""How the files of a model are called: the commands find each other's by these names."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TypeGuard

WEIGHTS_FILE = "model.safetensors"
ONNX_FILE = "model.onnx"
ENGINE_FILE = "model.engine"
"""What a command writes where no other name is asked for, and what the next one looks for."""

ONNX_SUFFIX = ".onnx"
ENGINE_SUFFIXES = (".engine", ".plan", ".trt")
"""Names that engines of TensorRT go by."""

FACTORY = re.compile(r"(?P<file>.+\.py):(?P<name>[A-Za-z_]\w*)")
"""`their_file.py:build`: a function in a Python file that makes a module."""

WRITE_ONNX = f"vmexport onnx MODEL -o {ONNX_FILE}"
WRITE_ENGINE = f"vmexport trt MODEL -o {ENGINE_FILE}"
"""The commands that make such files."""


def is_onnx(model: object) -> TypeGuard[str | Path]:
    """Whether what a user calls a model is a path that is named like an ONNX file."""
    return isinstance(model, str | Path) and Path(model).suffix.lower() == ONNX_SUFFIX


def is_engine(model: object) -> TypeGuard[str | Path]:
    """Whether what a user calls a model is a path that is named like an engine."""
    return isinstance(model, str | Path) and Path(model).suffix.lower() in ENGINE_SUFFIXES


def is_preset(model: Path | str) -> bool:
    """Whether a user means a preset by its name, or a card (`.toml`) by its path, and no checkpoint."""
    path = Path(model)
    bare = path.suffix == "" and path.parent == Path()
    return path.suffix == ".toml" or (bare and not os.path.exists(path))  # noqa: PTH110 - any text passes
