"""When machine code is issued: an in-order model of one multiprocessor's four schedulers.

Each cycle a scheduler issues at most one instruction of one of its warps: the last one's, else the next in
turn whose stall count has run out, whose scoreboards are free and whose pipe takes one. Stall counts and
scoreboards are the compiler's own, out of the disassembly; what an instruction does, and with it every
branch, barrier and address, is carried out (sass_machine.py). Latencies and rates are published
measurements of such GPUs, rounded; **no GPU has confirmed a figure of this model**. Left out: instruction
caches, global memory's bandwidth, the launch.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from sass import NO_SCOREBOARD, Control
from sass_machine import Program
from sass_warp import LANES, Access, Warp

SCHEDULERS = 4
RESULT_CYCLES: Mapping[str, int] = {
    "MUFU": 24, "F2I": 24, "I2F": 24, "LDS": 29, "SHFL": 25, "STS": 20, "LDC": 30, "LDCU": 30, "S2R": 30,
    "S2UR": 30,
    "R2UR": 15, "STG": 20, "LDGSTS": 30,
}  # fmt: skip
"""From issue to a free scoreboard, where no queue is before it."""
OTHER_RESULT_CYCLES = 20
READ_CYCLES = 12
"""From issue until a memory instruction has read its operands."""
NEAR_CYCLES, FAR_CYCLES = 40, 600
"""Global memory: from the first-level cache, and from behind it."""
BARRIER_CYCLES = 20
QUEUE_CYCLES = 32
"""So far ahead memory instructions are accepted; then issue waits for the queue."""
LINE_BYTES = 128
BANKS = 32
MEMORY = frozenset(("LDS", "STS", "SHFL", "LDGSTS", "LDG", "STG"))
FLOATS = frozenset(("FFMA", "FMUL", "FADD"))
_PIPES: Mapping[str, tuple[str, int]] = {
    **dict.fromkeys(("MUFU", "F2I", "I2F"), ("special", 8)),
    **dict.fromkeys((*MEMORY, "LDC", "S2R", "S2UR", "LDGDEPBAR", "R2UR"), ("memory", 2)),
    **dict.fromkeys(("IMAD", "HFMA2", "HADD2", "HMUL2"), ("heavy", 2)),
    **dict.fromkeys(
        ("BRA", "BRX", "BRXU", "CALL", "RET", "BSSY", "BSYNC", "BAR", "WARPSYNC", "EXIT"), ("branch", 2)
    ),
}
"""Pipes of a scheduler, and the cycles between two instructions of one; everything else is `integer`."""


def pipe_of(head: str) -> tuple[str, int]:
    """Pipe and cycles of an opcode."""
    if head in _PIPES:
        return _PIPES[head]
    return ("uniform" if head.startswith("U") and head != "UNPACK" else "integer", 2)


def lines_touched(access: Access) -> int:
    """Cycles of shared memory: conflicts within each part of 128 bytes; one that repeats the last is free."""
    words = max(1, access.size // 4)
    lanes = max(1, LANES // words)
    total, last = 0, np.array([-1])
    for first in range(0, len(access.addresses), lanes):
        part = access.addresses[first : first + lanes] >> 2
        every = np.unique(part[:, None] + np.arange(words))
        if np.isin(every, last).all():
            continue
        total += int(np.bincount(every % BANKS, minlength=BANKS).max())
        last = every
    return max(1, total)


@dataclass
class Track:
    """A warp on its scheduler.

    Attributes:
        warp: its state.
        number: in its block.
        scheduler: 0 to 3.
        block: which of the multiprocessor's blocks it belongs to.
        ready: earliest cycle of its next instruction; infinity at a barrier and after the end.
        boards: cycle at which each scoreboard is free.
        copies: when the newest asynchronous copy has arrived.
        batches: when each closed batch of copies has arrived.
        issued: instructions so far.
    """

    warp: Warp
    number: int
    scheduler: int
    block: int
    ready: float = 0.0
    boards: list[float] = field(default_factory=lambda: [0.0] * NO_SCOREBOARD)
    copies: float = 0.0
    batches: list[float] = field(default_factory=list)
    issued: int = 0


@dataclass(frozen=True)
class Timing:
    """A run.

    Attributes:
        cycles: until the last warp has ended.
        issued: instructions by scheduler.
        busy: cycles by pipe, all schedulers; `shared` is the one shared memory of the multiprocessor.
        barriers: cycles at which a barrier opened, by block and number.
        arrivals: cycles at which a warp of the first block came to a barrier, by warp and number.
    """

    cycles: int
    issued: tuple[int, ...]
    busy: Mapping[str, int]
    barriers: Mapping[tuple[int, int], Sequence[int]]
    arrivals: Mapping[tuple[int, int], Sequence[int]]

    def step_cycles(self, number: int = 1) -> list[int]:
        """Cycles between one opening of the first block's barrier `number` and the next."""
        times = self.barriers[(0, number)]
        return [after - before for before, after in itertools.pairwise(times)]

    def work_cycles(self, warp: int, number: int = 1) -> list[int]:
        """Cycles from each opening of the barrier `number` to the arrival of a warp at its next."""
        opened, arrived = self.barriers[(0, number)], self.arrivals[(warp, number)]
        return [after - before for before, after in zip(opened, arrived[1:], strict=False)]


class Multiprocessor:
    """The blocks on one multiprocessor, from their first instruction to their last."""

    def __init__(self, program: Program, blocks: Sequence[Sequence[Warp]], float_lanes: int = 32) -> None:
        self.program = program
        self.controls: list[Control] = [x.control for x in program.instructions]
        self.pipes = [pipe_of(head) for head in program.heads]
        self.float_pipes = ("heavy", "light") if float_lanes == 32 else ("heavy",)
        self.tracks = [
            Track(warp, number, number % SCHEDULERS, block)
            for block, warps in enumerate(blocks)
            for number, warp in enumerate(warps)
        ]
        self.block_threads = [len(warps) * LANES for warps in blocks]
        self.free: list[dict[str, int]] = [defaultdict(int) for _ in range(SCHEDULERS)]
        self.queue = 0  # when shared memory has done what was asked
        self.near: set[int] = set()
        self.arrived: dict[tuple[int, int], list[Track]] = defaultdict(list)
        self.arrivals: dict[tuple[int, int], list[int]] = defaultdict(list)
        self.opened: dict[tuple[int, int], list[int]] = defaultdict(list)
        self.busy: dict[str, int] = defaultdict(int)
        self.lines: dict[tuple[bytes, int], int] = {}

    def run(self, most_cycles: int = 50_000_000) -> Timing:
        """Issue until every warp has ended."""
        own = [[x for x in self.tracks if x.scheduler == s] for s in range(SCHEDULERS)]
        last = [0] * SCHEDULERS
        wake = [0.0] * SCHEDULERS
        now = 0
        for track in self.tracks:
            self._prepare(track, 0)
        while any(track.warp.alive for track in self.tracks):
            for s in range(SCHEDULERS):
                if wake[s] > now:
                    continue
                tracks, soonest = own[s], math.inf
                for turn in range(len(tracks)):
                    at = (last[s] + turn) % len(tracks)
                    track = tracks[at]
                    if track.ready > now:
                        soonest = min(soonest, track.ready)
                        continue
                    free = self._pipe_free(track, now)
                    if free > now:
                        soonest = min(soonest, free)
                        continue
                    self._issue(track, now)
                    last[s], soonest = at, now + 1
                    break
                wake[s] = soonest
            if self.opened_now:
                wake = [min(w, self.opened_now) for w in wake]
                self.opened_now = 0
            now = int(max(now + 1, min(wake))) if min(wake) < math.inf else now + 1
            if now > most_cycles or (min(wake) == math.inf and any(x.warp.alive for x in self.tracks)):
                raise RuntimeError(f"no warp goes on after cycle {now}: a barrier that not all reach")
        issued = tuple(sum(x.issued for x in tracks) for tracks in own)
        return Timing(now, issued, dict(self.busy), dict(self.opened), dict(self.arrivals))

    opened_now: int = 0

    def _pipe_free(self, track: Track, now: int) -> int:
        place = track.warp.groups[0][0]
        head, free = self.program.heads[place], self.free[track.scheduler]
        if head in FLOATS:
            return min(free[name] for name in self.float_pipes)
        if head in MEMORY and self.queue - QUEUE_CYCLES > now:
            return self.queue - QUEUE_CYCLES
        return free[self.pipes[place][0]]

    def _issue(self, track: Track, now: int) -> None:
        warp = track.warp
        place, event = self.program.step(warp)
        track.issued += 1
        control, head = self.controls[place], self.program.heads[place]
        name, cycles = self.pipes[place]
        free = self.free[track.scheduler]
        if head in FLOATS:
            name = min(self.float_pipes, key=lambda pipe: free[pipe])
        free[name] = now + cycles
        self.busy[name] += cycles
        done = now + RESULT_CYCLES.get(head, OTHER_RESULT_CYCLES)
        if head in MEMORY:
            done = self._memory(track, head, now)
        if control.write != NO_SCOREBOARD:
            if head == "LDGDEPBAR":
                done = int(track.copies)
            track.boards[control.write] = max(track.boards[control.write], done)
        if control.read != NO_SCOREBOARD:
            read = max(now, self.queue) if head in MEMORY else now
            track.boards[control.read] = max(track.boards[control.read], read + READ_CYCLES)
        if head == "LDGDEPBAR":
            track.batches.append(track.copies)
        track.ready = now + max(1, control.stall)
        if event == "barrier":
            self._arrive(track, place, now)
        else:
            self._prepare(track, now)

    def _prepare(self, track: Track, now: int) -> None:
        """The next instruction's own conditions."""
        if not track.warp.alive:
            track.ready = math.inf
            return
        place = track.warp.groups[0][0]
        wait = self.controls[place].wait
        for board in range(NO_SCOREBOARD - 1):
            if wait >> board & 1:
                track.ready = max(track.ready, track.boards[board])
        if self.program.heads[place] == "DEPBAR":
            allowed = int(self.program.instructions[place].operands[1], 16)
            closed = track.batches[: len(track.batches) - allowed] if allowed else track.batches
            track.ready = max([track.ready, *closed])
            track.batches = track.batches[-allowed:] if allowed else []

    def _memory(self, track: Track, head: str, now: int) -> int:
        access = track.warp.access
        start = max(now, self.queue)
        if access is None or not len(access.addresses):  # no lane was active
            return now + RESULT_CYCLES.get(head, OTHER_RESULT_CYCLES)
        if head == "SHFL":
            taken = 1
        elif head in ("LDS", "STS", "LDGSTS"):
            shift = access.addresses - access.addresses[0] // LINE_BYTES * LINE_BYTES
            key = (shift.tobytes(), access.size)
            if key not in self.lines:
                self.lines[key] = lines_touched(Access(shift, access.size))
            taken = self.lines[key]
        else:
            taken = 1
        self.queue = start + taken
        self.busy["shared"] += taken
        latency = RESULT_CYCLES.get(head, OTHER_RESULT_CYCLES)
        if head == "LDG":
            lines = set((access.addresses // LINE_BYTES).tolist())
            latency = NEAR_CYCLES if lines <= self.near else FAR_CYCLES
            self.near |= lines
        if head == "LDGSTS":
            track.copies = max(track.copies, float(start + FAR_CYCLES))
        return start + taken - 1 + latency

    def _arrive(self, track: Track, place: int, now: int) -> None:
        number, threads = self.program.barrier_of(track.warp, place)
        key = (track.block, number)
        self.arrived[key].append(track)
        if track.block == 0:
            self.arrivals[(track.number, number)].append(now)
        track.ready = math.inf
        if len(self.arrived[key]) * LANES < (threads or self.block_threads[track.block]):
            return
        for other in self.arrived.pop(key):
            other.ready = now + BARRIER_CYCLES
            self._prepare(other, now)
        self.opened[key].append(now + BARRIER_CYCLES)
        self.opened_now = (
            now + BARRIER_CYCLES if not self.opened_now else min(self.opened_now, now + BARRIER_CYCLES)
        )
