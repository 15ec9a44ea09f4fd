"""ONNX files: their metadata, read with and without a session.

python tests/fuzz/fuzz_onnx.py [--seconds 600]
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from campaign import Mutator, Read, Target, main
from fuzz_sidecar import WORDS


def seeds(folder: Path) -> None:
    """The smallest graphs with clips in and logits out, under the metadata of three models."""
    import onnx
    from onnx import TensorProto, helper

    from vmexport.config import Architecture, BatchProfile, ModelInfo
    from vmexport.export.metadata import write_info

    clips = helper.make_tensor_value_info("clips", TensorProto.FLOAT, ["B", 3, 2, 32, 32])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", 3])
    nodes = [
        helper.make_node("ReduceMean", ["clips"], ["mean"], axes=[2, 3, 4], keepdims=0),
        helper.make_node("Identity", ["mean"], ["logits"]),
    ]
    graph = helper.make_graph(nodes, "main", [clips], [logits])
    architecture = Architecture(d_model=16, depth=1, frames=2, size=32, num_classes=3)
    for name, info in {
        "plain": ModelInfo(architecture),
        "labels": ModelInfo(architecture, labels=("a", "b", "Übung"), profile=BatchProfile(1, 2, 4)),
        "record": ModelInfo(architecture, extra={"parity": '{"status": "passed"}', "form": "portable"}),
    }.items():
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        write_info(model, info)
        onnx.save(model, str(folder / name))


def reader() -> Read:
    """As `info` reads it, then as a runner opens it."""
    from vmexport.export.metadata import read_info
    from vmexport.runtime import open_runner

    def read(path: Path) -> None:
        read_info(path).to_dict()
        with open_runner(path, threads=1, library="off") as runner:
            assert runner.description

    return read


def mutator() -> Mutator:
    """Every other time, one metadata entry alone is changed, so that the file stays one of ONNX."""
    import atheris
    import onnx

    def mutate(content: bytes, largest: int, seed: int) -> bytes:
        dice = random.Random(seed)
        if dice.random() < 0.5:
            try:
                model = onnx.ModelProto.FromString(content)
                entry = dice.choice(model.metadata_props)
                entry.value = atheris.Mutate(entry.value.encode(), len(entry.value) + 256).decode(
                    "utf-8", "replace"
                )
                return bytes(model.SerializeToString())[:largest]
            except Exception:  # no model any more: as bytes then
                pass
        return bytes(atheris.Mutate(content, largest))

    return mutate


USAGE, ENVIRONMENT, PARITY_FAILED = 2, 3, 6
TARGET = Target("onnx", "model.onnx", seeds, reader, mutator, WORDS, allowed=(ENVIRONMENT, PARITY_FAILED))

if __name__ == "__main__":
    sys.exit(main(TARGET))
