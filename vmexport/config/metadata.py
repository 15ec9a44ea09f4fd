"""What travels inside every model file, as text: architecture, labels, preprocessing, batch profile."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from vmexport.config.architecture import Architecture
from vmexport.config.choices import Precision
from vmexport.config.preprocessing import Preprocessing
from vmexport.config.profile import BatchProfile
from vmexport.documents import fit, parse_json
from vmexport.errors import InputError, VmexportError, brief

PREFIX = "vmexport."
FORMAT_VERSION = "1"
FORM_ENTRY, PORTABLE = "form", "portable"
"""Key and value in `ModelInfo.extra` of a portable ONNX file."""


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    """What `ModelInfo.to_dict` writes; what it wrote in older files may lack entries."""

    architecture: dict[str, Any]
    labels: tuple[str, ...] = ()
    preprocessing: dict[str, Any] = {}
    profile: str | int = "1"
    precision: Precision = Precision.FP32
    extra: dict[str, str] = {}


@dataclass(frozen=True)
class ModelInfo:
    """All that a file says of itself.

    Attributes:
        architecture: the network.
        labels: one name a class, or empty where unknown.
        preprocessing: how frames become the input.
        profile: batches served (ONNX and engines).
        precision: "fp32", "fp16" or "bf16".
        extra: further text entries, such as the parity record of an export (JSON).
    """

    architecture: Architecture
    labels: tuple[str, ...] = ()
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    profile: BatchProfile = field(default_factory=BatchProfile)
    precision: str = "fp32"
    extra: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))
        if self.labels and len(self.labels) != self.architecture.num_classes:
            raise InputError(
                "the labels do not match the head",
                f"{len(self.labels)} labels for {self.architecture.num_classes} classes",
                "give one label a class, in class order",
            )

    @property
    def portable(self) -> bool:
        """Whether an ONNX file holds standard operators alone, which no operator library serves."""
        return self.extra.get(FORM_ENTRY) == PORTABLE

    def label(self, index: int) -> str:
        """The name of a class, or `class 17` where names are unknown."""
        return self.labels[index] if self.labels else f"class {index}"

    def to_metadata(self) -> dict[str, str]:
        """Text entries for safetensors metadata or ONNX `metadata_props`."""
        entries = self.to_dict()
        extra = {PREFIX + key: value for key, value in entries.pop("extra").items()}
        texts = {PREFIX + key: json.dumps(value) for key, value in entries.items()}
        return {**extra, **texts, PREFIX + "format": FORMAT_VERSION}

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that JSON can hold."""
        return {
            "architecture": self.architecture.to_dict(),
            "labels": list(self.labels),
            "preprocessing": self.preprocessing.to_dict(),
            "profile": str(self.profile),
            "precision": self.precision,
            "extra": dict(self.extra),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelInfo:
        """The reverse of `to_dict`.

        Raises:
            ValueError, VmexportError: it is no such dictionary.
        """
        found = fit(values, _Document)
        return cls(
            architecture=Architecture.from_dict(found.architecture),
            labels=found.labels,
            preprocessing=Preprocessing.from_dict(found.preprocessing),
            profile=BatchProfile.parse(found.profile),
            precision=found.precision.value,
            extra=found.extra,
        )

    @classmethod
    def from_metadata(cls, texts: Mapping[str, str], source: str) -> ModelInfo:
        """The reverse of `to_metadata`; `source` names the file in errors.

        Raises:
            InputError: the entries are missing, damaged or of a newer format.
        """
        entries = {key[len(PREFIX) :]: value for key, value in texts.items() if key.startswith(PREFIX)}
        if "architecture" not in entries:
            raise InputError(
                f"{source} was not written by vmexport",
                "it carries no vmexport.architecture entry",
                "convert a checkpoint first: vmexport convert CHECKPOINT -o model.safetensors",
            )
        if entries.pop("format", FORMAT_VERSION) != FORMAT_VERSION:
            raise InputError(f"{source} has a newer metadata format", "", "pip install --upgrade vmexport")
        try:
            known = {key: parse_json(entries.pop(key)) for key in _KNOWN if key in entries}
            return cls.from_dict({**known, "extra": entries})
        except (ValueError, VmexportError) as error:
            raise InputError(
                f"the metadata of {source} is damaged", brief(error), "copy it again, or write it again"
            ) from error


_KNOWN = ("architecture", "labels", "preprocessing", "profile", "precision")
