"""How each version of TensorRT is asked for what it can do: every call that differs between them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vmexport.errors import BuildError, EnvironmentProblem, UsageError
from vmexport.runtime.tensorrt.features import PRECISION_FLAGS, RTX, TENSORRT, TensorRT

NO_COMPATIBILITY, AMPERE_PLUS, SAME_CAPABILITY = "none", "ampere_plus", "same_compute_capability"
HARDWARE_LEVELS = (NO_COMPATIBILITY, AMPERE_PLUS, SAME_CAPABILITY)
"""Which other GPUs an engine serves; TensorRT's names in lower case."""

HIGHEST_OPT_LEVEL = 5


def network_flags(trt: TensorRT) -> int:
    """The argument of `create_network`; the enum's values moved between versions, so none is written out."""
    flags = trt.module.NetworkDefinitionCreationFlag
    if trt.features.precision_flags:
        return 1 << int(flags.EXPLICIT_BATCH)
    if trt.flavour == TENSORRT and trt.features.major >= 11:
        return 0
    return 1 << int(flags.STRONGLY_TYPED)


def check_precision(trt: TensorRT, precision: str) -> None:
    """Refuse a precision that this version cannot build.

    Raises:
        UsageError: with those that it can.
    """
    if precision not in trt.features.precisions:
        raise UsageError(
            f"{trt.name} builds no {precision} engine",
            f"expected one of {', '.join(trt.features.precisions)}",
            "use --fp16",
        )


def set_precision(trt: TensorRT, config: Any, precision: str) -> None:
    """Set what the builder must be told of the precision.

    Where networks are strongly typed that is next to nothing. But float32 is to mean float32, in the islands
    of half precision too: unless told otherwise, TensorRT multiplies in TF32, with 10 bits, from Ampere on.

    Raises:
        UsageError: this version has no such precision.
    """
    check_precision(trt, precision)
    tf32 = getattr(trt.module.BuilderFlag, "TF32", None)
    if tf32 is not None:
        config.clear_flag(tf32)
    if trt.features.precision_flags:
        for flag in PRECISION_FLAGS[precision]:
            config.set_flag(getattr(trt.module.BuilderFlag, flag))


def set_hardware_compatibility(trt: TensorRT, config: Any, level: str) -> None:
    """Ask for an engine that other GPUs can run too.

    Args:
        trt: the library.
        config: an `IBuilderConfig`.
        level: one of `HARDWARE_LEVELS`.

    Raises:
        UsageError: this version has no such level.
    """
    if level == NO_COMPATIBILITY:
        return
    known = getattr(trt.module.HardwareCompatibilityLevel, level.upper(), None)
    if trt.features.named_capabilities or known is None:
        raise UsageError(
            f"{trt.name} has no hardware compatibility {level!r}",
            "an engine of TensorRT-RTX names its compute capabilities instead"
            if trt.features.named_capabilities
            else f"got TensorRT {'.'.join(map(str, trt.features.numbers))}",
            "leave the option out, or build on the other GPU",
        )
    config.hardware_compatibility_level = known


def set_version_compatible(trt: TensorRT, config: Any) -> None:
    """Ask for an engine that newer versions of TensorRT can run too.

    Raises:
        UsageError: this library has no such engines.
    """
    if trt.features.flavour == RTX:
        raise UsageError(
            f"{trt.name} builds no version-compatible engines",
            "an engine of TensorRT-RTX belongs to the version that built it",
            "leave --version-compatible out, and build again after an update",
        )
    config.set_flag(trt.module.BuilderFlag.VERSION_COMPATIBLE)


def embed_plugin(config: Any, library: Path) -> None:
    """Put a plugin library into a version-compatible engine."""
    config.plugins_to_serialize = [str(library)]


def set_compute_capabilities(trt: TensorRT, config: Any, capabilities: Sequence[str]) -> None:
    """Build for named kinds of GPU, such as `("8.6", "12.0")`, on any machine.

    Raises:
        UsageError: the library builds only for the GPU that is here, or does not know one of them.
    """
    if not trt.features.named_capabilities:
        raise UsageError(
            f"{trt.name} builds for the GPU of this machine only",
            f"compute capabilities {', '.join(capabilities)} were named",
            "leave --compute-capability out, or build with --runtime rtx",
        )
    known = trt.module.ComputeCapability.__members__
    config.num_compute_capabilities = len(capabilities)
    for index, capability in enumerate(capabilities):
        name = "SM" + capability.replace(".", "")
        if name not in known:
            served = [f"{word[2:-1]}.{word[-1]}" for word in known if word.startswith("SM")]
            raise UsageError(
                f"{trt.name} does not build for compute capability {capability}",
                f"expected some of {', '.join(served)}",
                f"for example --compute-capability {served[-1] if served else '8.9'}",
            )
        config.set_compute_capability(known[name], index)


def load_plugin_library(trt: TensorRT, path: Path, messages: Sequence[str] = ()) -> None:
    """Let TensorRT load a plugin library (trusted by the caller) that exports `getCreators`.

    Args:
        trt: the library.
        path: `libvmexport_trt.so`.
        messages: TensorRT's own error messages, a list that fills while it loads.

    Raises:
        EnvironmentProblem: TensorRT cannot load it.
    """
    try:
        handle = trt.module.get_plugin_registry().load_library(str(path))
    except Exception as error:  # the binding raises RuntimeError, older ones others
        handle, messages = None, [*messages, str(error)]
    if handle is None:
        raise EnvironmentProblem(
            f"{trt.name} cannot load {path}",
            "; ".join(messages) or "the library was refused without a reason",
            "vmexport plugin build --cuda on --force   (a plugin belongs to one major version of TensorRT)",
        )


def plugin_attributes(trt: TensorRT, name: str, version: str, namespace: str) -> tuple[str, ...] | None:
    """The attributes that a registered plugin takes, of whatever library; None where nobody registered it."""
    registry = trt.module.get_plugin_registry()
    ask = getattr(registry, "get_creator", None) or registry.get_plugin_creator
    creator = ask(name, version, namespace)
    if creator is None:
        return None
    return tuple(str(field.name) for field in creator.field_names)


def allow_host_code(trt: TensorRT, runtime: Any) -> None:
    """Let a runtime load a version-compatible engine: its lean runtime and plugins are code in it."""
    if trt.flavour == TENSORRT:
        runtime.engine_host_code_allowed = True


def activation_bytes(engine: Any) -> int:
    """Device memory that a context of this engine needs for activations, at the profile's largest shapes."""
    size = getattr(engine, "device_memory_size_v2", None)  # 10.1 on
    return int(engine.device_memory_size if size is None else size)


def new_context(trt: TensorRT, engine: Any, address: int, size: int, cuda_graph: bool) -> Any:
    """A context whose activations lie in memory of the caller, so that contexts can share it.

    Args:
        trt: the library.
        engine: an `ICudaEngine`.
        address: device memory, aligned to 256 bytes.
        size: its size; at least `activation_bytes(engine)`.
        cuda_graph: let the library run by CUDA graphs of its own, where it has them.

    Raises:
        BuildError: TensorRT gave none; its messages hold the reason.
    """
    strategy = getattr(trt.module, "ExecutionContextAllocationStrategy", None)
    if trt.features.own_graphs:
        assert strategy is not None
        settings = engine.create_runtime_config()
        settings.set_execution_context_allocation_strategy(strategy.USER_MANAGED)
        graphs = trt.module.CudaGraphStrategy
        settings.cuda_graph_strategy = graphs.WHOLE_GRAPH_CAPTURE if cuda_graph else graphs.DISABLED
        context = engine.create_execution_context(settings)
    elif strategy is not None:  # 10.0 on
        context = engine.create_execution_context(strategy.USER_MANAGED)
    else:
        context = engine.create_execution_context_without_device_memory()
    if context is None:
        raise BuildError(f"{trt.name} could not make an execution context")
    if hasattr(context, "set_device_memory"):  # 10.1 on
        context.set_device_memory(address, size)
    else:
        context.device_memory = address
    return context


def parser_error(error: Any, nodes: Sequence[str]) -> str:
    """What an ONNX parser complains about, with the node it means.

    Args:
        error: an `IParserError`.
        nodes: names of the graph's nodes; 8.6 tells only the position.
    """
    if hasattr(error, "node_name"):  # 10.0 on
        name, operator = error.node_name(), error.node_operator()
    else:
        position, operator = int(error.node()), ""
        name = nodes[position] if 0 <= position < len(nodes) else ""
    kind = f" ({operator})" if operator else ""
    where = f"node {name or 'without a name'}{kind}: " if name or operator else ""
    return where + " ".join(str(error.desc()).split())
