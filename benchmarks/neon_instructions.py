"""Count the NEON instructions that the recurrence of the scan takes for one (token, channel, state).

usage: neon_instructions.py OBJECT     (tier_baseline.cpp.o, compiled for aarch64)
"""

from __future__ import annotations

import collections
import re
import shutil
import subprocess
import sys

LANES = 4
STATES = 16
PREFETCHES = 4  # a token's; the loop over tokens is the one that holds them
FUNCTION = "::Range)1, 16>"  # scan_states for decays, 16 states at once: the path of every VideoMamba


def disassemble(path: str) -> list[tuple[int, str, str]]:
    """Address, mnemonic and operands of every instruction of the function, or of all where it was inlined."""
    tool = shutil.which("aarch64-linux-gnu-objdump") or "objdump"
    command = [tool, "-dC", "--no-show-raw-insn", path]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    functions: dict[str, list[tuple[int, str, str]]] = collections.defaultdict(list)
    name = ""
    for line in text.splitlines():
        if header := re.match(r"[0-9a-f]+ <(.*)>:$", line):
            name = header[1]
        elif found := re.match(r"\s*([0-9a-f]+):\s+(\S+)\s*(.*)$", line):
            functions[name].append((int(found[1], 16), found[2], found[3]))
    chosen = [code for title, code in functions.items() if "scan_states" in title and FUNCTION in title]
    return chosen[0] if chosen else [line for code in functions.values() for line in code]


def token_loop(code: list[tuple[int, str, str]]) -> list[tuple[int, str, str]]:
    """The shortest loop with the prefetches of one token and the multiplications of all its states."""
    position = {address: index for index, (address, _, _) in enumerate(code)}
    loops = []
    for end, (_, name, operands) in enumerate(code):
        target = re.search(r"([0-9a-f]+) <", operands) if name.startswith(("b.", "cb", "tb")) else None
        start = position.get(int(target[1], 16), end) if target else end
        body = code[start : end + 1]
        names = collections.Counter(line[1] for line in body)
        if names["prfm"] == PREFETCHES and names["usqadd"] == STATES:
            loops.append(body)
    if not loops:
        raise SystemExit(f"no loop over tokens with {STATES} states: has scan_kernel.h changed?")
    return min(loops, key=len)


def main() -> None:
    body = token_loop(disassemble(sys.argv[1]))
    spills = sum("[sp" in operands for _, _, operands in body)
    count = len(body) / (LANES * STATES)
    print(f"NEON recurrence: {count:.2f} instructions an element, {spills} of {len(body)} touch the stack")


if __name__ == "__main__":
    main()
