"""What the pages say, taken apart: fenced blocks, commands, links, paths."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
ASSIGNMENT = re.compile(r"\w+=\S*")


@dataclass(frozen=True)
class Command:
    """A line that a reader is told to type.

    Attributes:
        page: where it stands.
        words: the line in the shell's words, without comment and without assignments before it.
        whole: it stands on a line of its own; a sentence may name a command and an option alone.
    """

    page: Path
    words: tuple[str, ...]
    whole: bool

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}: {' '.join(self.words)}"


def text_of(page: Path) -> str:
    """The page."""
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return FENCE.sub("", text_of(page))


def fences(page: Path, *languages: str) -> list[str]:
    """Contents of the fenced blocks of some languages."""
    return [block[2] for block in FENCE.finditer(text_of(page)) if block[1] in languages]


def inline(page: Path) -> list[str]:
    """What stands between single backticks, on one line."""
    return re.findall(r"(?<!`)`([^`]+)`(?!`)", " ".join(prose(page).split()))


def _lines(page: Path) -> Iterator[tuple[str, bool]]:
    """Lines to type: `sh` blocks, lines with a prompt in `console` blocks; and, False, code in sentences."""
    for block in fences(page, "sh", "bash"):
        yield from ((line, True) for line in block.replace("\\\n", " ").splitlines())
    for block in fences(page, "console"):
        yield from ((line[2:], True) for line in block.splitlines() if line.startswith("$ "))
    yield from ((code, False) for code in inline(page))


def commands(program: str) -> list[Command]:
    """Every line of every page that calls a program."""
    found = []
    for page in PAGES:
        for line, whole in _lines(page):
            for part in re.split(r"\s(?:&&|\|\||\|)\s", line):
                try:
                    words = shlex.split(part, comments=True)
                except ValueError:  # a quotation mark in a sentence's code: no command
                    continue
                while words and ASSIGNMENT.fullmatch(words[0]):
                    words = words[1:]
                if words and words[0] == program:
                    found.append(Command(page, tuple(word for word in words if word != "..."), whole))
    return found


def anchors(page: Path) -> set[str]:
    """Names that a link may point to behind `#`, as GitHub makes them of headings."""
    headings = re.findall(r"^#+ +(.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    """Targets of links and pictures."""
    return re.findall(r"\]\(([^)\s]+)\)", prose(page)) + re.findall(r'(?:src|href)="([^"]+)"', prose(page))
