"""`model.engine.json`: what an engine was built from, by what and for what, beside the engine itself.

No byte is added to an engine: trtexec must load it. The engine's digest is in the sidecar, so that two files
which do not belong together, because a copy or a rebuild was cut short, are recognised before any is loaded.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from vmexport.config import ModelInfo
from vmexport.config.names import WRITE_ENGINE
from vmexport.documents import fit, read_json
from vmexport.errors import InputError, VmexportError, brief
from vmexport.files import atomic_write
from vmexport.opening import check_readable
from vmexport.ops.schema import OLD_PLUGIN_NAMESPACE
from vmexport.runtime.record import read_record
from vmexport.runtime.tensorrt.versions import NO_COMPATIBILITY

FORMAT_VERSION = 1
REBUILD = "build it again: vmexport trt MODEL -o {path}"


@dataclass(frozen=True)
class PluginRecord:
    """The plugin that an engine needs.

    Attributes:
        version: of vmexport, whose plugin library built the engine.
        embedded: whether the library travels inside the engine; otherwise it must be there to load it.
        namespace: where TensorRT looks for it; empty in engines from before it had one.
    """

    version: str
    embedded: bool = False
    namespace: str = OLD_PLUGIN_NAMESPACE


@dataclass(frozen=True)
class EngineInfo:
    """All that an engine's sidecar says.

    Attributes:
        model: architecture, labels, preprocessing, batch profile, precision; in `extra` the parity record.
        flavour: "tensorrt" or "rtx".
        version: of the library that built it, such as `10.3.0`.
        compute_capabilities: of the GPUs it was built for, such as `("8.7",)`.
        gpu: name of the GPU it was built on; empty where it was built ahead of time.
        cuda: CUDA version that the driver served there; empty without one.
        plugin: the plugin it needs, or None where function bodies compute.
        hardware_compatibility: one of `HARDWARE_LEVELS`.
        version_compatible: whether newer versions of TensorRT can run it.
        size_bytes: of the engine.
        sha256: of the engine, hexadecimal.
    """

    model: ModelInfo
    flavour: str
    version: str
    compute_capabilities: tuple[str, ...]
    gpu: str = ""
    cuda: str = ""
    plugin: PluginRecord | None = None
    hardware_compatibility: str = NO_COMPATIBILITY
    version_compatible: bool = False
    size_bytes: int = 0
    sha256: str = ""

    def of(self, engine: bytes | memoryview) -> EngineInfo:
        """The same, for these bytes of an engine."""
        return replace(self, size_bytes=len(engine), sha256=hashlib.sha256(engine).hexdigest())

    @property
    def parity(self) -> dict[str, Any]:
        """The parity record; empty where there is none."""
        return read_record(self.model, "an engine")

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that JSON can hold."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["model"] = self.model.to_dict()
        values["compute_capabilities"] = list(self.compute_capabilities)
        values["plugin"] = None if self.plugin is None else asdict(self.plugin)
        return {"format": FORMAT_VERSION, **values}


def sidecar_path(engine: Path | str) -> Path:
    """`model.engine.json` for `model.engine`."""
    return Path(f"{engine}.json")


def write_engine(path: Path | str, engine: bytes | memoryview, info: EngineInfo) -> EngineInfo:
    """Write an engine and its sidecar, each at once or not at all.

    The engine comes first: a crash between the two leaves it without sidecar, or with one whose digest is not
    its own, and runners refuse both.

    Args:
        path: the engine.
        engine: its bytes.
        info: what to say of it; size and digest are filled in here.

    Returns:
        what the sidecar says.

    Raises:
        InputError: the place cannot be written.
        BuildError: the disk is full; nothing was left behind.
    """
    path, info = Path(path), info.of(engine)
    with atomic_write(path) as temporary:
        temporary.write_bytes(engine)
    write_sidecar(path, info)
    return info


def write_sidecar(engine: Path | str, info: EngineInfo) -> None:
    """Write the sidecar of an engine that lies there already, for instance with its parity record.

    Raises:
        InputError: the place cannot be written.
        BuildError: the disk is full.
    """
    text = json.dumps(info.to_dict(), indent=1, ensure_ascii=False)
    with atomic_write(sidecar_path(engine)) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_sidecar(engine: Path | str) -> EngineInfo:
    """What an engine's sidecar says; needs neither TensorRT nor a GPU.

    Raises:
        InputError: there is no sidecar, it is damaged, or of a newer format.
    """
    path, rebuild = sidecar_path(engine), REBUILD.format(path=engine)
    if not path.exists():
        raise InputError(
            f"{engine} has no sidecar",
            f"{path} does not exist, which says what the engine takes and where it runs",
            f"copy both files together, or {rebuild}",
        )
    try:
        values = read_json(path)
    except (ValueError, VmexportError) as error:
        raise InputError(f"cannot read {path}", brief(error), rebuild) from error
    if not isinstance(values, dict) or "format" not in values:
        raise InputError(f"{path} was not written by vmexport", "it names no format", rebuild)
    if values["format"] != FORMAT_VERSION:
        why = f"expected format {FORMAT_VERSION}, got {values['format']!r}"
        raise InputError(
            f"{path} has another format than this version reads", why, "pip install --upgrade vmexport"
        )
    try:
        return _parse(values)
    except (ValueError, VmexportError) as error:
        raise InputError(f"{path} is damaged", brief(error), rebuild) from error


def read_engine(path: Path | str) -> tuple[EngineInfo, bytes]:
    """The sidecar and the bytes of an engine, which belong together; whether to trust them is not asked here.

    Raises:
        InputError: no such file, no sidecar, one of them is damaged, or they do not belong together.
    """
    path = Path(path)
    check_readable(path, WRITE_ENGINE)
    info = read_sidecar(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}", error.strerror or str(error), f"chmod +r {path}") from error
    check_digest(path, content, info)
    return info, content


def check_digest(path: Path | str, engine: bytes, info: EngineInfo) -> None:
    """Refuse an engine that is not the one its sidecar describes.

    Raises:
        InputError: it was cut short, or is another engine.
    """
    rebuild = REBUILD.format(path=path)
    if len(engine) < info.size_bytes:
        why = f"expected {info.size_bytes} bytes, got {len(engine)}"
        raise InputError(f"{path} was cut short", why, f"copy it again, or {rebuild}")
    if len(engine) != info.size_bytes or hashlib.sha256(engine).hexdigest() != info.sha256:
        raise InputError(
            f"{path} is not the engine that its sidecar describes",
            f"expected {info.size_bytes} bytes, SHA-256 {info.sha256[:16]}..., got {len(engine)} other bytes",
            f"copy both files together, or {rebuild}",
        )


class _Plugin(msgspec.Struct, forbid_unknown_fields=True):
    """What a `PluginRecord` becomes."""

    version: str
    embedded: bool
    namespace: str = OLD_PLUGIN_NAMESPACE


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    """What `EngineInfo.to_dict` writes."""

    format: int
    model: dict[str, Any]
    flavour: Literal["tensorrt", "rtx"]
    version: str
    compute_capabilities: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    gpu: str
    cuda: str
    plugin: _Plugin | None
    hardware_compatibility: Literal["none", "ampere_plus", "same_compute_capability"]
    version_compatible: bool
    size_bytes: Annotated[int, msgspec.Meta(ge=0)]
    sha256: str


def _parse(values: Any) -> EngineInfo:
    """The record in a dictionary.

    Raises:
        ValueError, VmexportError: it is damaged.
    """
    found = msgspec.structs.asdict(fit(values, _Document))
    del found["format"]
    plugin = found["plugin"] and PluginRecord(**msgspec.structs.asdict(found["plugin"]))
    info = EngineInfo(**{**found, "model": ModelInfo.from_dict(found["model"]), "plugin": plugin})
    _ = info.parity  # a record that nobody can read is damage too
    return info
