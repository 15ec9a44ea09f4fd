"""Machine code of CUDA kernels: what `cuobjdump` prints, as instructions, loops and resources."""

from __future__ import annotations

import functools
import os
import re
import shutil
import struct
import subprocess
import sysconfig
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

_INSTRUCTION = re.compile(
    r"^\s+/\*([0-9a-f]{4,6})\*/\s+(?:@(!?U?P[0-9T]+)\s+)?([A-Z][A-Z0-9_.]*)\s*([^;]*);\s*"
    r"(?:/\* 0x[0-9a-f]{16} \*/)?"
)
_CONTROL = re.compile(r"^\s+/\* 0x([0-9a-f]{16}) \*/")
_TARGET = re.compile(r"0x([0-9a-f]+)\s*$")
_USAGE = re.compile(r"REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)")


class ToolMissingError(Exception):
    """A tool of the CUDA toolkit is not on this machine."""


NO_SCOREBOARD = 7


@dataclass(frozen=True)
class Control:
    """What the compiler tells the scheduler beside an instruction.

    Attributes:
        stall: cycles until the warp's next instruction may be issued, at least.
        write: scoreboard that is busy until the result is there; NO_SCOREBOARD: none.
        read: scoreboard that is busy until the operands are read.
        wait: bit b set: scoreboard b must be free before this instruction is issued.
    """

    stall: int = 1
    write: int = NO_SCOREBOARD
    read: int = NO_SCOREBOARD
    wait: int = 0

    @classmethod
    def decoded(cls, word: int) -> Control:
        """Out of the second 64-bit word of an instruction (compute capability 7.0 and later)."""
        return cls(word >> 41 & 15, word >> 46 & 7, word >> 49 & 7, word >> 52 & 63)


@dataclass(frozen=True)
class Instruction:
    """One instruction of a disassembly.

    Attributes:
        address: bytes from the function's beginning.
        opcode: with its modifiers, such as `MUFU.EX2`.
        target: where a branch goes to; None for everything else.
        guard: the predicate it depends on, such as `!P0`; empty where there is none.
        operands: as printed.
        control: for the scheduler; the default where the disassembly shows no encoding.
    """

    address: int
    opcode: str
    target: int | None = None
    guard: str = field(default="", compare=False)
    operands: tuple[str, ...] = field(default=(), compare=False)
    control: Control = field(default=Control(), compare=False)


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


def _cuobjdump(*arguments: str | Path, cwd: str | None = None) -> str:
    """Output of cuobjdump, which looks for nvdisasm on PATH."""
    tool, helper = find_tool("cuobjdump"), find_tool("nvdisasm")
    environment = {**os.environ, "PATH": os.pathsep.join((str(helper.parent), os.environ.get("PATH", "")))}
    done = subprocess.run(
        [tool, *arguments], capture_output=True, text=True, check=True, env=environment, cwd=cwd
    )
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
def constant_banks(file: Path, architecture: str, kernel: str) -> dict[int, bytes]:
    """What the compiler put into constant memory for a kernel (jump tables, numbers), by bank."""
    suffix = f".{kernel}"
    with tempfile.TemporaryDirectory() as folder:
        _cuobjdump("-xelf", "all", "-arch", architecture, file.resolve(), cwd=folder)
        for binary in Path(folder).glob("*.cubin"):
            found = {
                int(name.removeprefix(".nv.constant").removesuffix(suffix)): data
                for name, data in _sections(binary.read_bytes()).items()
                if name.startswith(".nv.constant") and name.endswith(suffix)
            }
            if found:
                return found
    return {}


def _sections(elf: bytes) -> dict[str, bytes]:
    """Names and contents of a 64-bit ELF file's sections."""
    (offset,) = struct.unpack_from("<Q", elf, 0x28)
    size, number, names = struct.unpack_from("<HHH", elf, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", elf, offset + i * size) for i in range(number)]
    strings = headers[names][4]
    found = {}
    for name, kind, _, _, start, length in headers:
        end = elf.index(b"\0", strings + name)
        found[elf[strings + name : end].decode()] = elf[start : start + length] if kind != 8 else b""
    return found


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
    instructions: list[Instruction] = []
    padding = False
    for line in lines:
        match = _INSTRUCTION.match(line)
        if match is not None:
            padding = match[3] == "NOP"
            if not padding:
                target = _TARGET.search(match[4]) if match[3].startswith("BRA") else None
                operands = tuple(x.strip() for x in match[4].split(",")) if match[4].strip() else ()
                where = int(target[1], 16) if target else None
                instructions.append(Instruction(int(match[1], 16), match[3], where, match[2] or "", operands))
        elif not padding and instructions and (match := _CONTROL.match(line)):
            control = Control.decoded(int(match[1], 16))
            instructions[-1] = replace(instructions[-1], control=control)
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
