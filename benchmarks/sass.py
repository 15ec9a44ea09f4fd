"""Machine code of CUDA kernels: what `cuobjdump` prints, as instructions, loops and resources."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_INSTRUCTION = re.compile(r"^\s+/\*([0-9a-f]{4,6})\*/\s+(?:@!?U?P[0-9T]+\s+)?([A-Z][A-Z0-9_.]*)\s*([^;]*);")
_TARGET = re.compile(r"0x([0-9a-f]+)\s*$")
_USAGE = re.compile(r"REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)")


class ToolMissingError(Exception):
    """A tool of the CUDA toolkit is not on this machine."""


@dataclass(frozen=True)
class Instruction:
    """One line of a disassembly.

    Attributes:
        address: bytes from the function's beginning.
        opcode: with its modifiers, such as `MUFU.EX2`.
        target: where a branch goes to; None for everything else.
    """

    address: int
    opcode: str
    target: int | None = None


@dataclass(frozen=True)
class Loop:
    """From a backward branch's target to the branch.

    Attributes:
        first: address of the target.
        last: address of the branch.
        body: its instructions, those of the loops inside it left out.
        around: the loops that hold it, outermost first.
    """

    first: int
    last: int
    body: tuple[Instruction, ...]
    around: tuple[int, ...]

    def count(self, opcode: str) -> int:
        """Instructions of the body whose name begins with `opcode`."""
        return count(self.body, opcode)


@dataclass(frozen=True)
class Usage:
    """What a kernel takes: registers of a thread, bytes of stack and local memory, static shared memory."""

    registers: int
    stack: int
    shared: int
    local: int


def find_tool(name: str) -> Path:
    """A program of the CUDA toolkit: on PATH, where toolkits are installed to, or from a Python package.

    Raises:
        ToolMissingError: none of these has it.
    """
    packaged = Path(sysconfig.get_path("purelib")) / "nvidia/cu13/bin"
    places = (
        *os.environ.get("PATH", "").split(os.pathsep),
        "/usr/local/cuda/bin",
        "/opt/cuda/bin",
        str(packaged),
    )
    found = shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        raise ToolMissingError(f"no {name} on this machine (pip install nvidia-cuda-{name})")
    return Path(found)


def _cuobjdump(*arguments: str | Path) -> str:
    """Output of cuobjdump, which looks for nvdisasm on PATH."""
    tool, helper = find_tool("cuobjdump"), find_tool("nvdisasm")
    environment = {**os.environ, "PATH": os.pathsep.join((str(helper.parent), os.environ.get("PATH", "")))}
    done = subprocess.run([tool, *arguments], capture_output=True, text=True, check=True, env=environment)
    return done.stdout


@functools.cache
def disassemble(file: Path, architecture: str) -> dict[str, tuple[Instruction, ...]]:
    """Instructions of every kernel in `file` for `architecture` ("sm_87"), by mangled name."""
    kernels: dict[str, tuple[Instruction, ...]] = {}
    for part in _cuobjdump("-sass", "-arch", architecture, file).split("Function : ")[1:]:
        name, _, text = part.partition("\n")
        kernels[name.strip()] = tuple(parse(text.split("\n")))
    return kernels


@functools.cache
def usage(file: Path, architecture: str) -> dict[str, Usage]:
    """Resources of every kernel in `file` for `architecture`, by mangled name."""
    kernels: dict[str, Usage] = {}
    for part in _cuobjdump("-res-usage", "-arch", architecture, file).split(" Function ")[1:]:
        name, _, text = part.partition(":")
        found = _USAGE.search(text)
        assert found is not None, f"cuobjdump's resource line of {name} has another form"
        kernels[name.strip()] = Usage(*(int(x) for x in found.groups()))
    return kernels


def parse(lines: Sequence[str]) -> list[Instruction]:
    """Instructions of a disassembly's lines; padding behind the last branch is left out."""
    instructions = []
    for line in lines:
        match = _INSTRUCTION.match(line)
        if match is None or match[2] == "NOP":
            continue
        target = _TARGET.search(match[3]) if match[2].startswith("BRA") else None
        instructions.append(Instruction(int(match[1], 16), match[2], int(target[1], 16) if target else None))
    return instructions


def count(instructions: Sequence[Instruction], opcode: str) -> int:
    """Instructions whose name begins with `opcode`."""
    return sum(x.opcode.startswith(opcode) for x in instructions)


def loops(instructions: Sequence[Instruction]) -> list[Loop]:
    """All loops, by address. Branches to one address are one loop, up to the last of them."""
    spans: dict[int, int] = {}
    for x in instructions:
        if x.target is not None and x.target < x.address:
            spans[x.target] = max(x.address, spans.get(x.target, 0))
    found = []
    for first, last in sorted(spans.items()):
        inner = [(a, b) for a, b in spans.items() if first <= a and b <= last and (a, b) != (first, last)]
        body = tuple(
            x
            for x in instructions
            if first <= x.address <= last and not any(a <= x.address <= b for a, b in inner)
        )
        around = tuple(sorted(a for a, b in spans.items() if a <= first and last <= b and a != first))
        found.append(Loop(first, last, body, around))
    return found
