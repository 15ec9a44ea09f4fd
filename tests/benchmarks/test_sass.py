"""Reading a disassembly: instructions, loops, and what a loop is told apart by."""

from __future__ import annotations

import pytest
from gpus import GPUS
from sass import Instruction, count, loops, parse
from scan_code import main_loop, per_exponential

LISTING = """
        /*0000*/                   MOV R1, c[0x0][0x28] ;                 /* 0x00000a0000017a02 */
                                                                          /* 0x000fe40000000f00 */
        /*0010*/              @!P0 EXIT ;                                 /* 0x000000000000894d */
        /*0020*/                   LDS R2, [R3] ;                         /* 0x0000000003027984 */
        /*0030*/                   MUFU.EX2 R4, R2 ;                      /* 0x0000000200047308 */
        /*0040*/                   MUFU.EX2 R5, R2 ;                      /* 0x0000000200057308 */
        /*0050*/              @!P1 BRA 0x30 ;                             /* 0xffffffd000009947 */
        /*0060*/                   BAR.SYNC.DEFER_BLOCKING 0x0 ;          /* 0x0000000000007b1d */
        /*0070*/               @P2 BRA 0x20 ;                             /* 0xffffffa000002947 */
        /*0080*/                   EXIT ;                                 /* 0x000000000000794d */
        /*0090*/                   BRA 0x90;                              /* 0xfffffff000007947 */
        /*00a0*/                   NOP;                                   /* 0x0000000000007918 */
"""
INSTRUCTIONS = parse(LISTING.split("\n"))


def test_predicates_targets_and_padding() -> None:
    assert len(INSTRUCTIONS) == 10
    assert INSTRUCTIONS[1] == Instruction(0x10, "EXIT")
    assert INSTRUCTIONS[5] == Instruction(0x50, "BRA", 0x30)
    assert count(INSTRUCTIONS, "MUFU") == 2


def test_inner_loops_are_left_out_of_outer_ones() -> None:
    outer, inner = loops(INSTRUCTIONS)
    assert (outer.first, outer.last, outer.around) == (0x20, 0x70, ())
    assert [x.opcode for x in outer.body] == ["LDS", "BAR.SYNC.DEFER_BLOCKING", "BRA"]
    assert (inner.first, inner.last, inner.around) == (0x30, 0x50, (0x20,))
    assert inner.count("MUFU.EX2") == 2


def test_main_loop_has_the_exponentials() -> None:
    assert per_exponential(main_loop(INSTRUCTIONS)) == 1.5


def test_no_main_loop_is_an_error() -> None:
    with pytest.raises(ValueError, match="no recurrence loop"):
        main_loop(INSTRUCTIONS[:5])


@pytest.mark.parametrize(
    ("name", "threads", "registers", "shared", "blocks"),
    [
        ("H200", 128, 168, 0, 3),  # registers
        ("H200", 256, 32, 100_000, 2),  # shared memory
        ("T4", 512, 32, 0, 2),  # threads
        ("RTX 4090", 32, 16, 0, 24),  # blocks
    ],
)
def test_resident_blocks(name: str, threads: int, registers: int, shared: int, blocks: int) -> None:
    gpu = next(x for x in GPUS if x.name == name)
    assert gpu.resident_blocks(threads, registers, shared) == blocks
