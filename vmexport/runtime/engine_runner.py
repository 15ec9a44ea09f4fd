"""The runner of TensorRT and TensorRT-RTX engines."""

from __future__ import annotations

import traceback
from pathlib import Path

from vmexport.config import ModelInfo
from vmexport.config.names import WRITE_ENGINE
from vmexport.errors import EnvironmentProblem, OutOfMemory, UsageError
from vmexport.native.trust import require_trusted_engine
from vmexport.opening import check_readable
from vmexport.runtime.record import refuse_failed
from vmexport.runtime.runner import Array, Runner
from vmexport.runtime.tensorrt.acceptance import check_gpu, check_version, remarks
from vmexport.runtime.tensorrt.cudart import Cuda
from vmexport.runtime.tensorrt.device import find_gpu
from vmexport.runtime.tensorrt.engine import LESS_MEMORY, load_engine
from vmexport.runtime.tensorrt.features import TensorRT
from vmexport.runtime.tensorrt.library import find_tensorrt
from vmexport.runtime.tensorrt.memory import Resources
from vmexport.runtime.tensorrt.plugin import ensure_plugin
from vmexport.runtime.tensorrt.session import EngineSession
from vmexport.runtime.tensorrt.sidecar import EngineInfo, read_engine, sidecar_path

REBUILD_COMMAND = "vmexport trt MODEL"


class EngineRunner(Runner):
    """Runs an engine that `vmexport trt` built; needs cuda-python and TensorRT, not torch.

    An engine is code. One that another user could have written is refused, and so is, before anything is
    loaded, one that is damaged or was built for another TensorRT or GPU.

    Args:
        path: the engine; its sidecar `<path>.json` lies beside it.
        cuda_graph: launch each call as a CUDA graph, captured at the first call of each batch.
        allow_failed: also run an engine that failed its parity check (to find the fault).

    Attributes:
        path: as given.
        remarks: what may slow the open engine down, such as a CUDA graph that could not be captured.

    Raises (on enter):
        InputError: no such file, no sidecar, a damaged one, or an engine that is not the sidecar's.
        EnvironmentProblem: not to be trusted; no GPU, TensorRT or plugin; built for others than these.
        ParityError: the engine is marked as failed, and `allow_failed` is not set.
        OutOfMemory: the GPU's memory does not suffice.

    Raises (on a call):
        OutOfMemory: the GPU's memory does not suffice.
        BuildError, EnvironmentProblem: TensorRT or the GPU failed.
    """

    rebuild = REBUILD_COMMAND
    concurrent = False  # one set of buffers

    def __init__(self, path: Path | str, *, cuda_graph: bool = False, allow_failed: bool = False) -> None:
        super().__init__(str(path))
        self.path = Path(path)
        self._cuda_graph = cuda_graph
        self._allow_failed = allow_failed
        self._backend = "TensorRT"
        self._remarks: tuple[str, ...] = ()
        self._resources: Resources | None = None
        self._session: EngineSession | None = None
        self._free_before = 0

    @property
    def description(self) -> str:
        """Library and version, GPU, what computes the scans, and whether CUDA graphs launch them."""
        graph = self._cuda_graph and not (self._session and self._session.graph_problem)
        return f"{self._backend}, CUDA graph" if graph else self._backend

    @property
    def remarks(self) -> tuple[str, ...]:
        """What may slow the open engine down."""
        problem = self._session.graph_problem if self._session else ""
        return (*self._remarks, *([f"no CUDA graph: {problem}"] if problem else []))

    def device_memory_bytes(self) -> int:
        """Free memory of the GPU that opening the engine took; that of other programs counts as well."""
        if self._resources is None:
            return 0
        return max(0, self._free_before - self._resources.cuda.memory()[0])

    def device_seconds(self, calls: int) -> list[float]:
        """Run again on the clips of the last call, without copies: seconds from launch to the GPU's end.

        Raises:
            UsageError: nothing was run yet, or the runner is not open.
        """
        if self._session is None or not self._session.batch:
            raise UsageError(f"{self.source} has run nothing that could be timed", "", "run some clips first")
        return [self._session.rerun() for _ in range(calls)]

    def _open(self) -> ModelInfo:
        check_readable(self.path, WRITE_ENGINE)
        require_trusted_engine(self.path, sidecar_path(self.path))
        info, content = read_engine(self.path)
        if not self._allow_failed:
            refuse_failed(info.model, self.source, f"build it again: {REBUILD_COMMAND} -o {self.source}")
        trt = find_tensorrt(info.flavour)
        check_version(info, trt, self.source)
        cuda = Cuda()
        gpu = find_gpu(cuda)
        check_gpu(info, gpu, self.source)
        if info.plugin is not None and not info.plugin.embedded:
            ensure_plugin(trt, self.source, gpu.compute_capability, info.plugin.namespace)
        self._remarks = remarks(info, gpu)
        how = "function body" if info.plugin is None else "plugin"
        self._backend = f"{trt.name} on {gpu.name}, {how}"
        self._resources = Resources(cuda)
        try:
            self._load(trt, info, content)
        except BaseException as error:
            self._close()
            _forget_locals(error)
            raise
        return info.model

    def _load(self, trt: TensorRT, info: EngineInfo, content: bytes) -> None:
        """Take the GPU's memory."""
        assert self._resources is not None
        try:
            self._free_before = self._resources.cuda.memory()[0]
            loaded = load_engine(trt, content, info, self.source)
            self._session = EngineSession(loaded, info.model, self._resources, self._cuda_graph, self.source)
        except OutOfMemory as error:
            what = f"not enough GPU memory to open {self.source}"
            raise OutOfMemory(what, error.why, LESS_MEMORY) from error

    def _close(self) -> None:
        resources, self._resources, self._session = self._resources, None, None
        if resources is not None:
            resources.close()

    def _run(self, clips: Array) -> Array:
        assert self._session is not None
        try:
            return self._session.run(clips)
        except EnvironmentProblem as error:
            raise EnvironmentProblem(f"the GPU failed to run {self.source}", error.why, error.fix) from error


def _forget_locals(error: BaseException) -> None:
    """Drop what the frames of a traceback hold, or an error that somebody keeps would keep the engine too."""
    chain: BaseException | None = error
    while chain is not None:
        traceback.clear_frames(chain.__traceback__)
        chain = chain.__cause__ or chain.__context__
