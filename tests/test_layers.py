"""The walls: who may import whom, what the kernels may include, and what costs nothing to import."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

LAYERS = (
    {"text", "documents", "errors", "extras", "package", "debris", "files", "opening"},
    {"config"},
    {"native"},
    {"ops"},
    {"model", "video"},
    {"data", "foreign"},
    {"train", "runtime"},
    {"eval"},
    {"export"},
    {"check"},
    {"doctor"},
    {"bench"},
    {"cli"},
)
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}
DATA_ONLY = {"_native", "_models"}
ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "vmexport"
SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem in LEVEL)
MODULES = [
    "vmexport",
    *(
        module.name
        for module in pkgutil.walk_packages([str(PACKAGE)], "vmexport.")
        if not module.name.startswith("vmexport._")
    ),
]

FRAMEWORKS = re.compile(
    r"#\s*include\s*[<\"][^>\"]*(torch|ATen|c10|onnxruntime|NvInfer|pybind|Python\.h)", re.I
)


def part_of(path: Path) -> str:
    """`ops` for vmexport/ops/native.py, `errors` for vmexport/errors.py."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_parts(path: Path) -> Iterator[tuple[str, int]]:
    """Parts of vmexport that a file imports, in functions and for type checking too, with the line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative imports hide the layer"
            names = [node.module or ""]
            if node.module == "vmexport":
                names = [f"vmexport.{alias.name}" for alias in node.names]
        for name in names:
            pieces = name.split(".")
            if pieces[0] == "vmexport" and len(pieces) > 1 and pieces[1] != "__version__":
                yield pieces[1], getattr(node, "lineno", 0)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_its_left(path: Path) -> None:
    part = part_of(path)
    if part in DATA_ONLY:
        assert not list(imported_parts(path))
        return
    assert part in LEVEL, f"{part} has no place among the layers"
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {part} imports {other}"
        for other, line in imported_parts(path)
        if other != part
        and LEVEL.get(other, len(LAYERS)) >= LEVEL[part]
        and not (LEVEL.get(other) == LEVEL[part] == 0)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("folder", ["scan", "capi"])
def test_kernels_include_no_framework(folder: str) -> None:
    sources = [
        path
        for path in (ROOT / "plugins" / folder).rglob("*")
        if path.suffix in {".h", ".cpp", ".cu", ".cuh"}
    ]
    assert sources
    for path in sources:
        found = FRAMEWORKS.search(path.read_text(encoding="utf-8"))
        assert found is None, f"{path.relative_to(ROOT)}: {found.group(0) if found else ''}"


@pytest.mark.parametrize(
    "module",
    [
        "vmexport",
        "vmexport.cli.main",
        "vmexport.ops",
        "vmexport.ops.schema",
        "vmexport.ops.native",
        "vmexport.config",
    ],
)
def test_import_is_light(module: str) -> None:
    code = (
        f"import sys, {module}\n"
        "heavy = {'torch', 'onnx', 'onnxruntime', 'onnxscript', 'av'} & set(sys.modules)\n"
        "raise SystemExit(f'imports {sorted(heavy)}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_of_every_module_is_there(name: str) -> None:
    try:
        module = importlib.import_module(name)
        names = getattr(module, "__all__", ())
        assert len(set(names)) == len(names)
        assert set(names) <= set(dir(module))
        for public in names:
            assert getattr(module, public) is not None, public
    except ModuleNotFoundError as error:
        package = (error.name or "vmexport").partition(".")[0]
        if package == "vmexport" or importlib.util.find_spec(package):
            raise
        pytest.skip(f"{package} is not installed")


def test_the_faces() -> None:
    import vmexport

    assert {"benchmark", "export_onnx", "ops", "train_model"} <= set(vars(vmexport)["__all__"])
    assert vmexport.__version__
    for name in vars(vmexport.ops)["__all__"]:
        assert callable(getattr(vmexport.ops, name))


@pytest.mark.parametrize("module", ["vmexport", "vmexport.ops", "vmexport.bench", "vmexport.data"])
def test_an_unknown_name_is_an_attribute_error(module: str) -> None:
    with pytest.raises(AttributeError, match=rf"No {module} attribute nothing"):
        __import__(module, fromlist=["x"]).nothing  # noqa: B018


def module_of(path: Path) -> str:
    """`vmexport.ops.native` for vmexport/ops/native.py."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCE_OF = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    """Modules of vmexport that a file needs while it is imported itself, with the line.

    What stands in functions and under `if TYPE_CHECKING` does not count, and faces that load their names on
    first use need nothing.
    """
    waiting: list[ast.AST] = list(ast.parse(path.read_text(encoding="utf-8")).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names if alias.name in SOURCE_OF)
        elif isinstance(node, ast.ImportFrom) and node.module in SOURCE_OF:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield (inner if inner in SOURCE_OF else node.module), node.lineno
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting.extend(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))


def test_nobody_inside_imports_the_face() -> None:
    """Only the program looks at `vmexport/__init__`; the parts import each other where they stand."""
    faces = (PACKAGE / "__init__.py", PACKAGE / "__main__.py")
    wrong = []
    for path in set(SOURCE_OF.values()) - set(faces):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            plain = isinstance(node, ast.Import) and any(alias.name == "vmexport" for alias in node.names)
            named = isinstance(node, ast.ImportFrom) and node.module == "vmexport"
            if plain or named:
                wrong.append(f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}")
    assert not wrong


def test_no_module_needs_itself() -> None:
    """No circle among the modules at import time."""
    needs: dict[str, set[str]] = {
        name: {other for other, _ in imports_of(path)} - {name} for name, path in SOURCE_OF.items()
    }
    while True:
        free = {name for name, others in needs.items() if not others & set(needs)}
        if not free:
            break
        needs = {name: others for name, others in needs.items() if name not in free}
    assert not needs, "in a circle, or in need of one: " + ", ".join(sorted(needs))
