"""The real TensorRT or TensorRT-RTX where one is installed: refusals without a GPU, logits with one."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
from engines import PROFILE, linear_logits, linear_model
from small import noise, small_architecture
from tolerances import LINEAR_ENGINE_TF32, assert_close

from vmexport.errors import EnvironmentProblem, VmexportError
from vmexport.export.metadata import read_info
from vmexport.runtime import EngineRunner, open_runner
from vmexport.runtime.runner import INPUT_NAME
from vmexport.runtime.tensorrt.device import gpu_or_reason
from vmexport.runtime.tensorrt.engine import load_engine
from vmexport.runtime.tensorrt.features import TensorRT
from vmexport.runtime.tensorrt.library import find_tensorrt
from vmexport.runtime.tensorrt.logger import trt_logger
from vmexport.runtime.tensorrt.sidecar import EngineInfo, write_engine
from vmexport.runtime.tensorrt.versions import network_flags, set_compute_capabilities

AHEAD_OF_TIME = "8.9"
WITHOUT_GPU = gpu_or_reason()[0] is None


def real_tensorrt(flavour: str) -> TensorRT:
    """A flavour, or a skipped test."""
    try:
        return find_tensorrt(flavour)
    except VmexportError as error:
        pytest.skip(error.what)


@functools.cache
def built(flavour: str, folder: Path) -> tuple[EngineInfo, bytes]:
    """The linear model, built by the real library: for this GPU, or for another one where there is none."""
    trt = find_tensorrt(flavour)
    onnx = linear_model(folder / "model.onnx")
    logger = trt_logger(trt.module)
    builder = trt.module.Builder(logger)
    network = builder.create_network(network_flags(trt))
    assert trt.module.OnnxParser(network, logger).parse(onnx.read_bytes())
    config = builder.create_builder_config()
    profile = builder.create_optimization_profile()
    clip = small_architecture().clip_shape
    profile.set_shape(
        INPUT_NAME, *((batch, *clip) for batch in (PROFILE.minimum, PROFILE.optimum, PROFILE.maximum))
    )
    config.add_optimization_profile(profile)
    gpu, _ = gpu_or_reason()
    capability = gpu.compute_capability if gpu else AHEAD_OF_TIME
    if trt.features.named_capabilities:
        set_compute_capabilities(trt, config, (capability,))
    engine = builder.build_serialized_network(network, config)
    assert engine is not None
    info = EngineInfo(read_info(onnx), flavour, trt.version, (capability,))
    return info, bytes(memoryview(engine))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("real-engines")


@pytest.mark.skipif(not WITHOUT_GPU, reason="this machine has a GPU")
def test_without_a_gpu_the_runner_says_so_before_it_loads(place: Path, tmp_path: Path) -> None:
    real_tensorrt("rtx")
    info, content = built("rtx", place)
    write_engine(tmp_path / "model.engine", content, info)
    with (
        pytest.raises(EnvironmentProblem, match=r"driver|GPU") as caught,
        EngineRunner(tmp_path / "model.engine"),
    ):
        pass
    assert caught.value.fix


@pytest.mark.skipif(not WITHOUT_GPU, reason="this machine has a GPU")
@pytest.mark.parametrize("share", [1.0, 0.5, 0.0])
def test_the_librarys_own_refusal_is_told(share: float, place: Path) -> None:
    """Past our own checks: whole, cut and foreign bytes give the library's words, never a crash."""
    trt = real_tensorrt("rtx")
    info, content = built("rtx", place)
    part = content[: int(len(content) * share)] or b"no engine" * 100
    with pytest.raises(EnvironmentProblem, match=r"cannot load model\.engine") as caught:
        load_engine(trt, part, info, "model.engine")
    assert "gave no reason" not in caught.value.why
    assert "vmexport trt MODEL -o model.engine" in caught.value.fix


@pytest.mark.gpu
@pytest.mark.skipif(WITHOUT_GPU, reason="no GPU: not run")
@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("flavour", ["tensorrt", "rtx"])
def test_logits_on_a_gpu(flavour: str, graph: bool, place: Path, tmp_path: Path) -> None:
    real_tensorrt(flavour)
    info, content = built(flavour, place)
    write_engine(tmp_path / "model.engine", content, info)
    with open_runner(tmp_path / "model.engine", cuda_graph=graph) as run:
        assert isinstance(run, EngineRunner)
        for batch in (1, 3, 6, 2, 1):
            clips: Any = noise(small_architecture(), batch, seed=batch)
            assert_close(run(clips), linear_logits(clips), LINEAR_ENGINE_TF32)
        assert not run.remarks
        assert len(run.device_seconds(3)) == 3
