"""Exporting and training with PyTorch: the newest packages, then the oldest that pyproject.toml allows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from environments import Environment, oldest

Say = Callable[[str, object], None]
TINY = ("--frames", "2", "--size", "32")
QUICK = ("--epochs", "1", "--batch-size", "4", "--workers", "1", "--device", "cpu",
         "--set", "architecture.d_model=16", "--set", "architecture.depth=1")  # fmt: skip


def test_newest(exporter: Environment, record_property: Say) -> None:
    """`pip install '.[cpu,export]'`: the chain of the README's words, up to a prediction."""
    assert exporter.json("doctor")["usable"]
    assert int(exporter.script("every_help.py")) > 15
    exporter.script("export_files.py")
    exporter.vmexport("onnx", "videomamba_tiny", *TINY)
    rows = exporter.json("bench", "--runs", "2")["results"]
    assert {row["backend"] for row in rows if row["status"] == "measured"} == {"torch", "ort", "ort-body"}
    record_property("said", f"{versions(exporter)}; {exporter.megabytes()} MB")


def test_the_line_that_training_asks_for(exporter: Environment) -> None:
    """What `train` prints where its extra is missing can be copied, from any folder, and then it trains."""
    exporter.vmexport(
        "data", "synth", "motion", "--clips", "16", "--classes", "2", "--frames", "8", "--size", "32"
    )
    words = ("train", "--data", "motion", "--config", "synthetic", *TINY, *QUICK)
    with pytest.raises(AssertionError, match=r"fix: pip install 'vmexport\[train\]'"):
        exporter.vmexport(*words)
    exporter.pip("install", "vmexport[train]")
    assert len(exporter.json(*words)["epochs"]) == 1
    exporter.vmexport("onnx")


def test_oldest(exporter: Environment, record_property: Say) -> None:
    """The floors of everything but PyTorch, whose floor is what the Makefile installs."""
    exporter.pip("install", *(line for line in oldest("cpu", "export") if not line.startswith("torch")))
    exporter.script("export_files.py")
    record_property("said", versions(exporter))


def versions(environment: Environment) -> str:
    """Of what an export depends on."""
    names = ("torch", "onnx", "onnxscript", "onnxruntime", "numpy", "safetensors")
    found = environment.json("doctor")["environment"]["packages"]
    return ", ".join(f"{name} {found[name]}" for name in names)
