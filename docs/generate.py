"""Fill the generated blocks of README.md and docs/*.md from the code and from benchmarks/results/.

    python docs/generate.py            # writes
    python docs/generate.py --check    # exit status 1 where a page is not up to date

A block stands between `<!-- generated: NAME -->` and `<!-- end -->`; NAME is one of `contract.BLOCKS`,
`figures.BLOCKS` or `tour.BLOCKS`.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import contract
import figures
import tour

ROOT = Path(__file__).resolve().parent.parent
BLOCKS = {**contract.BLOCKS, **figures.BLOCKS, **tour.BLOCKS}
BLOCK = re.compile(r"(<!-- generated: ([\w-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def pages() -> Iterator[Path]:
    """The pages that a reader sees."""
    yield ROOT / "README.md"
    yield from sorted((ROOT / "docs").glob("*.md"))


def filled(text: str) -> str:
    """A page with its blocks made anew.

    Raises:
        KeyError: a block that nobody makes.
    """
    return BLOCK.sub(lambda block: f"{block[1]}{BLOCKS[block[2]]().strip()}\n{block[4]}", text)


def main() -> int:
    """Write, or compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    stale = []
    for page in pages():
        text = page.read_text(encoding="utf-8")
        if (new := filled(text)) != text:
            stale.append(str(page.relative_to(ROOT)))
            if not options.check:
                page.write_text(new, encoding="utf-8")
    print(f"{'not up to date' if options.check else 'written'}: {', '.join(stale) or 'nothing'}")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
