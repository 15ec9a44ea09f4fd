"""The ONNX Runtime runner, on the operator library where it is built and on the function body elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vmexport.config import ModelInfo
from vmexport.config.names import WRITE_ONNX
from vmexport.errors import BuildError, InputError, OutOfMemory, UsageError, tells_of_memory
from vmexport.opening import check_readable
from vmexport.runtime.record import refuse_failed
from vmexport.runtime.runner import INPUT_NAME, OUTPUT_NAME, Array, Runner
from vmexport.runtime.session import CPU, SessionOptions, import_onnxruntime, open_session


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
        UsageError: the operator library is required, and the file is portable: it has no nodes for it.
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
    def description(self) -> str:
        """Name and version of the backend, and what computes the scans."""
        how = "operator library" if self._registered else "function body"
        if self._info is not None and self._info.portable:
            how = "standard operators"
        where = "" if self.options.device == CPU else f" on {self.options.device}"
        return f"ONNX Runtime {import_onnxruntime().__version__}{where}, {how}"

    def _open(self) -> ModelInfo:
        import_onnxruntime()
        check_readable(self.path, WRITE_ONNX)
        self._session, self._registered = open_session(self.path, self.source, self.options)
        try:
            return self._read_info()
        except BaseException:
            self._close()
            raise

    def _read_info(self) -> ModelInfo:
        """The metadata of the open session, which must name `clips` and `logits` besides."""
        try:
            texts = self._session.get_modelmeta().custom_metadata_map
            inputs = [value.name for value in self._session.get_inputs()]
            outputs = [value.name for value in self._session.get_outputs()]
        except UnicodeDecodeError as error:
            raise not_utf8(self.source) from error
        info = ModelInfo.from_metadata(texts, self.source)
        if inputs != [INPUT_NAME] or outputs != [OUTPUT_NAME]:
            raise InputError(
                f"{self.source} is not a vmexport model",
                f"expected input {INPUT_NAME} and output {OUTPUT_NAME}, got {inputs} and {outputs}",
                f"export it again: {WRITE_ONNX}",
            )
        if not self._allow_failed:
            refuse_failed(info, self.source)
        if info.portable and self.options.library == "require":
            raise UsageError(
                f"{self.source} does not use the operator library",
                "it is in portable form: standard operators alone",
                f"run it with library='off', or export without --portable: {WRITE_ONNX}",
            )
        return info

    def _close(self) -> None:
        self._session = None

    def _run(self, clips: Array) -> Array:
        try:
            logits: Array = self._session.run([OUTPUT_NAME], {INPUT_NAME: clips})[0]
        except Exception as error:  # onnxruntime raises a dozen unrelated classes and plain RuntimeError
            raise _explain_run(error, self.source) from error
        return logits.astype(np.float32, copy=False)


def not_utf8(source: str) -> InputError:
    """The error for an ONNX file whose names or metadata are no text."""
    return InputError(
        f"the metadata of {source} is damaged",
        "a name or a text in it is not UTF-8",
        f"copy it again, or export it again: {WRITE_ONNX}",
    )


def _explain_run(error: Exception, source: str) -> Exception:
    """Translate what onnxruntime raised while running `source`."""
    text = str(error)
    if tells_of_memory(error):
        return OutOfMemory(f"not enough memory to run {source}", text.splitlines()[0], "use a smaller batch")
    return BuildError(f"ONNX Runtime failed to run {source}", text.strip().splitlines()[0] if text else "")
