"""Both runners: one signature, one validation, nothing held outside of `with`."""

from __future__ import annotations

import copy
import pickle
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from patience import HANG_S
from small import noise, small_architecture, small_model

from vmexport.config import ModelInfo
from vmexport.config.threads import usable_cores
from vmexport.errors import EnvironmentProblem, InputError, OutOfMemory, ShapeError, UsageError
from vmexport.export import export_onnx
from vmexport.model import save_checkpoint
from vmexport.runtime import EngineRunner, Runner, open_runner
from vmexport.runtime.runner import Array
from vmexport.runtime.session import SessionOptions, import_onnxruntime
from vmexport.runtime.torch_runner import TorchRunner


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`model.safetensors` and `model.onnx` (batch 1 to 4) of one small network."""
    path = tmp_path_factory.mktemp("runners")
    model = small_model()
    save_checkpoint(model, path / "model.safetensors")
    export_onnx(model, path / "model.onnx", batch="1:2:4")
    return path


@pytest.fixture(params=["model.safetensors", "model.onnx"])
def file(request: pytest.FixtureRequest, folder: Path) -> Path:
    return folder / str(request.param)


def test_both_give_the_networks_logits(file: Path) -> None:
    clips = noise(small_architecture(), 3)
    with torch.no_grad():
        expected = small_model()(torch.from_numpy(clips)).numpy()
    with open_runner(file) as run:
        logits = run(clips)
        assert run.info.architecture == small_architecture()
        assert run.description
    assert logits.shape == (3, 7)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)


def test_a_network_in_memory_is_a_model_too() -> None:
    model = small_model()
    clips = noise(model.architecture)
    with open_runner(model, threads=1) as run:
        assert run(clips).shape == (1, 7)


def test_strided_clips_are_taken(file: Path) -> None:
    clips = noise(small_architecture(), 2)
    backwards = np.ascontiguousarray(clips[:, :, ::-1])[:, :, ::-1]
    with open_runner(file) as run:
        np.testing.assert_array_equal(run(backwards), run(clips))


def test_a_torch_tensor_is_as_good_as_an_array(file: Path) -> None:
    clips = noise(small_architecture())
    with open_runner(file) as run:
        np.testing.assert_array_equal(run(torch.from_numpy(clips)), run(clips))
        with pytest.raises(ShapeError, match="detach"):
            run(torch.from_numpy(clips).requires_grad_())


def test_outside_of_with_it_explains(file: Path) -> None:
    runner = open_runner(file)
    with pytest.raises(UsageError, match="not open"):
        runner(noise(small_architecture()))
    with runner as run:
        first = run(noise(small_architecture()))
    with pytest.raises(UsageError, match="with open_runner"):
        runner(noise(small_architecture()))
    with runner as run:
        np.testing.assert_array_equal(run(noise(small_architecture())), first)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.tolist(), "expected a NumPy array, got list"),
        (lambda c: c.astype(np.float64), "expected dtype float32, got float64"),
        (lambda c: (c * 255).astype(np.uint8), "got uint8"),
        (lambda c: c[0], r"add the batch axis: clips\[None\]"),
        (lambda c: c.swapaxes(1, 2), "time and channel axes are swapped"),
        (lambda c: np.moveaxis(c, 1, -1), "channels come last"),
        (lambda c: c[:, :, :3], r"expected shape \(B, 3, 4, 32, 32\)"),
        (lambda c: c[:0], "at least 1, got 0"),
    ],
)
def test_wrong_clips_are_refused(change: Any, words: str, file: Path) -> None:
    with open_runner(file) as run, pytest.raises(ShapeError, match=words):
        run(change(noise(small_architecture())))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_clips_are_refused(value: float, file: Path) -> None:
    clips = noise(small_architecture())
    clips[0, 1, 2, 3, 4] = value
    with open_runner(file) as run, pytest.raises(InputError, match="NaN or infinity"):
        run(clips)


def test_a_batch_beyond_the_profile_names_the_export_that_serves_it(folder: Path) -> None:
    clips = noise(small_architecture(), 5)
    with open_runner(folder / "model.onnx") as run, pytest.raises(ShapeError, match="--batch 1:5:5"):
        run(clips)
    with open_runner(folder / "model.safetensors") as run:
        assert len(run(clips)) == 5


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.onnx", None, "no such file"),
        ("empty.onnx", b"", "empty"),
        ("garbage.onnx", b"\x00\x01garbage" * 100, "cannot open"),
        ("a" * 300 + ".onnx", None, "cannot read"),
        ("a\0b.onnx", None, "cannot read"),
    ],
)
def test_unusable_files(name: str, content: bytes | None, words: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words), open_runner(tmp_path / name):
        pass


def test_a_truncated_file(folder: Path, tmp_path: Path) -> None:
    content = (folder / "model.onnx").read_bytes()
    (tmp_path / "half.onnx").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="export it again"), open_runner(tmp_path / "half.onnx"):
        pass


def test_a_damaged_parity_record(folder: Path, tmp_path: Path) -> None:
    model = onnx.load(str(folder / "model.onnx"))
    record = next(entry for entry in model.metadata_props if entry.key == "vmexport.parity")
    record.value = record.value[:-5]
    onnx.save(model, str(tmp_path / "damaged.onnx"))
    with pytest.raises(InputError, match="parity record"), open_runner(tmp_path / "damaged.onnx"):
        pass


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(InputError, match="folder"), open_runner(tmp_path / "folder.onnx"):
        pass


def test_a_model_from_elsewhere(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "other", [value], [result])
    opsets = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), str(tmp_path / "other.onnx"))
    with pytest.raises(InputError, match="was not written by vmexport"), open_runner(tmp_path / "other.onnx"):
        pass


def test_an_engine_is_opened_by_its_runner(tmp_path: Path) -> None:
    assert isinstance(open_runner(tmp_path / "model.plan"), EngineRunner)


@pytest.mark.parametrize("values", [{"library": "maybe"}, {"threads": -1}])
def test_wrong_options(values: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        SessionOptions(**values)


def test_without_onnxruntime_it_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with (
        pytest.raises(EnvironmentProblem, match=r"pip install 'vmexport\[cpu\]'"),
        open_runner(folder / "model.onnx"),
    ):
        pass


def test_an_interrupt_while_onnxruntime_starts_is_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_spec(name: str, *_: object) -> None:
        if name == "onnxruntime":  # as pybind11 reports what happened while a module was starting
            raise ImportError("initialization failed") from KeyboardInterrupt()

    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    monkeypatch.setattr(sys, "meta_path", [SimpleNamespace(find_spec=find_spec), *sys.meta_path])
    with pytest.raises(KeyboardInterrupt):
        import_onnxruntime()


def test_a_required_library_that_is_not_built(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmexport.runtime.session.library_path", lambda name: None)
    with pytest.raises(EnvironmentProblem, match="make native"), open_runner(
        folder / "model.onnx", library="require"
    ):  # fmt: skip
        pass
    with open_runner(folder / "model.onnx", library="auto") as run:
        assert "function body" in run.description


def test_a_library_that_cannot_be_loaded(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "libvmexport_ort.so").write_bytes(b"no library")
    monkeypatch.setattr("vmexport.runtime.session.library_path", lambda name: tmp_path / name)
    with pytest.raises(EnvironmentProblem, match=r"cannot load libvmexport_ort\.so"), open_runner(
        folder / "model.onnx"
    ):  # fmt: skip
        pass


def test_threads_follow_the_affinity_of_the_process() -> None:
    assert 1 <= usable_cores() <= 4096


def test_torch_threads_are_put_back(folder: Path) -> None:
    before = torch.get_num_threads()
    with open_runner(folder / "model.safetensors", threads=1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_a_runner_is_a_runner(file: Path) -> None:
    assert isinstance(open_runner(file), Runner)


def test_an_unknown_device_is_refused(file: Path) -> None:
    with pytest.raises(UsageError, match="expected one of cpu, cuda"):
        open_runner(file, device="tpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_no_reason_to_use_the_cpu(file: Path) -> None:
    with pytest.raises(EnvironmentProblem) as caught, open_runner(file, device="cuda"):
        pass
    assert caught.value.why
    assert "--device cpu" in caught.value.fix


def test_a_provider_that_does_not_start_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime itself goes on with the CPU and says so in its log only."""
    import onnxruntime

    real = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(
        onnxruntime,
        "InferenceSession",
        lambda model, settings, providers: real(model, settings, providers=providers[1:]),
    )
    with (
        pytest.raises(EnvironmentProblem, match="could not start its CUDA provider"),
        open_runner(folder / "model.onnx", device="cuda"),
    ):
        pass


def test_the_cuda_provider_is_told_to_leave_tf32(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    real, asked = onnxruntime.InferenceSession, []

    def session(model: object, settings: object, providers: list[tuple[str, dict[str, str]]]) -> object:
        asked.extend(providers)
        return real(model, settings, providers=providers[1:])

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    with pytest.raises(EnvironmentProblem), open_runner(folder / "model.onnx", device="cuda"):
        pass
    assert asked == [("CUDAExecutionProvider", {"use_tf32": "0"}), ("CPUExecutionProvider", {})]


def test_the_cuda_library_is_asked_for_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    from vmexport.runtime import session

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(session, "library_path", lambda name: None)
    with (
        pytest.raises(EnvironmentProblem, match=r"libvmexport_ort_cuda\.so") as caught,
        open_runner(folder / "model.onnx", device="cuda", library="require"),
    ):
        pass
    assert caught.value.fix == "vmexport plugin build --cuda on"


def test_a_full_gpu_is_out_of_memory() -> None:
    def full(clips: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB\nmore words")

    runner = TorchRunner(small_model())
    with runner as run:
        runner._frozen = full  # type: ignore[assignment]
        with pytest.raises(OutOfMemory, match="Tried to allocate 9 GiB") as caught:
            run(noise(small_architecture()))
    assert caught.value.fix == "use a smaller batch"


def test_a_runner_entered_twice_stays_open_until_the_last_has_left(file: Path) -> None:
    clips = noise(small_architecture())
    with open_runner(file) as run:
        first = run(clips)
        with run as inner:
            np.testing.assert_array_equal(inner(clips), first)
        np.testing.assert_array_equal(run(clips), first)
        with pytest.raises(ZeroDivisionError), run:
            raise ZeroDivisionError
        np.testing.assert_array_equal(run(clips), first)
    with pytest.raises(UsageError, match="not open"):
        run(clips)
    run.__exit__(None, None, None)  # once too often
    with run:
        np.testing.assert_array_equal(run(clips), first)


COPIES: dict[str, Any] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda runner: pickle.loads(pickle.dumps(runner)),
}


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_is_a_closed_runner_of_its_own(how: str, file: Path) -> None:
    clips = noise(small_architecture())
    with open_runner(file, threads=1) as run:
        first = run(clips)
        twin = COPIES[how](run)
        with pytest.raises(UsageError, match="not open"):
            twin(clips)
        with twin:
            np.testing.assert_array_equal(twin(clips), first)
        np.testing.assert_array_equal(run(clips), first)
    with pytest.raises(UsageError, match="not open"):
        twin(clips)
    with COPIES[how](run) as again:
        np.testing.assert_array_equal(again(clips), first)


class SlowRunner(Runner):
    """Takes its time, and tells what happens in which order."""

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self.events: list[str] = []
        self.calling, self.go_on = threading.Event(), threading.Event()

    description = "slow"

    def _open(self) -> ModelInfo:
        self.events.append("open")
        return ModelInfo(small_architecture())

    def _close(self) -> None:
        self.events.append("close")

    def _run(self, clips: Array) -> Array:
        self.calling.set()
        assert self.go_on.wait(HANG_S)
        self.events.append("run")
        return np.zeros((len(clips), 7), np.float32)


class OneAtATime(SlowRunner):
    concurrent = False


def test_leaving_waits_for_a_call_that_another_thread_has_begun() -> None:
    """The last to finish closes; a GPU's memory would be given back under a running engine otherwise."""
    runner, clips = SlowRunner("slow"), noise(small_architecture())
    with ThreadPoolExecutor(1) as pool:
        with runner:
            call = pool.submit(runner, clips)
            assert runner.calling.wait(HANG_S)
        with pytest.raises(UsageError, match="not open"):
            runner(clips)
        assert runner.events == ["open"]
        runner.go_on.set()
        assert call.result(HANG_S).shape == (1, 7)
    assert runner.events == ["open", "run", "close"]


@pytest.mark.parametrize(("kind", "together"), [(SlowRunner, 2), (OneAtATime, 1)])
def test_calls_of_several_threads(kind: type[SlowRunner], together: int) -> None:
    runner, clips = kind("slow"), noise(small_architecture())
    inside, most, watch = 0, 0, threading.Lock()

    def compute(clips: Array) -> Array:
        nonlocal inside, most
        with watch:
            inside += 1
            most = max(most, inside)
        runner.calling.wait(0.2)  # both come together here, where both may be here
        with watch:
            inside -= 1
        return np.zeros((len(clips), 7), np.float32)

    runner._run = compute  # type: ignore[method-assign]
    with runner, ThreadPoolExecutor(2) as pool:
        assert [result.shape for result in pool.map(runner, [clips] * 2)] == [(1, 7)] * 2
    assert most == together


def test_threads_that_enter_and_leave_in_any_order(file: Path) -> None:
    clips, runner = noise(small_architecture()), open_runner(file, threads=1)
    with runner as run:
        expected = run(clips)

    def use(_: int) -> Array:
        with runner as run:
            return run(clips)

    with ThreadPoolExecutor(4) as pool:
        for logits in pool.map(use, range(40)):
            np.testing.assert_array_equal(logits, expected)
    with pytest.raises(UsageError, match="not open"):
        runner(clips)


@pytest.mark.parametrize("threads", [None, True, "2", -1, 1.5, [], float("nan"), 2**31, 2**63, 10**400])
def test_threads_are_a_number_that_a_machine_can_have(threads: Any, file: Path) -> None:
    with pytest.raises(UsageError, match="threads must be 0"):
        open_runner(file, threads=threads)


@pytest.mark.parametrize("name", ["library", "device"])
@pytest.mark.parametrize("value", [None, True, 1, [], b"cpu", "CPU", ""])
def test_choices_are_names(name: str, value: Any, file: Path) -> None:
    with pytest.raises(UsageError, match=f"unknown value for {name}"):
        open_runner(file, **{name: value})


@pytest.mark.parametrize("model", [None, True, 3, 1.5, b"model.onnx", [], torch.nn.Linear(1, 1), np.zeros(3)])
def test_a_model_of_another_kind(model: Any) -> None:
    with pytest.raises(UsageError, match="expected a VideoMamba"):
        open_runner(model)


@pytest.mark.parametrize(
    "clips",
    [None, True, "x", 1.5, b"", {}, object(), np.array("x"), np.zeros((), np.float32), np.array([None])],
)
def test_clips_of_another_kind(clips: Any, file: Path) -> None:
    with open_runner(file) as run, pytest.raises(ShapeError, match="cannot take these clips"):
        run(clips)


@pytest.mark.parametrize(
    "change",
    [
        lambda clips: clips.astype(">f4"),
        lambda clips: clips.astype(np.complex64),
        lambda clips: clips.astype(object),
        lambda clips: clips.astype(np.float16),
        lambda clips: clips[..., :0],
        lambda clips: torch.from_numpy(clips).to("meta"),
        lambda clips: torch.from_numpy(clips).to_sparse(),
        lambda clips: torch.from_numpy(clips).bfloat16(),
        lambda clips: torch.from_numpy(clips).requires_grad_(),
    ],
)
def test_arrays_of_another_kind(change: Any, file: Path) -> None:
    clips = noise(small_architecture())
    with open_runner(file) as run, pytest.raises(ShapeError, match="cannot take these clips"):
        run(change(clips))
