"""An engine ready to run: memory for the largest batch, a stream, contexts, CUDA graphs where wanted."""

from __future__ import annotations

import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vmexport.config import ModelInfo
from vmexport.errors import BuildError, OutOfMemory, VmexportError
from vmexport.runtime.runner import INPUT_NAME, OUTPUT_NAME, Array
from vmexport.runtime.tensorrt.engine import LESS_MEMORY, LoadedEngine
from vmexport.runtime.tensorrt.logger import complaints, raise_for_memory, reason
from vmexport.runtime.tensorrt.memory import Resources
from vmexport.runtime.tensorrt.sidecar import REBUILD
from vmexport.runtime.tensorrt.versions import activation_bytes, new_context

LOG = logging.getLogger("vmexport.tensorrt")
KEPT_GRAPHS = 8
"""Batch sizes whose graphs stay; a further one replaces that which was not used for longest."""


@dataclass
class _Captured:
    """A graph and the context that it was captured from, which must not change as long as the graph lives."""

    context: Any
    graph: Any


class EngineSession:
    """Runs a loaded engine; not from several threads at once.

    All contexts use the same activation memory, one after the other on one stream.

    Args:
        loaded: the engine; it is dropped before the memory is given back.
        model: what it takes.
        resources: holds the memory; giving it back ends the session.
        cuda_graph: launch each call as one CUDA graph.
        source: name in messages.

    Attributes:
        graph_problem: why no graphs are used although they were wanted, or empty.
        batch: of the last call; 0 before it.

    Raises:
        OutOfMemory: the GPU's memory does not suffice.
        BuildError: TensorRT makes no context.
    """

    def __init__(
        self, loaded: LoadedEngine, model: ModelInfo, resources: Resources, cuda_graph: bool, source: str
    ) -> None:
        self.graph_problem = ""
        self._trt, self._cuda, self._source = loaded.trt, resources.cuda, source
        self._loaded: LoadedEngine | None = loaded
        self._context: Any = None
        self._context_batch = 0
        self.batch = 0
        self._captured: OrderedDict[int, _Captured] = OrderedDict()
        self._capture = cuda_graph and not self._trt.features.own_graphs
        self._library_graphs = cuda_graph and self._trt.features.own_graphs
        resources.at_exit(self._drop_engine)
        largest = model.profile.maximum
        self._stream = resources.stream()
        self._clips = resources.pinned((largest, *model.architecture.clip_shape))
        self._logits = resources.pinned((largest, model.architecture.num_classes))
        self._device_clips = resources.device(self._clips.nbytes)
        self._device_logits = resources.device(self._logits.nbytes)
        self._scratch_bytes = activation_bytes(loaded.engine)
        self._scratch = resources.device(self._scratch_bytes)
        resources.at_exit(self._drop_contexts)  # the last to come and the first to go: they use all the rest
        if not self._capture:
            self._context = self._new_context()

    def run(self, clips: Array) -> Array:
        """Logits `(B, classes)` of valid clips `(B, 3, T, H, W)`, B within the profile.

        Raises:
            OutOfMemory: the GPU's memory does not suffice.
            BuildError: TensorRT could not launch the engine.
            EnvironmentProblem: a kernel failed on the GPU.
        """
        batch = len(clips)
        launch = self._launcher(batch)
        np.copyto(self._clips[:batch], clips)
        self._cuda.copy_in(self._device_clips, self._clips.ctypes.data, clips.nbytes, self._stream)
        launch()
        logits = self._logits[:batch]
        self._cuda.copy_out(logits.ctypes.data, self._device_logits, logits.nbytes, self._stream)
        self._cuda.wait(self._stream)
        self.batch = batch
        return logits.copy()

    def rerun(self) -> float:
        """Seconds of the GPU's work on the clips of the last call, from launch to end, without copies."""
        launch = self._launcher(self.batch)
        started = time.perf_counter()
        launch()
        self._cuda.wait(self._stream)
        return time.perf_counter() - started

    def _launcher(self, batch: int) -> Callable[[], None]:
        """What puts one call of a batch on the stream: a graph where there is one."""
        captured = self._graph_for(batch) if self._capture else None
        if captured is not None:
            return lambda: self._cuda.launch(captured.graph, self._stream)
        if self._context is None:
            self._context = self._new_context()
        if batch != self._context_batch:
            self._set_batch(self._context, batch)
            self._context_batch = batch
        return lambda: self._enqueue(self._context)

    def _graph_for(self, batch: int) -> _Captured | None:
        """The graph of a batch, captured where it is new; None, for good, where capturing fails."""
        if batch in self._captured:
            self._captured.move_to_end(batch)
            return self._captured[batch]
        if len(self._captured) >= KEPT_GRAPHS:
            _, oldest = self._captured.popitem(last=False)
            self._cuda.destroy_graph(oldest.graph)
        try:
            self._captured[batch] = self._capture_batch(batch)
        except OutOfMemory:
            raise
        except VmexportError as error:
            self._capture, self.graph_problem = False, f"{error.what}: {error.why}".rstrip(": ")
            LOG.warning("%s runs without CUDA graphs: %s", self._source, self.graph_problem)
            return None
        return self._captured[batch]

    def _capture_batch(self, batch: int) -> _Captured:
        """Capture one call on a context of its own."""
        context = self._new_context()
        self._set_batch(context, batch)
        self._enqueue(
            context
        )  # work that TensorRT puts off to the first call of a shape stays out of the graph
        self._cuda.wait(self._stream)
        self._cuda.begin_capture(self._stream)
        try:
            self._enqueue(context)
        except BaseException:
            with contextlib.suppress(VmexportError):  # ends the stream's recording; the graph is of no use
                self._cuda.destroy_graph(self._cuda.end_capture(self._stream))
            self._cuda.forget_error()
            raise
        return _Captured(context, self._cuda.end_capture(self._stream))

    def _new_context(self) -> Any:
        """A context on the shared memory whose tensors lie in the fixed buffers."""
        assert self._loaded is not None
        with complaints(self._trt) as heard:
            try:
                context = new_context(
                    self._trt, self._loaded.engine, self._scratch, self._scratch_bytes, self._library_graphs
                )
                context.set_tensor_address(INPUT_NAME, self._device_clips)
                context.set_tensor_address(OUTPUT_NAME, self._device_logits)
            except Exception as error:  # the bindings raise TypeError and RuntimeError where C++ returns null
                raise_for_memory(heard, f"not enough GPU memory to open {self._source}", LESS_MEMORY)
                why = reason(heard, str(error))
                what, fix = f"{self._trt.name} could not make a context for {self._source}", REBUILD
                raise BuildError(what, why, fix.format(path=self._source)) from error
        return context

    def _set_batch(self, context: Any, batch: int) -> None:
        """Tell a context the shape of the clips."""
        with complaints(self._trt) as heard:
            if not context.set_input_shape(INPUT_NAME, (batch, *self._clips.shape[1:])):
                rebuild = REBUILD.format(path=self._source)
                raise BuildError(f"{self._source} does not take batch {batch}", reason(heard), rebuild)

    def _enqueue(self, context: Any) -> None:
        """Put one call of the engine on the stream."""
        with complaints(self._trt) as heard:
            try:
                launched = context.execute_async_v3(int(self._stream))
            except Exception as error:  # as above
                heard.append(str(error))
                launched = False
        if not launched:
            raise_for_memory(heard, f"not enough GPU memory to run {self._source}", LESS_MEMORY)
            raise BuildError(
                f"{self._trt.name} failed to run {self._source}",
                reason(heard),
                "vmexport plugin test; nvidia-smi",
            )

    def _drop_contexts(self) -> None:
        """Contexts and graphs, once the GPU is done with them."""
        with contextlib.suppress(VmexportError):
            self._cuda.wait(self._stream)
        for captured in self._captured.values():
            with contextlib.suppress(VmexportError):
                self._cuda.destroy_graph(captured.graph)
        self._captured.clear()
        self._context = None

    def _drop_engine(self) -> None:
        """The engine, then its runtime."""
        if self._loaded is not None:
            self._loaded.engine = None
            self._loaded.runtime = None
        self._loaded = None
