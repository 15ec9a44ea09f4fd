"""Weights that an ONNX file says lie elsewhere: no file outside its folder is opened, no pipe waited for."""

from __future__ import annotations

import os
from pathlib import Path

import fuzz_onnx
import onnx
import pytest
from onnx import TensorProto, helper

from vmexport.errors import InputError
from vmexport.export.metadata import read_info
from vmexport.runtime import open_runner


def with_external(folder: Path, location: str, as_constant: bool) -> Path:
    """A model of ours that adds a tensor from a file to its logits."""
    seeds = folder / "seeds"
    seeds.mkdir()
    fuzz_onnx.seeds(seeds)
    model = onnx.load(str(seeds / "plain"))
    tensor = TensorProto(
        name="w", data_type=TensorProto.FLOAT, dims=[1, 3], data_location=TensorProto.EXTERNAL
    )
    for key, value in (("location", location), ("offset", "0"), ("length", "12")):
        tensor.external_data.add(key=key, value=value)
    adding = model.graph.node[1]
    adding.op_type = "Add"
    adding.input.append("w")
    if as_constant:
        constant = helper.make_node("Constant", [], ["w"])
        constant.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(tensor)
        model.graph.node.insert(0, constant)
    else:
        model.graph.initializer.append(tensor)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("as_constant", [False, True], ids=["initializer", "constant"])
@pytest.mark.parametrize(
    "location", ["/etc/hostname", "/dev/zero", "../secret", "seeds/../../secret", "link", "pipe", ""]
)
def test_no_file_elsewhere_is_opened(location: str, as_constant: bool, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(4096))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "link").symlink_to("/etc/hostname")
    os.mkfifo(folder / "pipe")
    path = with_external(folder, location, as_constant)
    with pytest.raises(InputError):
        read_info(path)
    with pytest.raises(InputError), open_runner(path):
        pass
