"""What can be refused before minutes of work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vmexport.config.names import WRITE_ONNX, is_onnx
from vmexport.errors import InputError, UsageError
from vmexport.export.trt.settings import EngineRequest, check_engine_name
from vmexport.export.trt.target import Target
from vmexport.files import require_writable
from vmexport.opening import check_readable
from vmexport.runtime.session import import_onnxruntime
from vmexport.runtime.tensorrt.sidecar import sidecar_path

if TYPE_CHECKING:
    from vmexport.model import VideoMamba


def refuse_early(model: VideoMamba | Path | str, path: Path, settings: EngineRequest) -> None:
    """Refuse a model or a place that cannot be used.

    Raises:
        UsageError: a name that is no engine's.
        InputError: no such ONNX file, a place that cannot be written, or a foreign file that lies there.
    """
    if is_onnx(model):
        check_readable(Path(model), WRITE_ONNX)
    check_engine_name(path)
    require_writable(path)
    if path.exists() and not sidecar_path(path).exists() and not settings.force:
        raise InputError(
            f"will not overwrite {path}",
            "it has no sidecar, so it is not known to be an engine of vmexport",
            f"choose another name with -o, or overwrite it: vmexport trt -o {path} --force",
        )


def refuse_on_machine(settings: EngineRequest, target: Target) -> None:
    """Refuse what this machine cannot do.

    Raises:
        UsageError: layers of an engine shall be timed that cannot run here.
        EnvironmentProblem: the comparison needs onnxruntime.
    """
    if target.runs_here:
        return
    if settings.profile_layers:
        raise UsageError(
            "the layers of this engine cannot be timed here",
            target.why_not_here,
            "leave --profile-layers out, and use it on the machine that runs the engine",
        )
    if settings.check and settings.precision != "bf16":
        import_onnxruntime()
