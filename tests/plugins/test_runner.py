"""vmexport-run where it is built: exit codes, messages, engines of the real TensorRT-RTX without a GPU.

Its parts, and whole runs on a fake TensorRT, are tested in C++ (plugins/tests/runner).
"""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from patience import HANG_S
from small import noise, small_architecture, small_model

from vmexport.errors import ExitCode
from vmexport.export import export_onnx
from vmexport.runtime.tolerance import TOLERANCES

pytestmark = pytest.mark.compiled

Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def program(root_dir: Path) -> Path:
    """The installed program, or one of a build folder."""
    places = [root_dir / "vmexport/_native/vmexport-run", *root_dir.glob("build/*/runner/vmexport-run")]
    found = [place for place in places if place.is_file()]
    if not found:
        pytest.skip("vmexport-run is not built: it needs TensorRT's headers and a CUDA runtime")
    return found[0]


@pytest.fixture(scope="module")
def rtx_program(root_dir: Path) -> list[str]:
    """The program and the words that lead it to TensorRT-RTX."""
    spec = importlib.util.find_spec("tensorrt_rtx_libs")
    if spec is None or spec.origin is None:
        pytest.skip("no tensorrt-rtx (pip install tensorrt-rtx)")
    for place in root_dir.glob("build/*/runner/vmexport-run"):
        if "for TensorRT 11." in subprocess.run([place, "--version"], capture_output=True, text=True).stdout:
            return [str(place), "--rtx", "--lib-dir", str(Path(spec.origin).parent)]
    pytest.skip("no vmexport-run that was built with the headers of TensorRT 11")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small ONNX file with function bodies, batch 1 to 4."""
    path = tmp_path_factory.mktemp("runner") / "small.onnx"
    export_onnx(small_model(), path, batch="1:2:4", check=False)
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.npy"
    np.save(path, noise(small_architecture(), batch=2))
    return path


def run(*words: str | Path) -> Done:
    environment = {**os.environ, "LC_ALL": "C"}
    texts = [str(word) for word in words]
    return subprocess.run(texts, capture_output=True, text=True, env=environment, timeout=HANG_S)


def refused(done: Done, code: ExitCode, words: str) -> None:
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("error: ")
    assert words in done.stderr
    assert done.stdout == ""


def test_tolerances_are_those_of_the_python_package(root_dir: Path) -> None:
    text = (root_dir / "plugins/runner/comparison.h").read_text()
    rows = re.findall(r'\{"(\w+)", ([\d.e-]+), ([\d.e-]+)\}', text)
    assert {name: (float(a), float(b)) for name, a, b in rows} == {
        name: (limits.relative, limits.cosine) for name, limits in TOLERANCES.items()
    }


def test_exit_codes_are_those_of_the_python_package(root_dir: Path) -> None:
    text = (root_dir / "plugins/runner/error.h").read_text()
    names = {name.upper(): int(code) for name, code in re.findall(r"k(\w+) = (\d+),", text)}
    for code in ExitCode:
        assert names[code.name.replace("_", "")] == code


def test_help_and_version(program: Path) -> None:
    said = run(program, "--help")
    assert (said.returncode, said.stderr) == (0, "")
    assert "Engines and plugins are code" in said.stdout
    assert re.fullmatch(r"vmexport-run \S+, for TensorRT \d+\.\d+\.\d+.*\n", run(program, "--version").stdout)


def test_usage_errors(program: Path) -> None:
    refused(run(program), ExitCode.USAGE, "no model")
    refused(run(program, "m.engine", "c.npy", "--fp8"), ExitCode.USAGE, "unknown option --fp8")


def test_help_into_a_full_disk(program: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([program, "--help"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == ExitCode.BUILD_FAILED
    assert "standard output" in done.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"not an array", "not an NPY file"),
        (np.zeros((1, 3, 4, 32, 32), dtype=">f4"), "big endian"),
        (np.zeros((1, 3, 4, 32, 32), dtype=np.float64), "astype"),
        (np.zeros((3, 4, 32, 32), dtype=np.float32), "clip[None]"),
        (np.full((1, 3, 4, 32, 32), np.nan, dtype=np.float16), "NaN or infinity"),
        (np.asfortranarray(np.zeros((1, 3, 4, 32, 32), dtype=np.float32)), "ascontiguousarray"),
        (np.array([None, "text"], dtype=object), "never read"),
    ],
)
def test_clips_are_refused_before_anything_is_loaded(
    program: Path, model: Path, tmp_path: Path, content: bytes | np.ndarray, words: str
) -> None:
    path = tmp_path / "clip.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content, allow_pickle=True)
    refused(run(program, model, path), ExitCode.BAD_INPUT, words)


def test_damaged_and_foreign_models(program: Path, model: Path, clip: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(model.read_bytes()[:-7])
    refused(run(program, cut, clip), ExitCode.BAD_INPUT, "not a readable ONNX file")
    cut.write_bytes(b"<html>404</html>")
    refused(run(program, cut, clip), ExitCode.BAD_INPUT, "not a readable ONNX file")
    refused(run(program, tmp_path / "none.engine", clip), ExitCode.BAD_INPUT, "No such file")
    engine = tmp_path / "open.engine"
    engine.write_bytes(b"code")
    engine.chmod(0o666)
    refused(run(program, engine, clip), ExitCode.ENVIRONMENT, f"chmod o-w {engine}")


def test_places_are_checked_before_anything_is_built(program: Path, model: Path, clip: Path) -> None:
    done = run(program, model, clip, "-o", clip.parent / "none" / "logits.npy")
    refused(done, ExitCode.BAD_INPUT, f"mkdir -p {clip.parent / 'none'}")
    refused(run(program, model, "-e", "/dev/null"), ExitCode.BAD_INPUT, "not a regular file")


def test_a_missing_library_is_named_with_what_to_install(program: Path, model: Path, tmp_path: Path) -> None:
    done = run(program, model, "-e", tmp_path / "new.engine", "--lib-dir", tmp_path)
    refused(done, ExitCode.ENVIRONMENT, f"no libnvinfer.so.{major(program)} in {tmp_path}")
    (tmp_path / f"libnvinfer.so.{major(program)}").write_bytes(b"not a library")
    done = run(program, model, "-e", tmp_path / "new.engine", "--lib-dir", tmp_path)
    refused(done, ExitCode.ENVIRONMENT, "could not load libnvinfer.so")
    assert not (tmp_path / "new.engine").exists()


def major(program: Path) -> str:
    found = re.search(r"for TensorRT (\d+)", run(program, "--version").stdout)
    assert found is not None
    return found[1]


def test_rtx_builds_an_engine_without_a_gpu(rtx_program: list[str], model: Path, tmp_path: Path) -> None:
    engine = tmp_path / "small.engine"
    done = run(*rtx_program, model, "-e", engine)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^engine +\d+\.\d MiB, batch 1:2:4, built in", done.stdout, re.MULTILINE), done.stdout
    assert engine.stat().st_size > 100_000
    assert [path.name for path in tmp_path.iterdir()] == ["small.engine"]


def test_rtx_needs_function_bodies(rtx_program: list[str], tmp_path: Path) -> None:
    bare = tmp_path / "bare.onnx"
    export_onnx(small_model(), bare, check=False, fallback=False)
    done = run(*rtx_program, bare, "-e", tmp_path / "bare.engine")
    assert done.returncode == ExitCode.BAD_INPUT
    assert "without --no-fallback" in done.stderr
    assert "SelectiveScan" in done.stderr


def test_rtx_names_what_it_cannot_parse(rtx_program: list[str], tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    clips = onnx.helper.make_tensor_value_info("clips", onnx.TensorProto.FLOAT, [1, 3, 4, 32, 32])
    logits = onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, None)
    node = onnx.helper.make_node("NoSuchThing", ["clips"], ["logits"], name="the_node")
    graph = onnx.helper.make_graph([node], "g", [clips], [logits])
    path = tmp_path / "odd.onnx"
    path.write_bytes(onnx.helper.make_model(graph).SerializeToString())
    done = run(*rtx_program, path, "-e", tmp_path / "odd.engine")
    assert done.returncode == ExitCode.BAD_INPUT
    assert "NoSuchThing" in done.stderr
    assert "the_node" in done.stderr
    assert not (tmp_path / "odd.engine").exists()


def test_rtx_without_a_gpu_says_so(rtx_program: list[str], model: Path, clip: Path) -> None:
    if Path("/dev/nvidiactl").exists():
        pytest.skip("this machine has a GPU")
    refused(run(*rtx_program, model, clip), ExitCode.ENVIRONMENT, "no GPU that CUDA can use")


def test_interrupting_a_build_leaves_nothing(rtx_program: list[str], model: Path, tmp_path: Path) -> None:
    engine = tmp_path / "small.engine"
    words = [*rtx_program, str(model), "-e", str(engine)]
    for pause in (
        0.2,
        0.1,
        0.05,
        0.02,
        *[0.0] * 10,
    ):  # on a busy machine the build may be over before the signal
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            assert "building" in process.stderr.readline()
            time.sleep(pause)
            process.send_signal(signal.SIGINT)
            code = process.wait(timeout=HANG_S)
        if code != ExitCode.OK:
            break
        engine.unlink()
    assert code == ExitCode.INTERRUPTED
    assert list(tmp_path.iterdir()) == []


@pytest.mark.gpu
def test_on_a_gpu(program: Path, model: Path, clip: Path, tmp_path: Path) -> None:
    """The function bodies on the real TensorRT, against PyTorch."""
    import torch

    with torch.inference_mode():
        np.save(tmp_path / "expected.npy", small_model()(torch.from_numpy(np.load(clip))).numpy())
    words = ("--expect", tmp_path / "expected.npy", "--tolerance", "fp16", "--bench", "20", "--json")
    done = run(program, model, clip, "-o", tmp_path / "logits.npy", *words)
    if done.returncode == ExitCode.ENVIRONMENT:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr
    assert np.load(tmp_path / "logits.npy").shape == (2, 7)
