"""Small files of every kind, each compared with PyTorch, with the operator library and without it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import vmexport

KINDS: dict[str, dict[str, Any]] = {
    "static": {},
    "dynamic": {"batch": "1:2:3"},
    "half": {"precision": "fp16"},
}

model = vmexport.create_model("videomamba_tiny", frames=2, size=32, depth=2, num_classes=5)
with tempfile.TemporaryDirectory() as folder:
    for name, settings in KINDS.items():
        path = Path(folder) / f"{name}.onnx"
        vmexport.export_onnx(model, path, check=False, **settings)
        for library in ("require", "off"):
            vmexport.check_parity(model, path, library=library).require()
            print(name, library)
