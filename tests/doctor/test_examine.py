"""The doctor's findings."""

from __future__ import annotations

from vmexport.doctor import examine as doctor
from vmexport.doctor.finding import BROKEN
from vmexport.native.libraries import LIBRARIES


def test_this_machine_is_usable() -> None:
    report = doctor.examine()
    assert report.usable, [finding for finding in report.self_tests if finding.status == BROKEN]
    assert {finding.name for finding in report.libraries} == set(LIBRARIES)
    assert report.environment.cores >= 1
