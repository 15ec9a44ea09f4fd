"""docs/operators.md says what the header of the kernels says: names, shapes, dtypes, limits."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vmexport.ops import schema

OPERATORS = {
    "vmexport_scan_params": (*schema.SCAN_TENSORS, schema.SCAN_OUTPUT),
    "vmexport_conv_params": (*schema.CONV_TENSORS, schema.CONV_OUTPUT),
}


@pytest.fixture(scope="module")
def header(root_dir: Path) -> str:
    """The parameter structs in C, with their comments."""
    return (root_dir / "plugins/scan/params.h").read_text(encoding="utf-8")


def fields(header: str, struct: str) -> dict[str, tuple[str, str]]:
    """C type and commented shape of each pointer of a struct, by name in small letters."""
    body = re.search(rf"typedef struct {struct} {{(.*?)}} {struct};", header, re.DOTALL)
    assert body is not None
    found = re.findall(r"^\s*(?:const )?(void|float)\* (\w+);\s*// (\([^)]*\))", body[1], re.MULTILINE)
    return {name: (kind, shape) for kind, name, shape in found}


@pytest.mark.parametrize("struct", OPERATORS)
def test_every_tensor_has_the_headers_shape_and_dtype(struct: str, header: str) -> None:
    declared = fields(header, struct)
    for tensor in OPERATORS[struct]:
        kind, shape = declared.pop(tensor.name.lower())
        assert shape == tensor.shape, tensor.name
        assert (kind == "float") == (tensor.dtype == schema.PARAMETER), tensor.name
    assert set(declared) <= {"last_state"}  # of the C interface alone, as operators.md says


def test_limits_orders_and_dtypes_are_the_headers(header: str) -> None:
    limits = dict(re.findall(r"#define VMEXPORT_(MAX_\w+) (\d+)", header))
    assert limits == {
        name: str(getattr(schema, name)) for name in ("MAX_DIRECTIONS", "MAX_STATES", "MAX_TAPS")
    }
    for order in schema.ScanOrder:
        assert f"VMEXPORT_{order.name} = {order.value}," in header
    for code, dtype in enumerate(schema.ACTIVATION_DTYPES):
        assert f"VMEXPORT_{dtype.upper()} = {code}," in header


def test_attributes_are_those_that_each_front_end_reads(root_dir: Path) -> None:
    names = [*schema.ATTRIBUTES, schema.SCALE_ATTRIBUTE.name]
    for source in ("plugins/tensorrt/identity.h", "plugins/onnxruntime/support.cpp"):
        text = (root_dir / source).read_text(encoding="utf-8")
        missing = [name for name in names if f'"{name}"' not in text]
        assert missing in ([], ["scale"]), source  # ONNX Runtime's kernel of the scan reads its scale itself


def test_the_plugins_namespace_is_one_everywhere(root_dir: Path) -> None:
    for source in ("plugins/tensorrt/identity.h", "plugins/runner/onnx_file.cpp"):
        text = (root_dir / source).read_text(encoding="utf-8")
        assert f'kPluginNamespace = "{schema.PLUGIN_NAMESPACE}";' in text, source
    page = (root_dir / "docs" / "operators.md").read_text(encoding="utf-8")
    assert f'`{schema.PLUGIN_NAMESPACE_ATTRIBUTE} = "{schema.PLUGIN_NAMESPACE}"`' in page
