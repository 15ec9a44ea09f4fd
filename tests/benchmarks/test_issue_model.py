"""Machine code carried out and timed: short listings whose results and cycles are counted by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from gpus import GPUS
from issue_model import LENGTH, RESULT, predicted, simulate
from sass import Control, parse
from sass_machine import GLOBAL_BASE, Program
from sass_operands import UnknownInstructionError
from sass_timing import BARRIER_CYCLES, RESULT_CYCLES, Multiprocessor, Timing, lines_touched
from sass_warp import LANES, Access, Memory, Warp
from scan_plan import Sizes
from static_cuda import nvcc_version


def control(stall: int = 1, write: int = 7, read: int = 7, wait: Sequence[int] = ()) -> int:
    """The second word of an instruction, nothing but its control bits."""
    return stall << 41 | write << 46 | read << 49 | sum(1 << b for b in wait) << 52


def listing(*lines: str | tuple[str, int]) -> Program:
    """A program of instructions, each alone or with its control bits."""
    text = []
    for i, line in enumerate(lines):
        code, word = line if isinstance(line, tuple) else (line, control())
        text += [f"        /*{i * 16:04x}*/   {code} ;   /* 0x{0:016x} */", f"   /* 0x{word:016x} */"]
    return Program(parse(text))


def warps(count: int = 1, memory: int = 4096) -> list[Warp]:
    shared = np.zeros(1024, np.uint8)
    everywhere = Memory({0: bytes(64)}, np.zeros(memory, np.uint8))
    return [Warp(everywhere, shared, LANES * i, 0) for i in range(count)]


def timed(program: Program, count: int = 1) -> Timing:
    return Multiprocessor(program, [warps(count)]).run()


def carried_out(program: Program) -> Warp:
    (warp,) = warps()
    while warp.alive:
        program.step(warp)
    return warp


def test_control_bits_of_a_real_instruction() -> None:
    assert Control.decoded(0x000FE200078E00FF) == Control(stall=1, write=7, read=7, wait=0)
    assert Control.decoded(0x000E620000002100) == Control(stall=1, write=1, read=7, wait=0)
    assert Control.decoded(control(5, 2, 3, (0, 4))) == Control(5, 2, 3, 0b10001)


def test_stall_counts_add_up() -> None:
    program = listing(("MOV R1, 0x1", control(4)), ("MOV R2, R1", control(6)), "EXIT")
    assert timed(program).cycles == 4 + 6 + 1


def test_a_result_is_waited_for_by_its_scoreboard() -> None:
    program = listing(
        ("MUFU.EX2 R1, R0", control(1, write=2)), ("FADD R2, R1, R1", control(4, wait=(2,))), "EXIT"
    )
    assert timed(program).cycles == RESULT_CYCLES["MUFU"] + 4 + 1


@pytest.mark.parametrize(("count", "cycles"), [(1, 1 + 3 * 8 + 1), (4, 1 + 3 * 8 + 1), (8, 1 + 7 * 8 + 1)])
def test_the_special_unit_takes_one_in_eight_cycles(count: int, cycles: int) -> None:
    """Warps 0, 4, 8 share a scheduler; the others have one of their own."""
    program = listing(*["MUFU.EX2 R1, R0"] * 4, "EXIT")
    assert timed(program, count).cycles == cycles


def test_two_warps_fill_each_others_stalls() -> None:
    program = listing(*[("MOV R1, 0x1", control(6))] * 10, "EXIT")
    assert timed(program, 1).cycles == 61
    assert timed(program, 8).cycles == 61 + 2  # the integer pipe takes one in two cycles
    assert sum(timed(program, 8).issued) == 8 * 11


def test_a_barrier_waits_for_the_slowest() -> None:
    program = listing(
        "S2R R0, SR_TID.X",
        ("ISETP.GE.U32.AND P0, PT, R0, 0x20, PT", control(13)),
        "@P0 BRA 0x50",
        ("MOV R1, 0x1", control(15)),
        ("MOV R1, 0x2", control(15)),
        "BAR.SYNC.DEFER_BLOCKING 0x1, 0x40",
        "EXIT",
    )
    timing = timed(program, 2)
    (opened,) = timing.barriers[(0, 1)]
    assert opened == 1 + 13 + 1 + 15 + 15 + BARRIER_CYCLES
    assert timing.work_cycles(0) == []
    assert timing.arrivals[(1, 1)][0] < timing.arrivals[(0, 1)][0]
    assert timing.cycles == opened + 1


def test_copies_are_waited_for_by_batches() -> None:
    copy = "LDGSTS.E.BYPASS.128 [R4], [R2.64]"
    program = listing(
        "MOV R4, RZ", "MOV R2, RZ", "MOV R3, 0x100", copy, "LDGDEPBAR", copy, "LDGDEPBAR",
        "DEPBAR.LE SB0, 0x1", "DEPBAR.LE SB0, 0x0", "EXIT",
    )  # fmt: skip
    multiprocessor = Multiprocessor(program, [warps()])
    first, second = 600, 602
    assert first < multiprocessor.run().cycles < second + 20


def test_lanes_part_and_meet_again() -> None:
    program = listing(
        "S2R R0, SR_TID.X",
        "BSSY B0, 0x60",
        "ISETP.LT.AND P0, PT, R0, 0x3, PT",
        "@!P0 BRA 0x50",
        "IADD3 R1, R0, 0x64, RZ",
        "BSYNC B0",
        "IADD3 R2, R1, 0x1, RZ",
        "EXIT",
    )
    warp = carried_out(program)
    assert warp.words[2].tolist() == [101, 102, 103] + [1] * 29
    assert timed(program).issued[0] == 8  # one part takes the add, then both go on as one


def test_a_loop_is_walked_as_often_as_its_count_says() -> None:
    program = listing(
        "MOV R0, 0x5", "IADD3 R1, R1, R0, RZ", "IADD3 R0, R0, -0x1, RZ", "ISETP.NE.AND P0, PT, R0, RZ, PT",
        "@P0 BRA 0x10", "EXIT",
    )  # fmt: skip
    assert carried_out(program).words[1, 0] == 15
    assert sum(timed(program).issued) == 1 + 5 * 4 + 1


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (("MOV R1, 0xffffffff", "IADD3 R2, P0, R1, 0x2, RZ", "IADD3.X R0, RZ, RZ, RZ, P0, !PT"), 1),
        (("MOV R1, 0x5", "IADD3 R2, P0, R1, -0x6, RZ", "SEL R0, R1, RZ, P0"), 0),
        (("MOV R1, 0x5", "IADD3 R2, P0, R1, -R1, RZ", "SEL R0, R1, RZ, P0"), 5),
        (("MOV R1, 0x80000000", "SHF.R.S32.HI R0, RZ, 0x1f, R1"), 0xFFFFFFFF),
        (("MOV R1, 0x12345678", "SHF.R.U32.HI R0, RZ, 0x8, R1"), 0x123456),
        (("MOV R1, 0x3", "LEA R0, R1, 0x10, 0x4"), 0x40),
        (("MOV R1, 0xf0", "LOP3.LUT R0, R1, 0xff, RZ, 0x3c, !PT"), 0x0F),
        (("MOV R1, 0x11223344", "PRMT R0, R1, 0x3210, RZ"), 0x11223344),
        (("MOV R1, 0x11223344", "PRMT R0, R1, 0x7610, RZ"), 0x3344),
        (("MOV R1, 0x10000", "IMAD.WIDE.U32 R2, R1, R1, RZ", "MOV R0, R3"), 1),
        (("MOV R1, 0x40000000", "MUFU.EX2 R0, R1"), 0x40800000),
        (("MOV R1, 0x3c00", "HADD2.F32 R0, -RZ, R1.H0_H0"), 0x3F800000),
        (("MOV R1, 0x3f800000", "F2FP.F16.F32.PACK_AB R0, RZ, R1"), 0x3C00),
        (("HFMA2.MMA R0, -RZ, RZ, 0, 5.9604644775390625e-08",), 1),
        (("S2R R1, SR_TID.X", "SHFL.BFLY PT, R0, R1, 0x4, 0x1f"), 4),
    ],
)
def test_instructions(code: tuple[str, ...], expected: int) -> None:
    assert carried_out(listing(*code, "EXIT")).words[0, 0] == expected


def test_memory() -> None:
    program = listing(
        "S2R R0, SR_TID.X", "IMAD.SHL.U32 R1, R0, 0x4, RZ", "STS [R1+0x10], R0", "LDS R2, [R1+0x10]",
        "MOV R3, 0x100", "MOV R2, R1", "STG.E [R2.64], R0", "LDG.E R5, [R2.64]", "EXIT",
    )  # fmt: skip
    (warp,) = warps()
    while warp.alive:
        program.step(warp)
    assert warp.words[5].tolist() == list(range(LANES))
    assert warp.shared[16:20].tolist() == [0, 0, 0, 0]
    assert warp.memory.everywhere[4] == 1
    assert GLOBAL_BASE == 0x100 << 32


def test_what_is_not_known_is_an_error() -> None:
    with pytest.raises(UnknownInstructionError, match="VOTE"):
        carried_out(listing("VOTE.ANY R0, PT, P0", "EXIT"))


@pytest.mark.parametrize(
    ("stride", "size", "lines"),
    [(4, 4, 1), (0, 4, 1), (8, 4, 2), (128, 4, 32), (132, 4, 1), (8, 8, 2), (16, 16, 4), (0, 16, 1)],
)
def test_shared_memory_conflicts(stride: int, size: int, lines: int) -> None:
    assert lines_touched(Access(np.arange(LANES, dtype=np.int64) * stride, size)) == lines


@pytest.mark.compiled
@pytest.mark.parametrize("gpu", ["H200", "AGX Orin"])
@pytest.mark.parametrize("lanes", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_the_compiled_kernel_computes_the_scan(cuda_library: Path, gpu: str, lanes: int, dtype: str) -> None:
    """The machine code itself, before any GPU runs it: 83 tokens end in the middle of a tile."""
    device = next(x for x in GPUS if x.name == gpu)
    run = simulate(cuda_library, device, Sizes(B=1, L=83, dtype=dtype), 1, lanes)
    assert run.error < (1e-4 if dtype == "float32" else 2e-2)


@pytest.mark.compiled
def test_the_committed_model_is_of_this_code(cuda_library: Path) -> None:
    report = json.loads(RESULT.read_text(encoding="utf-8"))
    if report["nvcc"] != nvcc_version():
        pytest.skip(f"the report is of nvcc {report['nvcc']}, this machine has {nvcc_version()}")
    device = next(x for x in GPUS if x.name == "H200")
    (row,) = [x for x in report["scan"] if (x["gpu"], x["B"]) == ("H200", 1)]
    now = predicted(cuda_library, device, Sizes(B=1, L=LENGTH))
    assert now["cycles"] == row["cycles"], (
        "run make cuda-compile and benchmarks/issue_model.py, and commit the report"
    )
