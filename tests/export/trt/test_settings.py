"""The words of `vmexport trt`'s options."""

from __future__ import annotations

from typing import Any

import pytest

from vmexport.errors import UsageError
from vmexport.export.trt.settings import EngineRequest, parse_capabilities, parse_workspace


@pytest.mark.parametrize(
    ("text", "size"),
    [("512M", 512 << 20), ("2G", 2 << 30), ("1.5GiB", 3 << 29), ("2048 kb", 2 << 20), (1 << 20, 1 << 20)],
)
def test_sizes(text: str | int, size: int) -> None:
    assert parse_workspace(text) == size
    assert parse_workspace("auto") == "auto"


@pytest.mark.parametrize("text", ["", "much", "-1G", "1T", "0", "512", "1e9", "NaN"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(UsageError, match="--workspace auto"):
        parse_workspace(text)


def test_capabilities() -> None:
    assert parse_capabilities("8.9, 12.0;8.9") == ("8.9", "12.0")
    assert parse_capabilities("") == ()
    for wrong in ("89", "sm_89", "8.9,x"):
        with pytest.raises(UsageError):
            parse_capabilities(wrong)


@pytest.mark.parametrize(
    "options",
    [
        {"precision": "int8"},
        {"opt_level": 6},
        {"runtime": "trt"},
        {"hardware_compatibility": "all"},
        {"embed_plugin": True},
        {"batch": "4:2:1"},
        {"batch": 0},
    ],
)
def test_settings_that_do_not_fit(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        EngineRequest(**options)
    assert caught.value.why
