"""From a network to a tidy ONNX graph, by PyTorch's exporter, called quietly and explicitly."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence

import onnx
import torch

from vmexport.config import Architecture, BatchProfile, ModelInfo
from vmexport.errors import BuildError, EnvironmentProblem, VmexportError
from vmexport.export.graph import residual_streams
from vmexport.export.request import DEFAULT_OPSET
from vmexport.export.tidy import tidy
from vmexport.extras import install
from vmexport.model import VideoMamba, freeze
from vmexport.model.freeze import FrozenVideoMamba, retyped
from vmexport.runtime.runner import INPUT_NAME, OUTPUT_NAME

BATCH_AXIS = "batch"


def trace(
    network: VideoMamba | FrozenVideoMamba, info: ModelInfo, opset: int = DEFAULT_OPSET
) -> onnx.ModelProto:
    """The graph of a network, input `clips` `(B, 3, T, H, W)`, output `logits` `(B, classes)`, both float32.

    Args:
        network: the network, or its float32 inference form.
        info: shape of a clip, precision and batches: one gives a static graph, several a symbolic axis.
        opset: version of the default domain.

    Raises:
        UsageError: an unknown precision.
        BuildError: PyTorch's exporter failed.
        EnvironmentProblem: PyTorch is too old to write custom operators.
    """
    if isinstance(network, VideoMamba):
        frozen = freeze(network, info.precision)
    else:
        frozen = retyped(network, info.precision)
    graph = _traced(frozen, info.architecture, info.profile, opset)
    streams = residual_streams(graph.graph)  # so that a bisection finds them
    tidy(graph, {INPUT_NAME: INPUT_NAME, OUTPUT_NAME: OUTPUT_NAME, **streams})
    return graph


def _traced(
    frozen: FrozenVideoMamba, architecture: Architecture, profile: BatchProfile, opset: int
) -> onnx.ModelProto:
    """Run PyTorch's exporter on a frozen network."""
    # A batch of one would be specialised away, so a symbolic axis is traced with at least two.
    batch = max(2, profile.optimum) if profile.dynamic else profile.optimum
    clips = torch.zeros(batch, *architecture.clip_shape)
    return run_exporter(
        frozen, (clips,), opset=opset, inputs=[INPUT_NAME], outputs=[OUTPUT_NAME],
        dynamic_shapes=_dynamic_shapes(profile),
    )  # fmt: skip


def run_exporter(
    module: torch.nn.Module,
    args: tuple[torch.Tensor, ...],
    *,
    opset: int,
    inputs: Sequence[str],
    outputs: Sequence[str] | None,
    dynamic_shapes: tuple[object, ...] | None,
) -> onnx.ModelProto:
    """PyTorch's exporter, called quietly and explicitly.

    Args:
        module: what is traced.
        args: its positional arguments.
        opset: version of the default domain.
        inputs: names of the graph's inputs.
        outputs: names of its outputs; None leaves them to the exporter.
        dynamic_shapes: symbolic axes of each argument, or None where every size is fixed.

    Raises:
        VmexportError: what one of our operators said of a call that no node expresses.
        BuildError: the exporter failed.
        EnvironmentProblem: PyTorch is too old to write custom operators.
    """
    if not hasattr(torch.onnx, "ops"):
        raise EnvironmentProblem(
            f"PyTorch {torch.__version__} cannot export custom operators",
            "torch.onnx.ops came with PyTorch 2.8",
            install("torch", "--upgrade"),
        )
    try:
        with _quiet():
            program = torch.onnx.export(
                module,
                args,
                dynamo=True,
                opset_version=opset,
                input_names=list(inputs),
                output_names=None if outputs is None else list(outputs),
                dynamic_shapes=dynamic_shapes,
                optimize=True,
                verbose=False,
            )
        assert program is not None  # None only where a file name was given
        return program.model_proto
    except ModuleNotFoundError:
        raise
    except Exception as error:  # the exporter's own errors share no class
        ours = next((cause for cause in _causes(error) if isinstance(cause, VmexportError)), None)
        if ours is not None:  # the exporter wraps what our operators raise while it traces
            raise ours from error
        raise BuildError(
            "PyTorch could not export the network", _reason(error), "run again with -vv for the traceback"
        ) from error


def _dynamic_shapes(profile: BatchProfile) -> tuple[dict[int, object]] | None:
    """The symbolic axes of the one input, or None where every size is fixed."""
    if not profile.dynamic:
        return None
    return ({0: torch.export.Dim(BATCH_AXIS, min=profile.minimum, max=profile.maximum)},)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's notes on packages that have no part in this export."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, what caused it, what caused that, and so on."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _reason(error: Exception) -> str:
    """The innermost cause's first line; the exporter wraps it in pages of advice."""
    *_, cause = _causes(error)
    text = str(cause).strip()
    return f"{type(cause).__name__}: {text.splitlines()[0]}" if text else type(cause).__name__
