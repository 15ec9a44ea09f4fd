"""Every statement of the pages that a program can check: commands, files, links, sizes, tables."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import generate
import pytest
import typer.main
from pages import PAGES, ROOT, Command, anchors, commands, inline, links, prose, text_of

from vmexport.cli.main import app

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_README_WORDS = 1500
MAX_PICTURE_BYTES = 300_000
FOLDERS = ("vmexport", "plugins", "tests", "benchmarks", "docs", "models")
OURS = commands("vmexport")
README = ROOT / "README.md"

of_pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@pytest.mark.parametrize("command", OURS, ids=str)
def test_a_command_is_one_that_vmexport_takes(command: Command) -> None:
    """Subcommand, options, their values and the number of arguments, by the program's own parser."""
    words = list(command.words[1:])
    parser: Any = typer.main.get_command(app)
    if not words:
        return  # the program or the domain of that name, in a sentence
    if not words[0].startswith("-"):
        while hasattr(parser, "commands"):
            if not words:
                return  # a sentence about the whole group
            assert words[0] in parser.commands, f"there is no command {words[0]}"
            parser = parser.commands[words.pop(0)]
    try:
        parser.make_context(parser.name, words).close()
    except Exception as error:
        if command.whole or type(error).__name__ != "MissingParameter":
            raise


def test_commands_are_found() -> None:
    assert len(OURS) > 40
    assert {command.words[1] for command in OURS if len(command.words) > 1} >= {
        "train",
        "onnx",
        "trt",
        "bench",
    }


@of_pages
def test_options_in_sentences_exist(page: Path) -> None:
    """`--bisect` alone, in backticks, is an option of a command of ours or of a tool named here."""
    known = {"--staticPlugins", "--system-site-packages", "--expect", "--allow-dirty", "--check", "--strict"}
    known |= set(re.findall(r'add_argument\("(--[\w-]+)"', text_of(ROOT / "tests/fuzz/campaign.py")))
    parsers: list[Any] = [typer.main.get_command(app)]
    while parsers:
        parser = parsers.pop()
        parsers += getattr(parser, "commands", {}).values()
        known |= {name for one in parser.params for name in (*one.opts, *one.secondary_opts)}
    named = {
        word.split("=")[0] for code in inline(page) for word in code.split()[:1] if word.startswith("--")
    }
    assert not named - known


@pytest.mark.parametrize("command", commands("make"), ids=str)
def test_a_make_target_exists(command: Command) -> None:
    rules = re.findall(r"^([\w -]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    targets = " ".join(rules).split()
    for word in command.words[1:]:
        assert "=" in word or word in targets


@pytest.mark.parametrize("program", ["python", "bash", ".venv/bin/python"])
def test_a_script_exists(program: str) -> None:
    for command in commands(program):
        script = next((word for word in command.words[1:] if word.endswith((".py", ".sh"))), None)
        assert script is None or (ROOT / script).is_file(), str(command)


@of_pages
def test_files_that_are_named_exist(page: Path) -> None:
    for code in inline(page):
        path = code.split()[0] if code.split() else ""
        if path.split("/")[0] in FOLDERS and "/" in path and "..." not in path and not path.isupper():
            assert list(ROOT.glob(path.rstrip("/"))), f"{path} is not there"


@of_pages
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"{target.name} has no heading for #{anchor}"


@of_pages
def test_extras_are_those_of_pyproject(page: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for group in re.findall(r"(?:\.|vmexport)\[([\w,]+)\]", text_of(page)):
        assert set(group.split(",")) <= set(project["optional-dependencies"])


@of_pages
def test_nobody_installs_by_hand(page: Path) -> None:
    """No list of packages, and no --no-deps: the extras know what belongs together."""
    assert "--no-deps" not in text_of(page)
    for command in [*commands("pip"), *commands(".venv/bin/pip")]:
        named = [word for word in command.words[2:] if not word.startswith(("-", "http"))]
        assert len(named) <= 2, str(command)


def test_generated_blocks_are_up_to_date() -> None:
    for page in generate.pages():
        assert generate.filled(text_of(page)) == text_of(page), f"{page.name}: python docs/generate.py"


def test_the_readme_is_short() -> None:
    assert len(text_of(README).split()) <= MAX_README_WORDS


def test_the_readme_shows_what_was_measured_not_what_we_aimed_at() -> None:
    heads = [line for line in prose(README).splitlines() if line.startswith("|")]
    assert not [line for line in heads if re.search(r"\|\s*(must|target|goal)\s*\|", line)]


def test_pictures_are_used_and_small() -> None:
    pictures = set((ROOT / "docs/images").iterdir())
    used = {(page.parent / link).resolve() for page in PAGES for link in links(page) if link.endswith(".png")}
    assert pictures == used
    for picture in pictures:
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert picture.stat().st_size < MAX_PICTURE_BYTES


def test_every_page_is_reached_from_the_readme() -> None:
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in links(README)}
    assert set(PAGES) - {README} <= linked
    assert ROOT / "LICENSE" in linked


def test_every_promise_about_files_names_tests_that_are_there() -> None:
    """docs/security.md: each row of the second table, and the searches."""
    page = text_of(ROOT / "docs/security.md")
    promises = page.split("## Never trusted")[1].split("## Searches")[0]
    rows = [
        line for line in promises.splitlines() if line.startswith("| ") and not line.startswith("| boundary")
    ]
    assert len(rows) > 12
    for row in rows:
        tests = re.findall(r"`(tests/[\w/]+\.py)`", row.rsplit("|", 2)[1])
        assert tests, row
        for name in tests:
            assert "def test_" in text_of(ROOT / name), name
    searches = re.findall(r"`python (tests/fuzz/fuzz_\w+\.py)`", page)
    assert sorted(searches) == sorted(
        str(path.relative_to(ROOT)) for path in ROOT.glob("tests/fuzz/fuzz_*.py")
    )
