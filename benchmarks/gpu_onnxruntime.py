"""The whole model in ONNX Runtime's CUDA provider: videomamba_small, 16 frames, batch 1 and 8, fp16 and fp32.

Our ONNX files, with the operator library for CUDA; the logits are first compared with those of PyTorch
(float32, operators computed step by step, no TF32), then calls from host memory to host memory are timed.
Results go to results/<gpu>-onnxruntime.json, row by row. Where ONNX Runtime has no CUDA provider the
benchmark says so and ends with exit status 77.

    python benchmarks/gpu_onnxruntime.py [--quick]
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from common import argument_parser, begin, finish, in_turns, save, summary
from gpu_common import gpu_environment, nvidia_smi, require_gpu, short_name
from gpu_model import BATCHES, FRAMES, PRECISIONS, PRESET
from gpu_tensorrt import SKIPPED, write_inputs

from vmexport.errors import EnvironmentProblem
from vmexport.export import export_onnx
from vmexport.model import VideoMamba, create_model
from vmexport.runtime import open_runner
from vmexport.runtime.tolerance import TOLERANCES, compare_logits

ROUNDS = 50


def measure(model: VideoMamba, folder: Path, precision: str, inputs: tuple[Path, Path]) -> dict[str, Any]:
    """One file: exported, compared, timed.

    Raises:
        EnvironmentProblem: there is no CUDA provider, or no operator library for it.
    """
    clips, expected = (np.load(path) for path in inputs)
    file = folder / "model.onnx"
    export_onnx(model, file, batch=len(clips), precision=precision, check=False)
    with open_runner(file, device="cuda", library="require") as run:
        agreement = compare_logits(expected, run(clips))
        passed = agreement.within(TOLERANCES[precision])
        row = {
            "batch": len(clips),
            "precision": precision,
            "runtime": run.description,
            "parity": {"max_abs": agreement.max_abs, "cosine": agreement.cosine, "passed": passed},
        }
        if passed:
            row["times"] = summary(in_turns({"with transfers": lambda: run(clips)}, ROUNDS))
    return row


def show(row: Mapping[str, Any]) -> None:
    """One line a file; without a number where parity failed."""
    what = f"B={row['batch']} {row['precision']}  {row['runtime']}"
    if not row["parity"]["passed"]:
        print(f"{what}  no number: difference {row['parity']['max_abs']:.2g} of the logits")
        return
    print(f"{what}  {row['times']['with transfers']['median_ms']:.3f} ms, with transfers")


def main() -> int:
    """Run the benchmark; exit status 0, 6 (a file computes otherwise), or 77."""
    parser = argument_parser(__doc__)
    parser.add_argument("--quick", action="store_true", help="only fp16")
    options = parser.parse_args()
    device = require_gpu()
    run = begin(options)
    model = create_model(PRESET, frames=FRAMES)
    before = gpu_environment(device)
    name = f"{short_name(before['name'])}-onnxruntime"
    title = f"{PRESET}, {FRAMES} frames, ONNX Runtime's CUDA provider on {before['name']}"
    rows: list[dict[str, Any]] = []
    details = {"gpu": before, "rows": rows}
    try:
        with tempfile.TemporaryDirectory() as folder:
            for batch in BATCHES:
                inputs = write_inputs(model, Path(folder), batch, device)
                for precision in PRECISIONS[:1] if options.quick else PRECISIONS:
                    rows.append(measure(model, Path(folder), precision, inputs))
                    show(rows[-1])
                    save(run, name, title, [], details, complete=False)
    except EnvironmentProblem as problem:
        print(f"not run: {problem.what}; {problem.why}")
        return SKIPPED
    finish(run, name, title, [], {**details, "after": nvidia_smi()})
    wrong = [row for row in rows if not row["parity"]["passed"]]
    if wrong:
        print(f"{len(wrong)} of {len(rows)} files failed parity", file=sys.stderr)
        return 6
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
