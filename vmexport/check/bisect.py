"""Find the first stage of a network at which two models part ways."""

from __future__ import annotations

from onnx import helper

from vmexport.errors import UsageError
from vmexport.export.graph import EMBEDDING, block_name
from vmexport.export.metadata import load_onnx
from vmexport.runtime.onnx_runner import OnnxRunner
from vmexport.runtime.runner import Array, Runner
from vmexport.runtime.session import open_session
from vmexport.runtime.tolerance import Tolerance, relative_l2
from vmexport.runtime.torch_runner import TorchRunner

HEAD = "head"


def require_blocks(*runners: Runner) -> None:
    """Refuse to search where a side does not show its blocks.

    Raises:
        UsageError: names the side, and what to compare instead.
    """
    for runner in runners:
        if not isinstance(runner, TorchRunner | OnnxRunner):
            raise UsageError(
                f"cannot look for the first block that differs in {runner.source}",
                f"{runner.description} does not show single blocks",
                "compare without --bisect, and bisect the .onnx file that it was built from",
            )


def first_difference(a: Runner, b: Runner, clips: Array, tolerance: Tolerance) -> str:
    """Name the first stage whose residual stream differs.

    Args:
        a: the reference, open.
        b: the other side, open.
        clips: `(B, 3, T, H, W)` float32 on which the logits differ.
        tolerance: its `stream` is the relative L2 error that counts as a difference.

    Returns:
        `embedding`, `block_00` and so on, or `head` where every stream is within the limit.

    Raises:
        UsageError: the two have different numbers of blocks.
    """
    ours, theirs = block_streams(a, clips), block_streams(b, clips)
    if list(ours) != list(theirs):
        raise UsageError(
            "cannot compare block by block",
            f"{a.source} has {len(ours) - 1} blocks, {b.source} {len(theirs) - 1}",
        )
    for name, stream in ours.items():
        if relative_l2(stream, theirs[name]) > tolerance.stream:
            return name
    return HEAD


def block_streams(runner: Runner, clips: Array) -> dict[str, Array]:
    """The residual stream `(B, L, d)` after each stage, by name, in order.

    The last block's is `(B, d)`, the class token's row, where there is a class token.

    Raises:
        UsageError: the runner cannot show its blocks.
    """
    if isinstance(runner, TorchRunner):
        embedding, *blocks = runner.block_outputs(clips)
        return {EMBEDDING: embedding, **{block_name(index): stream for index, stream in enumerate(blocks)}}
    require_blocks(runner)
    assert isinstance(runner, OnnxRunner)
    return _onnx_streams(runner, clips)


def _onnx_streams(runner: OnnxRunner, clips: Array) -> dict[str, Array]:
    """Run a copy of the file's graph in which the residual streams are outputs too."""
    model = load_onnx(runner.path)
    streams = [EMBEDDING, *map(block_name, range(runner.info.architecture.depth))]
    del model.graph.output[:]
    model.graph.output.extend(helper.make_empty_tensor_value_info(value) for value in streams)
    session, _ = open_session(model.SerializeToString(), runner.source, runner.options)
    values = session.run(streams, {model.graph.input[0].name: clips})
    return dict(zip(streams, values, strict=True))
