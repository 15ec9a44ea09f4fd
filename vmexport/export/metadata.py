"""The text entries of an ONNX file: writing them, and reading them back without a session."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from vmexport.config import ModelInfo
from vmexport.config.names import WRITE_ONNX
from vmexport.errors import InputError
from vmexport.opening import check_readable
from vmexport.runtime.onnx_runner import OnnxRunner, not_utf8

if TYPE_CHECKING:
    import onnx


def write_info(model: onnx.ModelProto, info: ModelInfo) -> None:
    """Replace the model's metadata by what `info` says."""
    del model.metadata_props[:]
    for key, value in sorted(info.to_metadata().items()):
        model.metadata_props.add(key=key, value=value)


def load_onnx(path: Path | str) -> onnx.ModelProto:
    """Read an ONNX file into memory.

    Raises:
        InputError: no such file, or no ONNX model.
    """
    import onnx

    path = Path(path)
    check_readable(path, WRITE_ONNX)
    try:
        model = onnx.load(str(path))
    except Exception as error:  # protobuf's own error is not exported by onnx
        fix = f"export it again: {WRITE_ONNX}"
        raise InputError(f"{path} is not an ONNX model, or a damaged one", str(error), fix) from error
    if not _is_text(model):
        raise not_utf8(str(path))
    return model


def _is_text(model: onnx.ModelProto) -> bool:
    """Whether every name and text of a model is UTF-8; protobuf hands out bytes where one is not."""
    messages: list[Any] = [model]
    while messages:
        for field, value in messages.pop().ListFields():
            several = value if not isinstance(value, str | bytes) and hasattr(value, "__len__") else [value]
            if field.type == field.TYPE_STRING and not all(isinstance(one, str) for one in several):
                return False
            if field.type == field.TYPE_MESSAGE:
                messages.extend(several)
    return True


def read_info(path: Path | str) -> ModelInfo:
    """What an ONNX file written by vmexport says of itself.

    Where the package onnx is not installed, ONNX Runtime opens the file for it.

    Raises:
        InputError: no such file, a damaged one, or a model from elsewhere.
        EnvironmentProblem: neither of the two is installed.
    """
    try:
        model = load_onnx(path)
    except ModuleNotFoundError:
        with OnnxRunner(path, allow_failed=True) as runner:
            return runner.info
    return read_metadata(model, str(path))


def read_metadata(model: onnx.ModelProto, source: str) -> ModelInfo:
    """What a loaded file says of itself; `source` names it in errors.

    Raises:
        InputError: a model from elsewhere, or damaged entries.
    """
    return ModelInfo.from_metadata({entry.key: entry.value for entry in model.metadata_props}, source)
