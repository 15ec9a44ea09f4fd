"""Files of `export_module` in ONNX Runtime: any inputs and outputs, arrays in and arrays out."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vmexport.errors import InputError, UsageError
from vmexport.runtime.session import SessionOptions, open_session

MODULE_ENTRY = "vmexport.module"
"""Key of the metadata of such a file: JSON with module, batch, precision and the parity record."""


class ModuleRunner:
    """An exported module, ready to run; a context manager.

    Attributes:
        inputs: names of its inputs, in order.
        outputs: names of its outputs, in order.
        description: runtime and what computes the scans.
    """

    def __init__(self, path: Path | str, options: SessionOptions | None = None) -> None:
        """Open a file.

        Args:
            path: written by `vmexport.export_module`.
            options: library, threads, device.

        Raises:
            InputError: no ONNX file, or not one of `export_module`.
            EnvironmentProblem: ONNX Runtime, or what the file needs, is missing.
        """
        self._session, library = open_session(Path(path), str(path), options or SessionOptions())
        if MODULE_ENTRY not in self._session.get_modelmeta().custom_metadata_map:
            raise InputError(
                f"{path} was not written by export_module",
                f"its metadata has no {MODULE_ENTRY}",
                "open files of vmexport onnx with vmexport.open_runner",
            )
        self.inputs = [value.name for value in self._session.get_inputs()]
        self.outputs = [value.name for value in self._session.get_outputs()]
        self.description = "ONNX Runtime, " + ("operator library" if library else "function body")

    def __call__(self, *values: NDArray[Any]) -> list[NDArray[Any]]:
        """Run the module.

        Args:
            *values: one array an input, batch first.

        Returns:
            one array an output.

        Raises:
            UsageError: another number of inputs.
        """
        if len(values) != len(self.inputs):
            raise UsageError(
                f"the module takes {len(self.inputs)} inputs, got {len(values)}", ", ".join(self.inputs)
            )
        feeds = {name: np.ascontiguousarray(value) for name, value in zip(self.inputs, values, strict=True)}
        found: list[NDArray[Any]] = self._session.run(None, feeds)
        return found

    def __enter__(self) -> ModuleRunner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session = None
