"""Fixed buffers of an open engine, on the GPU and pinned on the host, given back in reverse order."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vmexport.errors import VmexportError
from vmexport.runtime.tensorrt.cudart import Cuda

LOG = logging.getLogger("vmexport.tensorrt")


class Resources:
    """What is held on the GPU, given back by `close` in reverse order, whatever fails meanwhile."""

    def __init__(self, cuda: Cuda) -> None:
        self.cuda = cuda
        self._stack = contextlib.ExitStack()

    def close(self) -> None:
        """Give everything back."""
        self._stack.close()

    def stream(self) -> Any:
        """A stream."""
        return self._hold(self.cuda.stream(), self.cuda.destroy_stream)

    def device(self, size: int) -> int:
        """Device memory.

        Raises:
            OutOfMemory: it does not suffice.
        """
        return int(self._hold(self.cuda.malloc(size), self.cuda.free))

    def pinned(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """A float32 array in pinned memory; nobody may keep it or a view of it.

        Raises:
            OutOfMemory: it does not suffice.
        """
        count = math.prod(shape)
        address = self._hold(self.cuda.host_alloc(4 * count), self.cuda.host_free)
        return np.ctypeslib.as_array((ctypes.c_float * count).from_address(address)).reshape(shape)

    def at_exit(self, action: Callable[[], None]) -> None:
        """Do something on closing, before what is held now is given back."""
        self._stack.callback(action)

    def _hold(self, thing: Any, give_back: Callable[[Any], None]) -> Any:
        def quietly() -> None:
            try:
                give_back(thing)
            except VmexportError as error:  # after a fault of a kernel every call fails, this one too
                LOG.debug("while giving back: %s", error)

        self._stack.callback(quietly)
        return thing
