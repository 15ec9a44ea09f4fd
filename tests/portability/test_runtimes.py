"""The portable form in every runtime that docs/runtimes.md names, against PyTorch's logits."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from environments import RUNNING, SCRIPTS, Environment, find_python, run

from vmexport.export import export_onnx
from vmexport.runtime.tolerance import TOLERANCES, compare_logits

Say = Callable[[str, object], None]
BATCH = 4
FILES = {
    "static.onnx": ("fp32", {}, [1]),
    "dynamic.onnx": ("fp32", {"batch": f"1:2:{BATCH}"}, [1, 2, BATCH]),
    "half.onnx": ("fp16", {"batch": f"1:2:{BATCH}"}, [1, 2, BATCH]),
}
PACKAGES = ("onnxruntime-node", "onnxruntime-web", "puppeteer-core@24", "@sparticuz/chromium@131")


@pytest.fixture(scope="module")
def portable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Portable files of a small network, clips, and what PyTorch gives for them."""
    import torch
    from small import noise, small_model

    folder = tmp_path_factory.mktemp("portable")
    model = small_model()
    for name, (precision, options, _) in FILES.items():
        export_onnx(model, folder / name, precision=precision, portable=True, **options)  # type: ignore[arg-type]
    clips = noise(model.architecture, BATCH)
    clips.tofile(folder / "clips.bin")
    with torch.inference_mode():
        np.save(folder / "logits.npy", model(torch.from_numpy(clips)).numpy())
    cases = {
        "shape": model.architecture.clip_shape,
        "files": {name: batches for name, (_, _, batches) in FILES.items()},
    }
    (folder / "cases.json").write_text(json.dumps(cases))
    return folder


def differences(folder: Path, runtime: str) -> str:
    """Compare what a runtime wrote with PyTorch; the largest difference of each file."""
    expected = np.load(folder / "logits.npy")
    told = []
    for name, (precision, _, batches) in FILES.items():
        worst = 0.0
        for batch in batches:
            found = np.fromfile(folder / f"{runtime}-{name}-{batch}.bin", np.float32).reshape(batch, -1)
            agreement = compare_logits(expected[:batch], found)
            assert agreement.within(TOLERANCES[precision]), (runtime, name, batch, agreement)
            worst = max(worst, agreement.max_abs)
        told.append(f"{name.removesuffix('.onnx')} {worst:.1e}")
    return ", ".join(told)


@pytest.fixture(scope="module")
def python_runtimes(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment without vmexport."""
    environment = Environment.make(
        find_python(RUNNING) or sys.executable, tmp_path_factory.mktemp("runtimes")
    )
    environment.pip("install", "onnx", "onnxruntime", "openvino")
    return environment


@pytest.fixture(scope="module")
def node_runtimes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of npm; no package's install script runs, the packages hold their CPU binaries."""
    if not shutil.which("npm"):
        pytest.skip("no npm on this machine")
    folder = tmp_path_factory.mktemp("node")
    (folder / "package.json").write_text('{"private": true}')
    run(["npm", "install", "--silent", "--no-fund", "--no-audit", "--ignore-scripts", *PACKAGES], folder)
    shutil.copy(SCRIPTS / "runtimes.mjs", folder)
    return folder


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino", "onnx"])
def test_python(runtime: str, portable: Path, python_runtimes: Environment, record_property: Say) -> None:
    """ONNX Runtime alone, OpenVINO, the reference evaluator."""
    version = python_runtimes.script("runtimes.py", runtime, str(portable)).strip()
    record_property("said", f"{runtime} {version}: {differences(portable, runtime)}")


@pytest.mark.parametrize("runtime", ["onnxruntime-node", "onnxruntime-web", "chromium"])
def test_javascript(
    runtime: str,
    portable: Path,
    node_runtimes: Path,
    record_property: Say,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Native in Node, WebAssembly in Node, WebAssembly in a page of headless Chromium."""
    monkeypatch.setenv("TMPDIR", str(node_runtimes))  # where Chromium is unpacked
    version = run(["node", "runtimes.mjs", runtime, str(portable)], node_runtimes).strip()
    record_property("said", f"{runtime} {version}: {differences(portable, runtime)}")
