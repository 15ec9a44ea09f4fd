"""The life of an engine, on a fake GPU with a fake TensorRT: enter, run, graphs, failures, exit, again."""

from __future__ import annotations

import gc
import json
import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engines import RTX_VERSION, VERSIONS, Machine, fake_machine, linear_logits, linear_model, make_engine
from fake_cuda import cudaError_t
from small import noise, small_architecture
from tolerances import LINEAR_ENGINE, assert_close

from vmexport.errors import (
    BuildError,
    EnvironmentProblem,
    ExitCode,
    InputError,
    OutOfMemory,
    ParityError,
    ShapeError,
    UsageError,
    VmexportError,
)
from vmexport.native.plugin_info import PluginBuild
from vmexport.runtime import EngineRunner, open_runner
from vmexport.runtime.record import PARITY_ENTRY
from vmexport.runtime.runner import Array
from vmexport.runtime.tensorrt.sidecar import PluginRecord, sidecar_path, write_sidecar


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model for batches 1 to 6."""
    return linear_model(tmp_path_factory.mktemp("engines") / "model.onnx")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return fake_machine(monkeypatch)


@pytest.fixture
def engine(machine: Machine, onnx_file: Path, tmp_path: Path) -> Path:
    """An engine for the fake machine."""
    make_engine(tmp_path / "model.engine", onnx_file, machine)
    return tmp_path / "model.engine"


def assert_same(logits: Array, clips: Array) -> None:
    assert_close(logits, linear_logits(clips), LINEAR_ENGINE)


def assert_given_back(machine: Machine) -> None:
    """Nothing is held any more."""
    gc.collect()
    assert not machine.trt.engines
    assert machine.cuda.clean


def refused(runner: EngineRunner) -> VmexportError:
    """The error of entering, after which nothing is held."""
    with pytest.raises(VmexportError) as caught, runner:
        pass
    assert caught.value.why
    assert caught.value.fix
    return caught.value


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize(
    ("version", "rtx"), [*((version, False) for version in VERSIONS), (RTX_VERSION, True)]
)
def test_every_version_gives_the_models_logits(
    version: str, rtx: bool, graph: bool, onnx_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = fake_machine(monkeypatch, version, rtx=rtx)
    make_engine(tmp_path / "model.engine", onnx_file, machine)
    runner = open_runner(tmp_path / "model.engine", cuda_graph=graph)
    assert machine.cuda.clean
    for _ in range(2):  # a closed runner may be entered again
        with runner as run:
            assert isinstance(run, EngineRunner)
            for batch in (1, 3, 1, 2, 6, 3):
                clips = noise(small_architecture(), batch, seed=batch)
                logits = run(clips)
                assert logits.shape == (batch, 7)
                assert logits.dtype == np.float32
                assert_same(logits, clips)
            assert run.info.architecture == small_architecture()
            assert f"{'TensorRT-RTX' if rtx else 'TensorRT'} {version} on Fake Orin" in run.description
            assert ("CUDA graph" in run.description) == graph
            assert ("cudaGraphLaunch" in machine.cuda.calls) == (graph and not rtx)
            assert machine.trt.graphs_by_library == (graph and rtx)
            assert run.device_memory_bytes() == machine.cuda.used > 0
            assert not run.remarks
        del run
        assert_given_back(machine)
        assert runner.device_memory_bytes() == 0  # type: ignore[attr-defined]


def test_results_are_the_callers_own(engine: Path) -> None:
    """Not views of a buffer that the next call overwrites and exit gives back."""
    with open_runner(engine) as run:
        first = run(noise(small_architecture(), 2))
        kept = first.copy()
        run(noise(small_architecture(), 2, seed=9))
    np.testing.assert_array_equal(first, kept)


def test_outside_of_with_nothing_is_loaded(engine: Path, machine: Machine) -> None:
    runner = open_runner(engine)
    with pytest.raises(UsageError, match="with open_runner"):
        runner(noise(small_architecture()))
    assert machine.cuda.calls == []


@pytest.mark.parametrize("graph", [False, True])
def test_memory_is_fixed_once_open(graph: bool, engine: Path, machine: Machine) -> None:
    with open_runner(engine, cuda_graph=graph) as run:
        run(noise(small_architecture()))
        before = machine.cuda.used
        run(noise(small_architecture(), 6))
        assert machine.cuda.used == before


def test_few_graphs_are_kept(engine: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmexport.runtime.tensorrt.session.KEPT_GRAPHS", 3)
    with open_runner(engine, cuda_graph=True) as run:
        for batch in (1, 2, 3, 4, 5, 6, 6, 5, 4, 3, 2, 1):
            clips = noise(small_architecture(), batch)
            assert_same(run(clips), clips)
            assert len(machine.cuda.graphs) <= 3
    assert_given_back(machine)


def test_a_batch_outside_the_profile_names_the_build_that_serves_it(engine: Path) -> None:
    with open_runner(engine) as run, pytest.raises(ShapeError, match="vmexport trt MODEL --batch 1:7:7"):
        run(noise(small_architecture(), 7))


@pytest.mark.parametrize(
    "step", ["capture", "cudaStreamBeginCapture", "cudaGraphInstantiate", "cudaStreamEndCapture"]
)
def test_a_graph_that_cannot_be_captured_is_a_remark(
    step: str, engine: Path, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    if step == "capture":
        machine.trt.refuse["capture"] = "a layer must synchronise"
    else:
        machine.cuda.failing[step] = cudaError_t.cudaErrorStreamCaptureUnsupported
    clips = noise(small_architecture(), 2)
    with caplog.at_level(logging.WARNING), open_runner(engine, cuda_graph=True) as run:
        assert isinstance(run, EngineRunner)
        assert_same(run(clips), clips)
        assert "CUDA graph" not in run.description
        assert len(run.remarks) == 1
        assert run.remarks[0].startswith("no CUDA graph: ")
        assert "must synchronise" in run.remarks[0] or "Capture" in run.remarks[0]
        machine.cuda.failing.clear()
        assert_same(run(clips[:1]), clips[:1])
    assert "runs without CUDA graphs" in caplog.text
    del run
    assert_given_back(machine)


@pytest.mark.parametrize(
    ("function", "status", "kind"),
    [
        ("cudaMalloc", cudaError_t.cudaErrorMemoryAllocation, OutOfMemory),
        ("cudaMallocHost", cudaError_t.cudaErrorMemoryAllocation, OutOfMemory),
        ("cudaMemGetInfo", cudaError_t.cudaErrorMemoryAllocation, OutOfMemory),
        ("cudaStreamCreateWithFlags", cudaError_t.cudaErrorLaunchFailure, EnvironmentProblem),
        ("cudaGetDeviceCount", cudaError_t.cudaErrorInsufficientDriver, EnvironmentProblem),
        ("cudaGetDeviceCount", cudaError_t.cudaErrorNoDevice, EnvironmentProblem),
        ("cudaDeviceGetAttribute", cudaError_t.cudaErrorLaunchFailure, EnvironmentProblem),
    ],
)
def test_every_call_that_fails_on_entering(
    function: str, status: cudaError_t, kind: type[VmexportError], engine: Path, machine: Machine
) -> None:
    machine.cuda.failing[function] = status
    error = refused(EngineRunner(engine))
    assert type(error) is kind
    assert status.name in error.why
    assert_given_back(machine)
    machine.cuda.failing.clear()
    with open_runner(engine) as run:
        assert run(noise(small_architecture())).shape == (1, 7)


@pytest.mark.parametrize("free", [20_000, 400_000, 640_000])
def test_a_gpu_that_is_too_small(free: int, engine: Path, machine: Machine) -> None:
    """Weights, then buffers, then activations do not fit."""
    machine.cuda.total = free
    error = refused(EngineRunner(engine))
    assert error.exit_code == ExitCode.OUT_OF_MEMORY
    assert "not enough GPU memory to open" in error.what
    assert "nvidia-smi" in error.fix
    assert_given_back(machine)


@pytest.mark.parametrize(
    ("function", "status"),
    [
        ("cudaMemcpyAsync", cudaError_t.cudaErrorIllegalAddress),
        ("cudaStreamSynchronize", cudaError_t.cudaErrorLaunchFailure),
    ],
)
def test_a_gpu_that_fails_in_a_call(
    function: str, status: cudaError_t, engine: Path, machine: Machine
) -> None:
    """Every later call fails too, those that give memory back included; they must not hide the reason."""
    words = rf"failed to run .*model\.engine\n.*{status.name}"
    clips = noise(small_architecture())
    with open_runner(engine) as run:
        machine.cuda.failing |= dict.fromkeys([function, "cudaFree", "cudaFreeHost"], status)
        with pytest.raises(EnvironmentProblem, match=words):
            run(clips)
    gc.collect()
    assert not machine.trt.engines


@pytest.mark.parametrize(
    ("words", "kind"),
    [("Cuda Runtime (out of memory)", OutOfMemory), ("a plugin failed: expected (S, B, L, D)", BuildError)],
)
def test_a_launch_that_tensorrt_refuses(
    words: str, kind: type[VmexportError], engine: Path, machine: Machine
) -> None:
    with open_runner(engine) as run:
        machine.trt.refuse["enqueue"] = words
        with pytest.raises(kind, match=words.split("(")[0]):
            run(noise(small_architecture()))
        machine.trt.refuse.clear()
        clips = noise(small_architecture())
        assert_same(run(clips), clips)


@pytest.mark.parametrize(
    ("words", "kind"), [("out of memory", OutOfMemory), ("profile is not set", BuildError)]
)
def test_a_context_that_tensorrt_refuses(
    words: str, kind: type[VmexportError], engine: Path, machine: Machine
) -> None:
    machine.trt.refuse["context"] = words
    error = refused(EngineRunner(engine))
    assert type(error) is kind
    assert words in error.why
    assert_given_back(machine)


def test_an_interruption_while_opening_leaves_nothing(
    engine: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vmexport.runtime.tensorrt.session.new_context", interrupted)
    with pytest.raises(KeyboardInterrupt), open_runner(engine):
        pass
    assert_given_back(machine)


# ---- engines that do not belong here: refused before anything of them is loaded


def test_missing_files(tmp_path: Path, engine: Path) -> None:
    assert "vmexport trt MODEL" in refused(EngineRunner(tmp_path / "none.engine")).fix
    sidecar_path(engine).unlink()
    error = refused(EngineRunner(engine))
    assert error.exit_code == ExitCode.BAD_INPUT
    assert "has no sidecar" in error.what


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content[:-1], "was cut short"),
        (lambda content: content[: len(content) // 2], "was cut short"),
        (lambda content: content + b"\0", "is not the engine that its sidecar describes"),
        (lambda content: content[:-1] + b"\0", "is not the engine that its sidecar describes"),
    ],
)
def test_damaged_engines(change: Any, words: str, engine: Path, machine: Machine) -> None:
    engine.write_bytes(change(engine.read_bytes()))
    error = refused(EngineRunner(engine))
    assert error.exit_code == ExitCode.BAD_INPUT
    assert words in error.what
    assert machine.cuda.calls == []


def test_an_engine_that_everybody_may_write(engine: Path, machine: Machine) -> None:
    engine.chmod(0o666)
    error = refused(EngineRunner(engine))
    assert error.exit_code == ExitCode.ENVIRONMENT
    assert f"chmod o-w {engine}" in error.fix
    assert machine.cuda.calls == []
    engine.chmod(0o644)
    engine.parent.chmod(0o777)
    assert f"chmod o-w {engine.parent}" in refused(EngineRunner(engine)).fix
    engine.parent.chmod(0o1777)  # as /tmp is: only owners may replace files
    with open_runner(engine):
        pass


def test_an_engine_of_another_user(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmexport.native.trust.os.getuid", lambda: 54321)
    if engine.stat().st_uid == 0:
        import os

        os.chown(engine, 12345, -1)
    error = refused(EngineRunner(engine))
    assert f"cp {engine} {sidecar_path(engine)}" in error.fix


@pytest.mark.parametrize(
    ("built", "here", "record", "runs"),
    [
        ("10.3.0", "10.3.0", {}, True),
        ("10.3.0.26", "10.3.0.30", {}, True),
        ("10.3.0", "10.3.1", {}, False),
        ("10.3.0", "10.13.3", {}, False),
        ("10.13.3", "10.3.0", {"version_compatible": True}, False),
        ("10.3.0", "10.13.3", {"version_compatible": True}, True),
        ("8.6.1", "10.3.0", {"version_compatible": True}, False),
        ("8.6.1", "10.3.0", {"version_compatible": True, "plugin": PluginRecord("0.1.0", True)}, True),
    ],
)
def test_the_version_of_tensorrt(
    built: str,
    here: str,
    record: dict[str, Any],
    runs: bool,
    onnx_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = fake_machine(monkeypatch, here)
    path = tmp_path / "model.engine"
    compatible = {"version_compatible": record.get("version_compatible", False)}
    embedded = {"embedded": "plugin" in record}
    header = {"version": here if runs else built, **compatible, **embedded}
    make_engine(path, onnx_file, machine, header=header, version=built, **record)
    if runs:
        with open_runner(path) as run:
            assert run(noise(small_architecture())).shape == (1, 7)
        return
    error = refused(EngineRunner(path))
    assert error.exit_code == ExitCode.ENVIRONMENT
    assert f"it needs TensorRT {built}" in error.why
    assert f"here is TensorRT {here}" in error.why
    assert f"vmexport trt MODEL -o {path}" in error.fix
    assert "cudaMalloc" not in machine.cuda.calls


def test_an_engine_of_the_other_flavour(
    engine: Path, onnx_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_machine(monkeypatch, RTX_VERSION, rtx=True)
    error = refused(EngineRunner(engine))
    assert "TensorRT is not installed" in error.what
    assert "vmexport[tensorrt]" in error.fix


@pytest.mark.parametrize(
    ("record", "runs"),
    [
        ({}, False),
        ({"compute_capabilities": ("8.7", "9.0")}, True),
        ({"hardware_compatibility": "ampere_plus"}, True),
        ({"hardware_compatibility": "same_compute_capability"}, False),
    ],
)
def test_another_gpu(
    record: dict[str, Any], runs: bool, onnx_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = fake_machine(monkeypatch, name="Fake H200", capability=(9, 0))
    make_engine(tmp_path / "model.engine", onnx_file, machine, **record)
    runner = EngineRunner(tmp_path / "model.engine")
    if runs:
        with runner:
            assert runner.remarks == (
                "built on Fake Orin, runs on Fake H200: an engine of its own may be faster",
            )
        return
    error = refused(runner)
    assert error.exit_code == ExitCode.ENVIRONMENT
    assert "it needs compute capability 8.7 (Fake Orin), here is 9.0 (Fake H200)" in error.why
    assert "cudaMalloc" not in machine.cuda.calls


def test_a_gpu_before_ampere_is_not_served_by_ampere_plus(
    onnx_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = fake_machine(monkeypatch, name="Fake T4", capability=(7, 5))
    make_engine(tmp_path / "m.engine", onnx_file, machine, hardware_compatibility="ampere_plus")
    assert "8.0 or newer" in refused(EngineRunner(tmp_path / "m.engine")).why


def test_without_a_gpu(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_machine(monkeypatch, count=0)
    assert "no NVIDIA GPU" in refused(EngineRunner(engine)).what


def test_without_cuda_python(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cuda.bindings.runtime", "cuda.cudart"):
        monkeypatch.setitem(sys.modules, name, None)
    error = refused(EngineRunner(engine))
    assert "cuda-python is not installed" in error.what
    assert error.fix.startswith("pip install cuda-python   (Jetson: 'vmexport[jetson6]' on JetPack 6,")


def test_a_plugin_that_is_not_built(engine: Path, onnx_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_machine(monkeypatch, plugin=False)
    error = refused(EngineRunner(engine))
    assert error.exit_code == ExitCode.ENVIRONMENT
    assert "libvmexport_trt.so for TensorRT 10 is not built" in error.why
    assert "vmexport plugin build" in error.fix


def test_a_plugin_that_does_not_load(engine: Path, machine: Machine) -> None:
    machine.trt.libraries = {}
    error = refused(EngineRunner(engine))
    assert "cannot load libvmexport_trt.so" in error.what


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (
            PluginBuild("0.1.0", "8.6.1", "IPluginV2DynamicExt", "sm_87"),
            "it was built for TensorRT 8.6.1, here is",
        ),
        (PluginBuild("0.1.0", "10.3.0", "IPluginV3", "sm_90"), "the GPU has compute capability 8.7"),
    ],
)
def test_a_plugin_for_others(
    build: PluginBuild, words: str, engine: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vmexport.runtime.tensorrt.plugin.read_plugin_build", lambda path: build)
    error = refused(EngineRunner(engine))
    assert error.exit_code == ExitCode.ENVIRONMENT
    assert words in error.why
    assert "vmexport plugin build --cuda on --force" in error.fix
    assert not machine.trt.creators


def test_a_plugin_that_lacks_the_operator(engine: Path, machine: Machine) -> None:
    machine.trt.libraries = dict.fromkeys(machine.trt.libraries, ("Other",))
    error = refused(EngineRunner(engine))
    assert "could not find plugin: SelectiveScan" in error.why
    assert "vmexport plugin build" in error.fix


def test_a_plugin_that_somebody_loaded_serves(engine: Path, machine: Machine) -> None:
    machine.trt.libraries = {}
    machine.trt.register("SelectiveScan", "CausalConv1d")
    with open_runner(engine):
        pass


@pytest.mark.parametrize("attributes", [("delta_softplus",), ()])
def test_another_librarys_plugin_that_answers_to_our_name(
    attributes: tuple[str, ...], engine: Path, machine: Machine
) -> None:
    machine.trt.creators[("vmexport", "SelectiveScan")] = attributes
    error = refused(EngineRunner(engine))
    assert error.exit_code == ExitCode.ENVIRONMENT
    assert error.what == "another library's plugin answers to SelectiveScan"
    assert f"the attributes {', '.join(attributes) or 'none'}, expected directions" in error.why


def test_another_librarys_plugin_of_the_common_name_is_no_harm(engine: Path, machine: Machine) -> None:
    machine.trt.creators[("", "SelectiveScan")] = ("delta_softplus",)
    with open_runner(engine):
        pass


def test_engines_of_before_the_namespace(
    engine: Path, onnx_file: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are served where the sidecar asks for it, and not beside another library of that name."""

    def serve(path: Path) -> None:
        machine.trt.register("SelectiveScan", "CausalConv1d", namespace="")

    monkeypatch.setattr("vmexport.runtime.tensorrt.plugin.serve_old_files", serve)
    with open_runner(engine):
        assert not machine.trt.has("SelectiveScan", namespace="")
    make_engine(engine, onnx_file, machine, plugin=PluginRecord("0.1.0"))
    with open_runner(engine):
        assert machine.trt.has("SelectiveScan", namespace="")
    machine.trt.creators[("", "SelectiveScan")] = ("delta_softplus",)
    assert "another library's plugin" in refused(EngineRunner(engine)).what


def test_an_engine_that_failed_parity(engine: Path, onnx_file: Path, machine: Machine) -> None:
    info = make_engine(engine, onnx_file, machine)
    record = json.dumps({"status": "failed", "reason": "batch 2: cosine 0.1"})
    write_sidecar(engine, replace(info, model=replace(info.model, extra={PARITY_ENTRY: record})))
    error = refused(EngineRunner(engine))
    assert type(error) is ParityError
    assert "batch 2: cosine 0.1" in error.why
    assert "vmexport trt MODEL" in error.fix
    with open_runner(engine, allow_failed=True) as run:
        assert run(noise(small_architecture())).shape == (1, 7)


def test_an_engine_that_tensorrt_refuses(engine: Path, onnx_file: Path, machine: Machine) -> None:
    """Right by its sidecar, and yet not loadable: TensorRT's own words come along."""
    make_engine(engine, onnx_file, machine, header={"version": "10.2.0"})
    error = refused(EngineRunner(engine))
    assert error.exit_code == ExitCode.ENVIRONMENT
    assert "expecting library version 10.3.0 got 10.2.0" in error.why


def test_an_engine_with_other_tensors(engine: Path, onnx_file: Path, machine: Machine) -> None:
    make_engine(engine, onnx_file, machine, header={"dtype": 1})
    error = refused(EngineRunner(engine))
    assert type(error) is InputError
    assert "both float32" in error.why
    info = make_engine(engine, onnx_file, machine)
    other = replace(info.model.architecture, num_classes=9)
    write_sidecar(engine, replace(info, model=replace(info.model, architecture=other)))
    assert "expected clips (B, 3, 4, 32, 32), logits (B, 9)" in refused(EngineRunner(engine)).why
    assert_given_back(machine)
