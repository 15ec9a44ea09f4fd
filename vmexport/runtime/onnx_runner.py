"""The ONNX Runtime runner, on the operator library where it is built and on the function body elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from vmexport.config import ModelInfo
from vmexport.errors import BuildError, InputError, OutOfMemory, ParityError
from vmexport.runtime.runner import INPUT_NAME, OUTPUT_NAME, Array, Runner
from vmexport.runtime.session import CPU, SessionOptions, import_onnxruntime, open_session

PARITY_ENTRY = "parity"
"""Key in `ModelInfo.extra` of the parity record, JSON with at least `status`."""
PARITY_FAILED = "failed"


class OnnxRunner(Runner):
    """Runs an `.onnx` file that vmexport wrote.

    Args:
        path: the file.
        options: library, threads, verbosity, device.
        allow_failed: also run a file whose export failed its parity check (to find the fault).

    Attributes:
        path: as given.
        options: as given.

    Raises (on enter):
        EnvironmentProblem: onnxruntime, its CUDA provider or the operator library is missing.
        InputError: no such file, a damaged file, or a model from elsewhere.
        ParityError: the file is marked as failed, and `allow_failed` is not set.
    """

    def __init__(
        self, path: Path | str, options: SessionOptions | None = None, *, allow_failed: bool = False
    ) -> None:
        super().__init__(str(path))
        self.path = Path(path)
        self.options = options or SessionOptions()
        self._allow_failed = allow_failed
        self._session: Any = None
        self._registered = False

    @property
    def uses_library(self) -> bool:
        """Whether the operator library computes the scans; otherwise the file's function body does."""
        return self._registered

    @property
    def description(self) -> str:
        """Name and version of the backend, and what computes the scans."""
        how = "operator library" if self._registered else "function body"
        where = "" if self.options.device == CPU else f" on {self.options.device}"
        return f"ONNX Runtime {import_onnxruntime().__version__}{where}, {how}"

    def _open(self) -> ModelInfo:
        import_onnxruntime()
        check_readable(self.path)
        self._session, self._registered = open_session(self.path, self.source, self.options)
        try:
            return self._read_info()
        except BaseException:
            self._close()
            raise

    def _read_info(self) -> ModelInfo:
        """The metadata of the open session, which must name `clips` and `logits` besides."""
        info = ModelInfo.from_metadata(self._session.get_modelmeta().custom_metadata_map, self.source)
        inputs = [value.name for value in self._session.get_inputs()]
        outputs = [value.name for value in self._session.get_outputs()]
        if inputs != [INPUT_NAME] or outputs != [OUTPUT_NAME]:
            raise InputError(
                f"{self.source} is not a vmexport model",
                f"expected input {INPUT_NAME} and output {OUTPUT_NAME}, got {inputs} and {outputs}",
                "export it again: vmexport onnx MODEL -o model.onnx",
            )
        if not self._allow_failed:
            refuse_failed(info, self.source)
        return info

    def _close(self) -> None:
        self._session = None

    def _run(self, clips: Array) -> Array:
        try:
            logits: Array = self._session.run([OUTPUT_NAME], {INPUT_NAME: clips})[0]
        except Exception as error:  # onnxruntime raises a dozen unrelated classes and plain RuntimeError
            raise _explain_run(error, self.source) from error
        return logits.astype(np.float32, copy=False)


WRITE_ONNX = "vmexport onnx MODEL -o model.onnx"


def check_readable(path: Path, command: str = WRITE_ONNX) -> None:
    """Refuse a path that is no readable, non-empty file.

    Args:
        path: the file.
        command: writes such a file, for the fix.

    Raises:
        InputError: with the reason.
    """
    what = f"cannot read {path}"
    try:
        if path.is_dir():
            raise InputError(what, "it is a folder", "name the file inside it")
        with path.open("rb") as stream:
            empty = not stream.read(1)
    except FileNotFoundError as error:
        raise InputError(what, "no such file", f"{command}   writes one") from error
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(what, why, f"chmod +r {path}") from error
    if empty:
        raise InputError(what, "the file is empty", f"write it again: {command}")


def refuse_failed(info: ModelInfo, source: str, fix: str = "") -> None:
    """Refuse a file that its own export marked as different from the network it came from.

    Args:
        info: what the file says of itself.
        source: its name.
        fix: what to do; by default, to look for the block that differs.

    Raises:
        ParityError: the parity record says `failed`.
        InputError: the record cannot be read, so that nobody knows what it says.
    """
    try:
        record = json.loads(info.extra.get(PARITY_ENTRY, "{}"))
    except ValueError as error:
        raise InputError(
            f"the metadata of {source} is damaged",
            f"its parity record: {error}",
            "export it again: vmexport onnx MODEL -o model.onnx",
        ) from error
    if isinstance(record, dict) and record.get("status") == PARITY_FAILED:
        raise ParityError(
            f"{source} is marked: its export failed the parity check",
            str(record.get("reason", "")),
            fix or f"find the block with: vmexport check MODEL {source} --bisect   or export it again",
        )


def _explain_run(error: Exception, source: str) -> Exception:
    """Translate what onnxruntime raised while running `source`."""
    text = str(error)
    if "bad_alloc" in text or "Failed to allocate" in text:
        return OutOfMemory(f"not enough memory to run {source}", text.splitlines()[0], "use a smaller batch")
    return BuildError(f"ONNX Runtime failed to run {source}", text.strip().splitlines()[0] if text else "")
