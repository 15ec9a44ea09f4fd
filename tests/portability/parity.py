"""Exported files against the logits that PyTorch gave: `parity.py FOLDER`, with NumPy and ONNX Runtime alone.

The folder holds `clips.npy (4, 3, T, H, W)`, `logits.npy (4, classes)` and the files; a line a comparison.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from vmexport.runtime import open_runner
from vmexport.runtime.tolerance import TOLERANCES, compare_logits

folder = Path(sys.argv[1])
clips, logits = np.load(folder / "clips.npy"), np.load(folder / "logits.npy")
for path in sorted(folder.glob("*.onnx")):
    for library in ("require", "off"):
        with open_runner(path, library=library) as runner:
            profile = runner.info.profile
            for batch in sorted({profile.minimum, profile.optimum, profile.maximum}):
                agreement = compare_logits(logits[:batch], runner(clips[:batch]))
                told = f"{path.stem}, {runner.description}, batch {batch}: {agreement.max_abs:.1e}"
                assert agreement.within(TOLERANCES[runner.info.precision]), told
                print(told)
