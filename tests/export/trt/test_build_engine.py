"""Engines built by every TensorRT: settings, typing, plugin, sidecar, parity, and what is refused."""

from __future__ import annotations

import errno
import gc
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from build_machine import BuildMachine, MakeMachine
from engines import RTX_VERSION, VERSIONS
from small import noise, small_model

import vmexport
from vmexport.errors import (
    BuildError,
    EnvironmentProblem,
    ExitCode,
    InputError,
    OutOfMemory,
    ParityError,
    UsageError,
    VmexportError,
)
from vmexport.export import export_onnx
from vmexport.export.metadata import load_onnx, read_metadata, write_info
from vmexport.export.trt import EngineReport, build_engine
from vmexport.ops.schema import DOMAIN, SELECTIVE_SCAN
from vmexport.package import VERSION
from vmexport.runtime import open_runner
from vmexport.runtime.record import PARITY_ENTRY
from vmexport.runtime.tensorrt.sidecar import PluginRecord, read_engine, read_sidecar, sidecar_path

EVERY_TENSORRT = [*((version, False) for version in VERSIONS), (RTX_VERSION, True)]
MODERN = [version for version in VERSIONS if not version.startswith("8")]


def make(machine: BuildMachine, exported: Path, folder: Path, **options: Any) -> EngineReport:
    assert machine.cuda.count in (0, 1)
    return build_engine(exported, folder / "model.engine", **options)


def refused(exported: Path, folder: Path, **options: Any) -> VmexportError:
    """The error of a build that leaves nothing behind."""
    before = sorted(folder.rglob("model*"))
    with pytest.raises(VmexportError) as caught:
        build_engine(exported, folder / "model.engine", **options)
    assert sorted(folder.rglob("model*")) == before
    assert caught.value.why
    assert caught.value.fix
    return caught.value


@pytest.mark.parametrize(("version", "rtx"), EVERY_TENSORRT)
def test_every_version_builds_an_engine_that_is_proven(
    version: str, rtx: bool, make_machine: MakeMachine, exported: Path, tmp_path: Path
) -> None:
    machine = make_machine(version, rtx=rtx, capability=(8, 9) if rtx else (8, 7))
    report = make(machine, exported, tmp_path)
    assert report.proven == "engine"
    assert report.parity is not None
    assert [batch.batch for batch in report.parity.batches] == [1, 2, 3, 4]
    info, content = read_engine(tmp_path / "model.engine")
    assert len(content) == report.size_bytes
    assert (info.flavour, info.version) == ("rtx" if rtx else "tensorrt", version)
    assert info.compute_capabilities == (("8.9",) if rtx else ("8.7",))
    assert (info.gpu, info.cuda) == ("Fake Orin", "12.6")
    assert (info.plugin is None) == rtx
    assert (str(info.model.profile), info.model.precision) == ("1:2:4", "fp32")
    assert info.parity["status"] == "passed"
    clips = noise(info.model.architecture, 3)
    with open_runner(tmp_path / "model.engine") as engine, open_runner(exported) as reference:
        np.testing.assert_allclose(engine(clips), reference(clips), rtol=1e-4, atol=1e-4)
    assert sorted(path.name for path in tmp_path.glob("*")) in (
        ["cache", "model.engine", "model.engine.json"],
        ["model.engine", "model.engine.json"],
    )


@pytest.mark.parametrize(("version", "rtx"), EVERY_TENSORRT)
def test_typing_is_the_files_and_a_builder_flag_only_below_10(
    version: str, rtx: bool, make_machine: MakeMachine, exported_fp16: Path, tmp_path: Path
) -> None:
    machine = make_machine(version, rtx=rtx, capability=(8, 9))
    report = make(machine, exported_fp16, tmp_path, precision="fp16", check=False)
    assert report.precision == "fp16"
    weak = version.startswith("8")
    assert machine.workshop.config.flags - {"DISABLE_TIMING_CACHE"} == ({"FP16"} if weak else set())
    network = machine.workshop.networks[-1].flags
    assert network == (1 << 3 if weak else 0 if version.startswith("11") else 1 << 5)
    model = machine.workshop.models[-1]
    assert any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in model.graph.initializer)
    assert bool(model.functions) == rtx
    assert sum(node.op_type == SELECTIVE_SCAN for node in model.graph.node) == 2


def test_a_network_is_exported_on_the_way(machine: BuildMachine, tmp_path: Path) -> None:
    report = build_engine(small_model(), tmp_path / "model.engine", precision="fp16", batch=2)
    assert (report.precision, report.profile, report.proven) == ("fp16", "2", "engine")
    assert not machine.workshop.config.profiles
    assert vmexport.build_engine is build_engine


def test_the_profile_of_the_network_is_the_batches(
    machine: BuildMachine, exported: Path, tmp_path: Path
) -> None:
    make(machine, exported, tmp_path)
    (profile,) = machine.workshop.config.profiles
    assert profile.shapes == {"clips": tuple((batch, 3, 4, 32, 32) for batch in (1, 2, 4))}


@pytest.mark.parametrize("version", MODERN)
def test_settings_reach_the_builder(
    version: str, make_machine: MakeMachine, exported: Path, tmp_path: Path
) -> None:
    machine = make_machine(version)
    make(
        machine,
        exported,
        tmp_path,
        workspace="256M",
        opt_level=5,
        hardware_compatibility="ampere_plus",
        version_compatible=True,
        embed_plugin=True,
        timing_cache="off",
    )
    config = machine.workshop.config
    assert config.pools == {"WORKSPACE": 256 << 20}
    assert config.builder_optimization_level == 5
    assert config.hardware_compatibility_level.name == "AMPERE_PLUS"
    assert config.flags == {"VERSION_COMPATIBLE", "DISABLE_TIMING_CACHE"}
    assert config.plugins_to_serialize == ["libvmexport_trt.so"]
    info = read_sidecar(tmp_path / "model.engine")
    assert info.version_compatible
    assert info.hardware_compatibility == "ampere_plus"
    assert info.plugin is not None
    assert info.plugin.embedded


@pytest.mark.parametrize(("total", "expected"), [(4 << 30, 1 << 30), (32 << 30, 2 << 30)])
def test_the_workspace_is_2_gib_or_a_quarter_of_what_is_free(
    total: int, expected: int, make_machine: MakeMachine, exported: Path, tmp_path: Path
) -> None:
    machine = make_machine(total=total)
    assert make(machine, exported, tmp_path, check=False).workspace_bytes == expected
    assert machine.workshop.config.pools == {"WORKSPACE": expected}


def test_too_little_memory_is_told_before_the_build(
    make_machine: MakeMachine, exported: Path, tmp_path: Path
) -> None:
    machine = make_machine(total=64 << 20)
    error = refused(exported, tmp_path, workspace="1G")
    assert isinstance(error, OutOfMemory)
    assert "1,024 MiB" in error.why
    assert "64 MiB of 64 MiB" in error.why
    assert not machine.workshop.networks


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"version_compatible": True}, "no version-compatible engines"),
        ({"hardware_compatibility": "ampere_plus"}, "no hardware compatibility"),
        ({"timing_cache": "cache"}, "no timing cache"),
        ({"compute_capabilities": ("9.0",)}, "does not build for compute capability 9.0"),
    ],
)
def test_rtx_refuses_what_it_does_not_have(
    options: dict[str, Any], words: str, make_machine: MakeMachine, exported: Path, tmp_path: Path
) -> None:
    make_machine(RTX_VERSION, rtx=True, capability=(8, 9))
    error = refused(exported, tmp_path, **options)
    assert isinstance(error, UsageError)
    assert words in error.what


def test_tensorrt_builds_for_its_own_gpu_only(machine: BuildMachine, exported: Path, tmp_path: Path) -> None:
    assert machine.cuda.count == 1
    error = refused(exported, tmp_path, compute_capabilities=("8.9",))
    assert "--runtime rtx" in error.fix


def test_bf16_needs_strong_typing(make_machine: MakeMachine, exported: Path, tmp_path: Path) -> None:
    make_machine("8.6.1")
    error = refused(exported, tmp_path, precision="bf16")
    assert isinstance(error, UsageError)
    assert "fp32, fp16" in error.why


@pytest.mark.parametrize("asked", [None, True, False])
@pytest.mark.parametrize("built", [True, False])
def test_rtx_takes_the_plugin_where_one_is_built(
    asked: bool | None,
    built: bool,
    make_machine: MakeMachine,
    exported: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ahead of time: the plugin has no code for these GPUs, and need not have."""
    named: list[bool] = []
    monkeypatch.setattr("vmexport.export.trt.engine.provide_short_name", lambda: named.append(True))
    machine = make_machine(RTX_VERSION, rtx=True, plugin=built, count=0)
    if asked and not built:
        error = refused(exported, tmp_path, plugin=asked)
        assert "for TensorRT 11 or 10 is not built" in error.why
        return
    uses = built and asked is not False
    report = make(machine, exported, tmp_path, plugin=asked)
    assert (report.plugin, bool(named)) == (uses, uses)
    record = read_sidecar(tmp_path / "model.engine")
    assert record.plugin == (PluginRecord(VERSION, False, "vmexport") if uses else None)
    assert record.parity["onnx"]["status"] == "passed"


def test_tensorrt_cannot_do_without_the_plugin(machine: BuildMachine, exported: Path, tmp_path: Path) -> None:
    error = refused(exported, tmp_path, plugin=False)
    assert isinstance(error, UsageError)
    assert "--runtime rtx --no-plugin" in error.fix


def test_rtx_1_6_takes_no_plugin(make_machine: MakeMachine, exported: Path, tmp_path: Path) -> None:
    make_machine("1.6.0.1", rtx=True, plugin=True, count=0)
    error = refused(exported, tmp_path, plugin=True)
    assert "--no-plugin" in error.fix


def test_rtx_without_a_gpu_proves_the_file(make_machine: MakeMachine, exported: Path, tmp_path: Path) -> None:
    machine = make_machine(RTX_VERSION, rtx=True, count=0)
    report = make(machine, exported, tmp_path)
    assert report.proven == "onnx"
    assert report.parity is not None
    assert report.compute_capabilities == ("8.6", "8.9", "12.0")
    assert machine.workshop.config.capabilities == {0: "SM86", 1: "SM89", 2: "SM120"}
    assert machine.workshop.config.pools == {}
    record = read_sidecar(tmp_path / "model.engine").parity
    assert record["status"] == "not checked"
    assert "has not been run: there is no NVIDIA GPU" in record["reason"]
    assert record["onnx"]["status"] == "passed"
    assert "function body" in record["onnx"]["backend"]


def test_layers_cannot_be_timed_without_their_gpu(
    make_machine: MakeMachine, exported: Path, tmp_path: Path
) -> None:
    make_machine(RTX_VERSION, rtx=True, count=0)
    assert isinstance(refused(exported, tmp_path, profile_layers=True), UsageError)


def test_an_engine_of_the_same_graph_and_settings_is_kept(
    machine: BuildMachine, exported: Path, tmp_path: Path
) -> None:
    first = make(machine, exported, tmp_path)
    again = make(machine, exported, tmp_path)
    assert (first.up_to_date, again.up_to_date) == (False, True)
    assert len(machine.workshop.networks) == 1
    assert (again.size_bytes, again.proven) == (first.size_bytes, "engine")
    for change in ({"force": True}, {"opt_level": 1}, {"workspace": "64M"}):
        assert not make(machine, exported, tmp_path, check=False, **change).up_to_date


def test_the_sidecars_that_were_written_once_are_read(
    machine: BuildMachine, exported: Path, tmp_path: Path
) -> None:
    make(machine, exported, tmp_path)
    sidecar = sidecar_path(tmp_path / "model.engine")
    text = sidecar.read_text()
    assert text.count('"fingerprint"') == 1
    sidecar.write_text(text.replace('"fingerprint"', '"recipe"'))
    assert make(machine, exported, tmp_path).up_to_date


def test_an_engine_that_was_not_compared_is_built_again_for_a_comparison(
    machine: BuildMachine, exported: Path, tmp_path: Path
) -> None:
    assert make(machine, exported, tmp_path, check=False).proven == "nothing"
    assert make(machine, exported, tmp_path, check=False).up_to_date
    assert make(machine, exported, tmp_path).proven == "engine"


def test_damage_of_the_old_engine_is_mended(machine: BuildMachine, exported: Path, tmp_path: Path) -> None:
    make(machine, exported, tmp_path)
    engine = tmp_path / "model.engine"
    engine.write_bytes(engine.read_bytes()[:-9])
    assert not make(machine, exported, tmp_path).up_to_date
    read_engine(engine)


def test_an_engine_that_computes_something_else_is_marked(
    machine: BuildMachine, exported: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.onnx"
    export_onnx(small_model(seed=3), other, batch="1:2:4", check=False)
    machine.workshop.replacement = other.read_bytes()
    with pytest.raises(ParityError) as caught:
        make(machine, exported, tmp_path)
    assert str(tmp_path / "model.engine") in caught.value.what
    assert read_sidecar(tmp_path / "model.engine").parity["status"] == "failed"
    with pytest.raises(ParityError, match="marked"), open_runner(tmp_path / "model.engine"):
        pass
    machine.workshop.replacement = None
    assert make(machine, exported, tmp_path).proven == "engine"


def test_layers_are_timed(machine: BuildMachine, exported: Path, tmp_path: Path) -> None:
    layers = make(machine, exported, tmp_path, profile_layers=True).layers
    assert [(layer.name, layer.ms, layer.share) for layer in layers] == [
        ("patch embedding", 0.25, 0.25),
        ("scan", 0.75, 0.75),
    ]
    assert make(machine, exported, tmp_path, profile_layers=True).up_to_date
    gc.collect()
    assert machine.cuda.clean


@pytest.mark.parametrize(("version", "named"), [("8.6.1", True), ("10.3.0", True), ("11.1.0", True)])
def test_parser_errors_are_one_message_that_names_the_nodes(
    version: str, named: bool, make_machine: MakeMachine, exported: Path, tmp_path: Path
) -> None:
    machine = make_machine(version)
    names = [node.name for node in load_onnx(exported).graph.node]
    machine.workshop.parse_errors = [
        (3, names[3], "MatMul", "unsupported\n type"),
        (9, names[9], "Foo", "no such operator"),
    ]
    error = refused(exported, tmp_path)
    assert isinstance(error, BuildError)
    assert names[3] in error.why
    assert "unsupported type" in error.why
    assert names[9] in error.why


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Error Code 10: no implementation for node scan", BuildError),
        ("Error Code 2: OutOfMemory (requested size)", OutOfMemory),
    ],
)
def test_a_builder_that_gives_up_says_why(
    message: str, kind: type[VmexportError], machine: BuildMachine, exported: Path, tmp_path: Path
) -> None:
    machine.workshop.failure = message
    error = refused(exported, tmp_path)
    assert type(error) is kind
    assert message in error.why


def test_no_gpu_names_the_way_without_one(make_machine: MakeMachine, exported: Path, tmp_path: Path) -> None:
    make_machine(count=0)
    error = refused(exported, tmp_path)
    assert error.exit_code == ExitCode.ENVIRONMENT
    assert "no NVIDIA GPU" in error.why
    assert "--runtime rtx" in error.fix


def test_no_plugin_is_an_error_with_its_build(
    make_machine: MakeMachine, exported: Path, tmp_path: Path
) -> None:
    make_machine(plugin=False)
    error = refused(exported, tmp_path)
    assert error.exit_code == ExitCode.ENVIRONMENT
    assert "vmexport plugin build" in error.fix


def test_no_tensorrt(monkeypatch: pytest.MonkeyPatch, exported: Path, tmp_path: Path) -> None:
    monkeypatch.setattr("vmexport.runtime.tensorrt.library._installed", lambda flavour: False)
    error = refused(exported, tmp_path)
    assert error.exit_code == ExitCode.ENVIRONMENT
    assert "pip install --extra-index-url https://pypi.nvidia.com 'vmexport[tensorrt]'" in error.fix


def edited(exported: Path, folder: Path, change: Any) -> Path:
    model = load_onnx(exported)
    change(model)
    path = folder / "edited.onnx"
    onnx.save(model, str(path))
    return path


def _foreign(model: onnx.ModelProto) -> None:
    del model.graph.node[:]
    kept = [entry for entry in model.opset_import if entry.domain != DOMAIN]
    del model.opset_import[:]
    model.opset_import.extend(kept)


def _newer(model: onnx.ModelProto) -> None:
    next(entry for entry in model.opset_import if entry.domain == DOMAIN).version = 9


def _failed(model: onnx.ModelProto) -> None:
    info = read_metadata(model, "model")
    write_info(model, replace(info, extra={PARITY_ENTRY: json.dumps({"status": "failed", "reason": "NaN"})}))


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (_foreign, ExitCode.BAD_INPUT, "holds no vmexport::SelectiveScan"),
        (_newer, ExitCode.BAD_INPUT, "newer than this vmexport"),
        (_failed, ExitCode.PARITY_FAILED, "marked"),
    ],
)
def test_files_that_are_refused(
    change: Any, code: ExitCode, words: str, machine: BuildMachine, exported: Path, tmp_path: Path
) -> None:
    error = refused(edited(exported, tmp_path, change), tmp_path)
    assert error.exit_code == code
    assert words in error.what
    assert not machine.workshop.networks


def test_places_that_are_refused(machine: BuildMachine, exported: Path, tmp_path: Path) -> None:
    assert machine.cuda.count == 1
    for path, kind in (
        (tmp_path / "model.onnx", UsageError),
        (tmp_path / "nowhere" / "model.engine", InputError),
    ):
        with pytest.raises(kind):
            build_engine(exported, path)
    with pytest.raises(InputError, match="no such file"):
        build_engine(tmp_path / "missing.onnx", tmp_path / "model.engine")


def test_a_foreign_file_is_overwritten_only_by_force(
    machine: BuildMachine, exported: Path, tmp_path: Path
) -> None:
    (tmp_path / "model.engine").write_text("somebody's thesis")
    assert "--force" in refused(exported, tmp_path).fix
    assert (tmp_path / "model.engine").read_text() == "somebody's thesis"
    assert make(machine, exported, tmp_path, force=True).proven == "engine"


def test_a_full_disk_leaves_the_old_engine(
    machine: BuildMachine, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(machine, exported, tmp_path)
    before = (tmp_path / "model.engine").read_bytes()

    def full(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    error = refused(exported, tmp_path, force=True)
    assert isinstance(error, BuildError)
    assert "the disk is full" in error.why
    monkeypatch.undo()
    assert (tmp_path / "model.engine").read_bytes() == before
    assert sidecar_path(tmp_path / "model.engine").exists()


def test_a_builder_that_does_not_start(
    machine: BuildMachine, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(logger: Any) -> None:
        raise TypeError("pybind11::init(): factory function returned nullptr")

    monkeypatch.setattr(machine.workshop.trt, "Builder", broken)
    error = refused(exported, tmp_path)
    assert isinstance(error, EnvironmentProblem)
    assert "returned nullptr" in error.why
