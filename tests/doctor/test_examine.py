"""The doctor's findings."""

from __future__ import annotations

import sys
from pathlib import Path

from vmexport.doctor import examine as doctor
from vmexport.doctor.examine import EXTRAS
from vmexport.doctor.finding import BROKEN
from vmexport.native.libraries import LIBRARIES

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def test_extras_are_those_of_pyproject(root_dir: Path) -> None:
    project = tomllib.loads((root_dir / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for name, distributions in EXTRAS.items():
        declared = [line.split(">")[0] for line in project["optional-dependencies"][name]]
        assert tuple(declared) == distributions


def test_this_machine_is_usable() -> None:
    report = doctor.examine()
    assert report.usable, [finding for finding in report.self_tests if finding.status == BROKEN]
    assert {finding.name for finding in report.libraries} == set(LIBRARIES)
    assert report.environment.cores >= 1
