"""`prepare`: the graph that TensorRT gets, from a network or from an exported file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from vmexport.config import BatchProfile, ModelInfo
from vmexport.config.choices import PRECISIONS
from vmexport.config.names import WRITE_ONNX, is_onnx
from vmexport.config.progress import Say
from vmexport.errors import InputError, UsageError
from vmexport.export.attach import ONE_LEVEL, TWO_LEVEL, attach_functions
from vmexport.export.graph import operator_nodes
from vmexport.export.metadata import load_onnx, read_metadata, write_info
from vmexport.export.verify import verify_model
from vmexport.ops.schema import (
    CAUSAL_CONV1D,
    DOMAIN,
    OPSET_VERSION,
    PLUGIN_NAMESPACE,
    PLUGIN_NAMESPACE_ATTRIBUTE,
    SELECTIVE_SCAN,
)
from vmexport.runtime.record import refuse_failed

if TYPE_CHECKING:
    from vmexport.model import VideoMamba
    from vmexport.model.freeze import FrozenVideoMamba

PLUGIN = "plugin"
FORMS = (PLUGIN, ONE_LEVEL, TWO_LEVEL)
"""How the scan is written: nodes that a plugin serves, or with a function body of standard operators."""


@dataclass(frozen=True)
class Prepared:
    """A graph ready for a parser, and what it has to agree with.

    Attributes:
        model: the graph; precision is a property of its types, metadata as in an exported file.
        info: what the graph says of itself, with the profile and the precision asked for.
        reference: the float32 network, for `vmexport.runtime.torch_runner.TorchRunner`; None where a file's
            was not asked for.
        source: name of the model in messages.
    """

    model: onnx.ModelProto
    info: ModelInfo
    reference: VideoMamba | FrozenVideoMamba | None
    source: str


def prepare(
    source: VideoMamba | Path | str,
    *,
    precision: str | None = None,
    profile: BatchProfile | None = None,
    form: str = PLUGIN,
    reference: bool = True,
    progress: Say | None = None,
) -> Prepared:
    """Bring a network or an exported file into the form, precision and batch profile that an engine needs.

    An exported file whose precision and profile already fit keeps its graph, and only the function bodies
    change, and needs no torch without a reference; otherwise the network is rebuilt from its weights and
    traced again.

    Args:
        source: a `VideoMamba`, an `.onnx` file of ours, a checkpoint or a preset's name.
        precision: one of `PRECISIONS`; None keeps the file's (float32 for a network).
        profile: batches to serve; None keeps the file's (1 for a network).
        form: one of `FORMS`.
        reference: rebuild the network of an exported file, to compare with.
        progress: told a few words at the start of each step.

    Raises:
        UsageError: an unknown precision or form, or more precision than the file has.
        InputError: a file that is missing, damaged, from elsewhere or newer than this version, or weights
            that are not finite.
        ParityError: the file is marked: its own export failed the parity check.
        BuildError: the exporter failed.
    """
    if form not in FORMS:
        raise UsageError(f"unknown form {form!r}", f"expected one of {', '.join(FORMS)}")
    if precision not in (None, *PRECISIONS):
        raise UsageError(f"unknown precision {precision!r}", f"expected one of {', '.join(PRECISIONS)}")
    say = progress or (lambda _: None)
    if not is_onnx(source):
        from vmexport.export.refusals import network_and_name, refuse_damaged
        from vmexport.export.trace import trace

        network, name = network_and_name(source)
        refuse_damaged(network, name)
        wanted = replace(network.info, precision=precision or "fp32", profile=profile or BatchProfile())
        say("tracing the network")
        return _finish(trace(network, wanted), wanted, network, name, form)
    path = Path(source)
    say(f"reading {path}")
    graph = load_onnx(path)
    info = _checked(graph, str(path))
    wanted = replace(info, precision=precision or info.precision, profile=profile or info.profile)
    _refuse_widening(info, wanted, str(path))
    fits = wanted.precision == info.precision and _serves(info.profile, wanted.profile)
    if fits and not reference:
        return _finish(graph, wanted, None, str(path), form)
    from vmexport.export.trace import trace
    from vmexport.export.weights import rebuild_frozen

    frozen = rebuild_frozen(graph, info, str(path))
    if not fits:
        say("tracing the network again")
        graph = trace(frozen, wanted)
    return _finish(graph, wanted, frozen, str(path), form)


def _finish(
    graph: onnx.ModelProto,
    info: ModelInfo,
    reference: VideoMamba | FrozenVideoMamba | None,
    source: str,
    form: str,
) -> Prepared:
    """Exchange the function bodies, write what the graph is, and check its types."""
    del graph.functions[:]
    name_plugins(graph, form == PLUGIN)
    if form != PLUGIN:
        attach_functions(graph, form)
    write_info(graph, info)
    verify_model(graph, info.architecture, info.precision)
    return Prepared(graph, info, reference, source)


def name_plugins(graph: onnx.ModelProto, wanted: bool) -> None:
    """Have our nodes say where TensorRT finds their plugins; files of before these had a namespace do not.

    Args:
        graph: changed in place.
        wanted: False has them say nothing: parsers prefer a plugin that is named to a function body.
    """
    for node in (*operator_nodes(graph.graph, SELECTIVE_SCAN), *operator_nodes(graph.graph, CAUSAL_CONV1D)):
        found = [attribute for attribute in node.attribute if attribute.name == PLUGIN_NAMESPACE_ATTRIBUTE]
        if wanted and not found:
            found = [node.attribute.add(name=PLUGIN_NAMESPACE_ATTRIBUTE, type=onnx.AttributeProto.STRING)]
        for attribute in found:
            attribute.s = PLUGIN_NAMESPACE.encode()
            if not wanted:
                node.attribute.remove(attribute)


def _checked(graph: onnx.ModelProto, source: str) -> ModelInfo:
    """The file's own description, if this version can use the file.

    Raises:
        InputError: not one of ours, or of a newer operator version.
        ParityError: its export failed.
    """
    versions = [entry.version for entry in graph.opset_import if entry.domain == DOMAIN]
    if not versions or not operator_nodes(graph.graph, SELECTIVE_SCAN):
        raise InputError(
            f"{source} holds no {DOMAIN}::{SELECTIVE_SCAN}",
            "an engine is built from the operator's nodes; this file has none of them",
            f"export the model, without --portable: {WRITE_ONNX}",
        )
    if max(versions) > OPSET_VERSION:
        raise InputError(
            f"{source} is newer than this vmexport",
            f"it uses version {max(versions)} of the operators, known are up to {OPSET_VERSION}",
            "pip install --upgrade vmexport   (or export the model again with this version)",
        )
    info = read_metadata(graph, source)
    refuse_failed(info, source)
    return info


def _refuse_widening(info: ModelInfo, wanted: ModelInfo, source: str) -> None:
    """A half-precision file cannot give back what rounding took from its weights."""
    if info.precision not in ("fp32", wanted.precision):
        raise UsageError(
            f"{source} cannot become {wanted.precision}",
            f"its weights were rounded to {info.precision} when it was exported",
            f"start from the checkpoint: vmexport trt model.safetensors --{wanted.precision}   "
            f"(or build what the file is: --{info.precision})",
        )


def _serves(have: BatchProfile, want: BatchProfile) -> bool:
    """Whether a graph made for one profile serves another, and is no more general than need be."""
    return want.minimum in have and want.maximum in have and have.dynamic == want.dynamic
