"""What a package index shows of vmexport: licence, authors, the Pythons that are tested; no address."""

from __future__ import annotations

from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def metadata(root_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Message:
    """The wheel's METADATA, as the build backend writes it."""
    backend = pytest.importorskip("scikit_build_core.build", reason="it writes the metadata")
    folder = tmp_path_factory.mktemp("metadata")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root_dir)
        name = backend.prepare_metadata_for_build_wheel(str(folder), {"wheel.cmake": "false"})
    return Parser().parsestr((folder / name / "METADATA").read_text(encoding="utf-8"))


def test_licence_and_authors(metadata: Message, root_dir: Path) -> None:
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("License-File") == ["LICENSE"]
    assert metadata["Author"] == "the vmexport authors"
    text = (root_dir / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text.splitlines()[1]
    assert "APPENDIX: How to apply the Apache License to your work." in text


def test_no_address_is_published(metadata: Message) -> None:
    addresses = ("Home-Page", "Download-URL", "Project-URL", "Author-Email", "Maintainer-Email")
    assert [name for name in addresses if metadata[name]] == []


def test_every_supported_python_is_classified(metadata: Message) -> None:
    prefix = "Programming Language :: Python :: 3."
    classified = [line.removeprefix(prefix) for line in metadata.get_all("Classifier", []) if prefix in line]
    assert classified == ["10", "11", "12", "13"]
    assert metadata["Requires-Python"] == f">=3.{classified[0]}"
