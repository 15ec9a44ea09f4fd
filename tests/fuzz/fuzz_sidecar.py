"""Sidecars of engines, and with them everything that is said of a model in JSON.

python tests/fuzz/fuzz_sidecar.py [--seconds 600]
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from campaign import Read, Target, main


def seeds(folder: Path) -> None:
    """Sidecars of an engine with a plugin and of one for other GPUs."""
    from vmexport.config import Architecture, BatchProfile, ModelInfo, Preprocessing
    from vmexport.runtime.tensorrt import EngineInfo, PluginRecord

    model = ModelInfo(
        Architecture(d_model=32, depth=2, frames=4, size=32, num_classes=3),
        labels=("walk", "run", "Übung"),
        preprocessing=Preprocessing(stride=3),
        profile=BatchProfile(1, 2, 8),
        precision="fp16",
        extra={"parity": json.dumps({"status": "passed", "max_abs": 1e-4, "batches": [1, 2, 8]})},
    )
    info = EngineInfo(
        model=model,
        flavour="tensorrt",
        version="10.3.0",
        compute_capabilities=("8.7",),
        gpu="Orin",
        cuda="12.6",
        plugin=PluginRecord("0.1.0", embedded=True),
        hardware_compatibility="ampere_plus",
        version_compatible=True,
    ).of(b"engine")
    others = replace(info, flavour="rtx", compute_capabilities=("8.6", "12.0"), gpu="", cuda="", plugin=None)
    for name, one in {"plugin": info, "others": others}.items():
        (folder / name).write_text(json.dumps(one.to_dict(), ensure_ascii=False), encoding="utf-8")


def reader() -> Read:
    """What `info` shows of an engine, and what a runner asks before it touches the engine."""
    from vmexport.runtime.record import refuse_failed
    from vmexport.runtime.tensorrt import read_sidecar

    def read(path: Path) -> None:
        info = read_sidecar(path.with_suffix(""))
        assert isinstance(info.parity, dict)
        refuse_failed(info.model, "the model")
        assert json.loads(json.dumps(info.to_dict(), allow_nan=False))

    return read


WORDS = (
    *("{", "}", "[", "]", ":", ",", "null", "true", "NaN", "-Infinity", "1e999", "-1", "9223372036854775808"),
    *(
        "architecture",
        "labels",
        "preprocessing",
        "profile",
        "precision",
        "extra",
        "parity",
        "status",
        "failed",
    ),
    *("mean", "std", "stride", "d_model", "depth", "frames", "num_classes", "directions", "cls_position"),
    *("\\u0000", "\\ud800", "0.5"),
)
PARITY_FAILED = 6
TARGET = Target("sidecar", "model.engine.json", seeds, reader, words=WORDS, allowed=(PARITY_FAILED,))

if __name__ == "__main__":
    sys.exit(main(TARGET))
