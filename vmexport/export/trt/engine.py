"""`build_engine`: from a network or an ONNX file to an engine with its sidecar, compared with PyTorch."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vmexport.config import ModelInfo
from vmexport.config.names import ENGINE_FILE
from vmexport.config.progress import Progress
from vmexport.export.attach import TWO_LEVEL
from vmexport.export.prepare import PLUGIN, Prepared, prepare
from vmexport.export.trt.build import build_serialized
from vmexport.export.trt.config import new_builder, new_config, set_workspace
from vmexport.export.trt.layers import LayerTime, layer_times
from vmexport.export.trt.network import add_profile, check_network, parse_network
from vmexport.export.trt.proof import FINGERPRINT_ENTRY, Proof, fingerprint, prove, up_to_date
from vmexport.export.trt.refusals import refuse_early, refuse_on_machine
from vmexport.export.trt.report import EngineReport, describe
from vmexport.export.trt.settings import EngineRequest
from vmexport.export.trt.target import Target, find_target, workspace_bytes
from vmexport.export.trt.timing_cache import TimingCache, attach_cache, cache_file
from vmexport.files import atomic_write
from vmexport.ops.schema import PLUGIN_NAMESPACE
from vmexport.package import VERSION
from vmexport.runtime.record import PARITY_ENTRY
from vmexport.runtime.tensorrt.features import RTX, TensorRT
from vmexport.runtime.tensorrt.library import find_tensorrt
from vmexport.runtime.tensorrt.plugin import ensure_plugin, wants_plugin
from vmexport.runtime.tensorrt.rtx_name import provide_short_name
from vmexport.runtime.tensorrt.sidecar import EngineInfo, PluginRecord, write_sidecar
from vmexport.runtime.tensorrt.versions import set_precision

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from vmexport.export.trt.settings import EngineOptions
    from vmexport.model import VideoMamba


@dataclass
class _Job:
    """A build under way.

    Attributes:
        path: the engine to write.
        settings: what was asked for.
        say: told the progress.
        trt: the library.
        target: the GPUs.
        plugin: whether the plugin computes the scans; otherwise function bodies do.
        builder: TensorRT's, with the settings in `config`; both are dropped before the engine is run.
        cache: the timing cache.
        workspace: bound of a kernel's scratch space, bytes.
        build_seconds: time that the builder took.
    """

    path: Path
    settings: EngineRequest
    say: Progress
    trt: TensorRT
    target: Target
    plugin: bool
    builder: Any
    config: Any
    cache: TimingCache = field(default_factory=TimingCache)
    workspace: int | None = None
    build_seconds: float = 0.0

    def report(self, info: EngineInfo, proof: Proof, **values: Any) -> EngineReport:
        """What the caller is told."""
        known = {"parity": proof.report, "notes": tuple(self.cache.notes), "layers": (), "up_to_date": False}
        return EngineReport(
            path=str(self.path),
            runtime=self.trt.name,
            workspace_bytes=self.workspace,
            timing_cache=None if self.cache.path is None else str(self.cache.path),
            timing_cache_reused=self.cache.reused,
            build_seconds=self.build_seconds,
            **{**describe(info), **known, **values},
        )


def build_engine(
    model: VideoMamba | Path | str,
    path: Path | str = ENGINE_FILE,
    *,
    request: EngineRequest | None = None,
    progress: Progress | None = None,
    **options: Unpack[EngineOptions],
) -> EngineReport:
    """Build an engine of TensorRT (with the plugin) or of TensorRT-RTX (with it, or the two-level body).

    The engine is compared with PyTorch at minimum, optimum, maximum and one batch between before it replaces
    an older one; where no GPU here can run it, the file that it was built from is compared in ONNX Runtime,
    and the sidecar says so. An engine that was made from the same graph and settings is kept.

    Args:
        model: a `VideoMamba`, an `.onnx` file of vmexport, a checkpoint or a preset's name (random weights).
        path: the engine; an engine of vmexport there is replaced, another file only with `force`.
        request: how, made beforehand; None takes the defaults.
        progress: told what is being done, and how many of how many steps are (0 of 0: a stage begins).
        **options: fields of `EngineRequest` that differ, such as `precision="fp16"`.

    Returns:
        what was built.

    Raises:
        UsageError: a setting that is out of range, or that this TensorRT does not have.
        InputError: the model or a place to write cannot be used.
        EnvironmentProblem: no TensorRT, GPU, driver or plugin; a plugin of another TensorRT, or one that
            another user could have written; a cache folder that cannot be used.
        BuildError: TensorRT does not parse or build the network, or the disk is full.
        ParityError: the engine is written and marked as failed in its sidecar; runners refuse it.
        OutOfMemory: the GPU's memory does not suffice.
        KeyboardInterrupt: Ctrl-C; nothing is left behind, the timing cache is kept.
    """
    started = time.perf_counter()
    settings = replace(request or EngineRequest(), **options)
    refuse_early(model, Path(path), settings)
    job = _begin(Path(path), settings, progress or (lambda *_: None))
    prepared = prepare(
        model,
        precision=settings.precision,
        profile=settings.profile,
        form=PLUGIN if job.plugin else TWO_LEVEL,
        reference=settings.check,
        progress=lambda step: job.say(step, 0, 0),
    )
    digest = fingerprint(prepared, job.trt, job.target, settings)
    present = None if settings.force else up_to_date(job.path, digest, settings, job.target)
    if present is not None:
        seconds = time.perf_counter() - started
        return job.report(present, Proof(), layers=_layers(job), up_to_date=True, seconds=seconds)
    content = _build(job, prepared)
    info, proof = _write(job, prepared, content, digest)
    if proof.report is not None:
        proof.report.require()
    return job.report(info, proof, layers=_layers(job), seconds=time.perf_counter() - started)


def _begin(path: Path, settings: EngineRequest, say: Progress) -> _Job:
    """Find TensorRT, GPU, plugin and timing cache; refuse every setting that they do not have."""
    trt = find_tensorrt(settings.runtime)
    target = find_target(trt, settings)
    refuse_on_machine(settings, target)
    plugin = None
    uses_plugin = wants_plugin(trt, settings.plugin)
    if uses_plugin:
        gpu = target.gpu if target.runs_here else None
        plugin = ensure_plugin(trt, str(path), gpu.compute_capability if gpu else None)
        if trt.flavour == RTX:
            provide_short_name()
    builder = new_builder(trt)
    config = new_config(trt, builder, settings, target, plugin)
    job = _Job(path, settings, say, trt, target, uses_plugin, builder, config)
    if trt.features.timing_cache and target.gpu is not None:
        job.cache = attach_cache(trt, config, cache_file(settings.timing_cache, trt, target.gpu))
    return job


def _build(job: _Job, prepared: Prepared) -> memoryview:
    """Parse and build; the builder and all it holds on the GPU go with this function."""
    trt, builder, config, job.builder, job.config = job.trt, job.builder, job.config, None, None
    set_precision(trt, config, prepared.info.precision)
    job.workspace = workspace_bytes(job.settings, job.target, prepared.model.ByteSize())
    set_workspace(trt, config, job.workspace)
    job.say(f"{trt.name} reads the network", 0, 0)
    network = parse_network(trt, builder, prepared.model, prepared.source)
    check_network(trt, network, prepared.info, prepared.source)
    add_profile(builder, network, config, prepared.info.profile)
    job.say(f"{trt.name} builds for {', '.join(job.target.capabilities)}: this may take minutes", 0, 0)
    started = time.perf_counter()
    try:
        return build_serialized(trt, builder, network, config, job.say)
    finally:
        job.build_seconds = time.perf_counter() - started
        job.cache.save(config)


def _write(job: _Job, prepared: Prepared, content: memoryview, digest: str) -> tuple[EngineInfo, Proof]:
    """Prove the engine in a private folder beside its place, then put it there with its record."""
    gpu = job.target.gpu
    info = EngineInfo(
        model=_described(prepared.info, Proof(), digest),
        flavour=job.trt.flavour,
        version=job.trt.version,
        compute_capabilities=job.target.capabilities,
        gpu=gpu.name if gpu and job.target.runs_here else "",
        cuda=gpu.cuda_driver if gpu else "",
        plugin=_plugin_record(job),
        hardware_compatibility=job.settings.hardware_compatibility,
        version_compatible=job.settings.version_compatible,
    ).of(content)
    proof = Proof(reason="the comparison was not asked for")
    with atomic_write(job.path) as temporary:
        temporary.write_bytes(content)
        if job.settings.check:
            write_sidecar(temporary, info)
            proof = prove(prepared, temporary, job.target, job.say).named(job.path)
    info = replace(info, model=_described(prepared.info, proof, digest))
    write_sidecar(job.path, info)
    return info, proof


def _described(model: ModelInfo, proof: Proof, digest: str) -> ModelInfo:
    """The model as the sidecar tells it."""
    return replace(model, extra={**model.extra, PARITY_ENTRY: proof.record(), FINGERPRINT_ENTRY: digest})


def _plugin_record(job: _Job) -> PluginRecord | None:
    if not job.plugin:
        return None
    return PluginRecord(VERSION, job.settings.embed_plugin, PLUGIN_NAMESPACE)


def _layers(job: _Job) -> tuple[LayerTime, ...]:
    """The time of every layer, where it was asked for."""
    if not job.settings.profile_layers:
        return ()
    job.builder = job.config = None
    job.say("timing the layers", 0, 0)
    return layer_times(job.trt, job.path)
