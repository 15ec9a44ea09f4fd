"""What one element costs in a scan kernel's machine code; an element is one (token, channel, state).

The kernel has compute warps (the recurrence) and helper warps (everything before and after it). Its loops
are told apart by what only they contain:

- **recurrence**: the loop with the most `MUFU.EX2` and no `MUFU.RCP`. Every `MUFU.EX2` in it is one
  element, so its instructions over its `MUFU.EX2` are the instructions an element. Of its two copies (whole
  tiles; the last, partly filled one) the shorter one does all but the end of a sequence.
- **prepare** (softplus, delta u, skip): as many `MUFU.RCP` as `MUFU.EX2`, nothing stored to global memory:
  that many values an iteration.
- **finish** (sum, gate, store): the same with stores to global memory. It is counted in full, although a
  value that another direction adds to later skips half of it.
- **copy**: the shortest loop with `LDGSTS` (`LDG` and `STS` before sm_80): 16 bytes an iteration.
- **B and C**: a loop that only reads and writes shared memory: 16 bytes of B and of C an iteration.

A value is one (token, channel, direction), that is N elements; what is done once for all channels of a
block is divided by them. Branches not taken are counted, so helper figures are upper bounds. List and loop
control of a tile (once for 16 or 32 tokens) is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sass import Instruction, Loop, loops
from scan_plan import Plan, Sizes

COPY_BYTES = 16


@dataclass(frozen=True)
class Cost:
    """Instructions of one thread for one element.

    Attributes:
        recurrence: of the main loop.
        helpers: of the helper warps' loops, at most.
    """

    recurrence: float
    helpers: float


def _shortest(found: Sequence[Loop], what: str, fits: Callable[[Loop], bool]) -> Loop:
    candidates = [loop for loop in found if fits(loop)]
    if not candidates:
        raise ValueError(f"the machine code has no {what} loop of the form that scan_code.py describes")
    return min(candidates, key=lambda loop: len(loop.body))


def main_loop(instructions: Sequence[Instruction]) -> Loop:
    """The recurrence's loop, of ours or of any other scan kernel."""
    found = [x for x in loops(instructions) if not x.count("MUFU.RCP") and not x.count("MUFU.LG2")]
    most = max((x.count("MUFU.EX2") for x in found), default=0)
    return _shortest(found, "recurrence", lambda x: 0 < most == x.count("MUFU.EX2"))


def per_exponential(loop: Loop) -> float:
    """Instructions of a loop for each of its exponentials."""
    return len(loop.body) / loop.count("MUFU.EX2")


def cost(instructions: Sequence[Instruction], plan: Plan, sizes: Sizes) -> Cost:
    """Instructions an element of our kernel when it runs `plan`."""
    found = loops(instructions)
    values = [x for x in found if 0 < x.count("MUFU.EX2") == x.count("MUFU.RCP")]
    prepare = _shortest(values, "prepare", lambda x: not x.count("STG"))
    finish = _shortest(values, "finish", lambda x: x.count("STG") > 0)
    copies = "LDGSTS" if any(x.count("LDGSTS") for x in found) else "LDG"
    copy = _shortest(
        found, "copy", lambda x: x.count(copies) > 0 and not x.count("MUFU") and not x.count("STG")
    )
    others = ("LDG", "STG", "MUFU", "SHFL", "BAR")
    shared = [x for x in found if x.count("LDS") > 1 and not any(x.count(name) for name in others)]
    bc = _shortest(shared, "B and C", lambda x: x.count("STS") > 0)
    per_copy = COPY_BYTES // (4 if sizes.dtype == "float32" else 2)
    value = per_exponential(prepare) + per_exponential(finish) + 2 * len(copy.body) / per_copy
    token = sizes.N / per_copy * (len(bc.body) + 2 * len(copy.body))
    return Cost(per_exponential(main_loop(instructions)), (value + token / plan.channels) / sizes.N)
