"""The wheel and the light install on every supported Python of this machine: every command, no torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from environments import RUNNING, Environment, find_python, oldest, supported
from labelled import CLASSES

Say = Callable[[str, object], None]
HEAVY = ("torch", "onnxscript", "safetensors", "matplotlib", "tensorrt")


@pytest.fixture(params=supported())
def python(request: pytest.FixtureRequest) -> str:
    """An interpreter of each version."""
    found = find_python(request.param)
    if found is None:
        pytest.skip(f"no Python {request.param} on this machine")
    return found


def use(environment: Environment, exported: Path, films: Path) -> None:
    """What a board does with exported files."""
    assert not [name for name in HEAVY if environment.has(name)]
    assert int(environment.script("every_help.py")) > 15
    doctor = environment.json("doctor")
    assert doctor["usable"]
    tested = {found["name"]: found["status"] for found in doctor["self_tests"]}
    assert [tested[name] for name in tested if "CUDA" not in name] == ["ok"] * 4, tested
    model, film = str(exported / "dynamic.onnx"), str(films / "val" / "dive" / "0.mp4")
    assert environment.json("info", model)["tokens"] > 0
    assert environment.json("predict", model, film)
    assert environment.json("check", model, str(exported / "static.onnx"))["passed"]
    rows = environment.json("bench", model, "--runs", "2")["results"]
    assert {row["status"] for row in rows if row["backend"].startswith("ort")} == {"measured"}
    report = environment.json("eval", model, "--data", str(films), "--workers", "2")
    assert report["videos"] == 2 * len(CLASSES)


def test_light(
    python: str, wheel: Path, exported: Path, films_of_classes: Path, tmp_path: Path, record_property: Say
) -> None:
    """`pip install '.[cpu]'` with the newest of everything, and parity."""
    environment = Environment.make(python, tmp_path)
    environment.pip("install", f"{wheel}[cpu]")
    use(environment, exported, films_of_classes)
    environment.script("parity.py", str(exported))
    versions = environment.json("doctor")["environment"]["packages"]
    told = ", ".join(f"{name} {versions[name]}" for name in ("onnxruntime", "onnx", "numpy"))
    record_property("said", f"{told}; {environment.megabytes()} MB")


def test_oldest_versions(
    wheel: Path, exported: Path, films_of_classes: Path, tmp_path: Path, record_property: Say
) -> None:
    """Every requirement at the floor that pyproject.toml gives it; then ONNX Runtime 1.21.1, peculiar too."""
    python = find_python(supported()[0])
    if python is None:
        pytest.skip(f"no Python {supported()[0]} on this machine")
    environment = Environment.make(python, tmp_path)
    floors = oldest("cpu")
    environment.pip("install", f"{wheel}[cpu]", *floors)
    use(environment, exported, films_of_classes)
    environment.script("parity.py", str(exported))
    environment.pip("install", "onnxruntime==1.21.1")
    environment.script("parity.py", str(exported))
    record_property("said", ", ".join(floors))


def test_the_base_alone(wheel: Path, exported: Path, tmp_path: Path, record_property: Say) -> None:
    """`pip install .`: the commands are there, and what lacks an extra names it, with a line that works."""
    python = find_python(supported()[-1]) or find_python(RUNNING)
    assert python is not None
    environment = Environment.make(python, tmp_path)
    environment.pip("install", str(wheel))
    size = environment.megabytes()
    assert int(environment.script("every_help.py")) > 15
    assert environment.json("doctor")["usable"]
    model = str(exported / "static.onnx")
    with pytest.raises(AssertionError, match=r"fix: pip install 'vmexport\[cpu\]'"):
        environment.vmexport("predict", model, "film.mp4")
    with pytest.raises(AssertionError, match=r"fix: pip install 'vmexport\[cpu,export\]'"):
        environment.vmexport("onnx", "videomamba_tiny")
    environment.pip("install", "vmexport[cpu]")
    assert environment.json("info", model)["tokens"] > 0
    record_property("said", f"the base takes {size} MB")
