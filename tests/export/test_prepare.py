"""Graphs for TensorRT: form, precision and profile as asked for, the same function as before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from small import noise, small_model

from vmexport.config import BatchProfile
from vmexport.errors import InputError, ParityError, UsageError
from vmexport.export import export_onnx
from vmexport.export.attach import ONE_LEVEL, TWO_LEVEL
from vmexport.export.metadata import load_onnx, read_info, read_metadata, write_info
from vmexport.export.prepare import FORMS, PLUGIN, Prepared, name_plugins, prepare
from vmexport.runtime import open_runner
from vmexport.runtime.torch_runner import TorchRunner


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float32 file that serves batch 1 to 3."""
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export_onnx(small_model(), path, batch="1:2:3", check=False)
    return path


def run(prepared: Prepared, folder: Path, batch: int) -> Any:
    """Logits of ONNX Runtime without our library."""
    path = folder / "prepared.onnx"
    onnx.save(prepared.model, str(path))
    with open_runner(path, library="off") as runner:
        return runner(noise(prepared.info.architecture, batch))


def expected(prepared: Prepared, batch: int) -> Any:
    assert prepared.reference is not None
    with TorchRunner(prepared.reference) as runner:
        return runner(noise(prepared.info.architecture, batch))


def functions(prepared: Prepared) -> list[str]:
    return [function.name for function in prepared.model.functions]


@pytest.mark.parametrize("form", [ONE_LEVEL, TWO_LEVEL])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_every_form_computes_what_pytorch_does(
    exported: Path, tmp_path: Path, form: str, precision: str
) -> None:
    for source in (exported, small_model()):
        prepared = prepare(source, precision=precision, profile=BatchProfile(1, 2, 3), form=form)
        assert (prepared.info.precision, str(prepared.info.profile)) == (precision, "1:2:3")
        for batch in (1, 3):
            atol = 1e-5 if precision == "fp32" else 2e-2
            np.testing.assert_allclose(run(prepared, tmp_path, batch), expected(prepared, batch), atol=atol)


def test_a_file_that_fits_keeps_its_graph(exported: Path) -> None:
    prepared = prepare(exported, form=PLUGIN)
    before = load_onnx(exported)
    assert functions(prepared) == []
    assert [n.SerializeToString() for n in prepared.model.graph.node] == [
        n.SerializeToString() for n in before.graph.node
    ]
    assert read_metadata(prepared.model, "prepared").architecture == read_info(exported).architecture


@pytest.mark.parametrize("form", FORMS)
def test_plugins_are_named_where_they_serve(exported: Path, tmp_path: Path, form: str) -> None:
    """In nodes of old files too. A parser prefers a plugin that is named to a body: these come without."""
    old = load_onnx(exported)
    name_plugins(old, wanted=False)
    assert namespaces(old) == {None}
    onnx.save(old, str(tmp_path / "old.onnx"))
    for source in (exported, tmp_path / "old.onnx"):
        prepared = prepare(source, form=form, reference=False)
        assert namespaces(prepared.model) == {"vmexport" if form == PLUGIN else None}


def namespaces(model: onnx.ModelProto) -> set[str | None]:
    """Where our nodes have TensorRT look for their plugins."""
    return {
        next((one.s.decode() for one in node.attribute if one.name == "plugin_namespace"), None)
        for node in model.graph.node
        if node.domain == "vmexport"
    }


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_weights_and_activations_are_typed_and_islands_are_not(exported: Path, precision: str) -> None:
    prepared = prepare(exported, precision=precision)
    types = {tensor.name: tensor.data_type for tensor in prepared.model.graph.initializer}
    half = TensorProto.FLOAT16 if precision == "fp16" else TensorProto.BFLOAT16
    assert types["blocks.0.mixer.x_weight"] == types["embedding.patch_weight"] == half
    for island in ("A", "D", "dt_bias", "conv_weight"):
        assert types[f"blocks.1.mixer.{island}"] == TensorProto.FLOAT
    assert types["norm.weight"] == TensorProto.FLOAT
    assert read_metadata(prepared.model, "prepared").precision == precision


def test_bfloat16_agrees_with_pytorch(tmp_path: Path) -> None:
    """Few runtimes have kernels for it on a CPU; the network itself in bfloat16 has to be close."""
    from vmexport.model import freeze

    model = small_model()
    clips = torch.from_numpy(noise(model.architecture, 2))
    with torch.inference_mode():
        whole, half = freeze(model)(clips), freeze(model, "bf16")(clips)
    assert half.dtype == torch.float32
    assert 0 < (half - whole).abs().max() < 0.1 * whole.abs().max()
    assert torch.equal(half.argmax(1), whole.argmax(1))
    onnx.save(prepare(model, precision="bf16").model, str(tmp_path / "bf16.onnx"))
    onnx.checker.check_model(str(tmp_path / "bf16.onnx"))


def test_another_profile_is_traced_again(exported: Path, tmp_path: Path) -> None:
    for profile in (BatchProfile(2, 2, 2), BatchProfile(1, 4, 8)):
        prepared = prepare(exported, profile=profile, form=ONE_LEVEL)
        axis = prepared.model.graph.input[0].type.tensor_type.shape.dim[0]
        assert bool(axis.dim_param) == profile.dynamic
        np.testing.assert_allclose(
            run(prepared, tmp_path, profile.maximum), expected(prepared, profile.maximum), atol=1e-5
        )


def test_a_half_precision_file_stays_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "half.onnx"
    export_onnx(small_model(), path, precision="fp16", check=False)
    assert prepare(path).info.precision == "fp16"
    for precision in ("fp32", "bf16"):
        with pytest.raises(UsageError, match="rounded to fp16") as caught:
            prepare(path, precision=precision)
        assert f"--{precision}" in caught.value.fix


def changed(path: Path, folder: Path, change: Any) -> Path:
    """A copy of a file with something changed."""
    model = load_onnx(path)
    change(model)
    onnx.save(model, str(folder / "changed.onnx"))
    return folder / "changed.onnx"


def test_files_that_no_engine_can_be_built_from(exported: Path, tmp_path: Path) -> None:
    def newer(model: Any) -> None:
        next(entry for entry in model.opset_import if entry.domain == "vmexport").version = 2

    def without(model: Any) -> None:
        keep = [node for node in model.graph.node if node.domain != "vmexport"]
        del model.graph.node[:]
        model.graph.node.extend(keep)

    def failed(model: Any) -> None:
        info = read_metadata(model, "x")
        write_info(model, type(info)(**{**vars(info), "extra": {"parity": '{"status": "failed"}'}}))

    with pytest.raises(InputError, match="version 2 of the operators"):
        prepare(changed(exported, tmp_path, newer))
    with pytest.raises(InputError, match="holds no vmexport::SelectiveScan"):
        prepare(changed(exported, tmp_path, without))
    with pytest.raises(ParityError, match="failed the parity check"):
        prepare(changed(exported, tmp_path, failed))
    with pytest.raises(InputError, match="was not written by vmexport"):
        prepare(changed(exported, tmp_path, lambda model: model.ClearField("metadata_props")))
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [], [])
    onnx.save(helper.make_model(graph), str(tmp_path / "other.onnx"))
    with pytest.raises(InputError, match="holds no vmexport"):
        prepare(tmp_path / "other.onnx")
    (tmp_path / "half.onnx").write_bytes(exported.read_bytes()[:999])
    with pytest.raises(InputError, match="damaged"):
        prepare(tmp_path / "half.onnx")
    with pytest.raises(InputError, match="no such file"):
        prepare(tmp_path / "nowhere.onnx")


def test_unknown_words_and_damaged_weights() -> None:
    model = small_model()
    with pytest.raises(UsageError, match=", ".join(FORMS)):
        prepare(model, form="three level")
    with pytest.raises(UsageError, match="fp32, fp16, bf16"):
        prepare(model, precision="int8")
    with torch.no_grad():
        next(model.parameters()).fill_(float("inf"))
    with pytest.raises(InputError, match="NaN or infinity"):
        prepare(model)


def test_a_file_that_fits_needs_no_network(exported: Path) -> None:
    """What a board without torch asks for: the same graph, and nothing to compare it with."""
    whole, lean = prepare(exported), prepare(exported, reference=False)
    assert lean.reference is None
    assert lean.model == whole.model
    assert prepare(exported, precision="fp16", reference=False).reference is not None  # traced again
