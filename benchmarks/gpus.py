"""The GPUs that figures are predicted for, by their data sheets and CUDA's table of capabilities."""

from __future__ import annotations

from dataclasses import dataclass

REGISTERS_PER_SM = 65536
REGISTER_UNIT = 256
"""Registers are given to a warp in units of this many."""
SHARED_UNIT = 128
"""Bytes; shared memory is given to a block in units of this many."""
RESERVED_SHARED = 1024
"""Bytes of a block's shared memory that the driver keeps (compute capability 8.0 and later)."""
WARP = 32
SCHEDULERS = 4
EX2_PER_CLOCK = 16
"""Exponentials, reciprocals or logarithms of an SM a clock."""


@dataclass(frozen=True)
class Gpu:
    """One product.

    Attributes:
        name: as on its data sheet.
        architecture: as nvcc calls it.
        sms: multiprocessors.
        clock_ghz: boost clock, or a Jetson's highest.
        threads: most resident threads of an SM.
        blocks: most resident blocks of an SM.
        shared_kib: shared memory of an SM.
    """

    name: str
    architecture: str
    sms: int
    clock_ghz: float
    threads: int
    blocks: int
    shared_kib: int

    @property
    def shared_per_block(self) -> int:
        """Bytes, the opt-in limit."""
        reserved = 0 if self.architecture == "sm_75" else RESERVED_SHARED
        return self.shared_kib * 1024 - reserved

    def resident_blocks(self, threads: int, registers: int, shared: int) -> int:
        """Blocks on an SM at the same time; `registers` of a thread, `shared` bytes of a block."""
        warps = -(-threads // WARP)
        warp_registers = -(-registers * WARP // REGISTER_UNIT) * REGISTER_UNIT
        reserved = 0 if self.architecture == "sm_75" else RESERVED_SHARED
        block_shared = -(-(shared + reserved) // SHARED_UNIT) * SHARED_UNIT
        return min(
            self.blocks,
            self.threads // (warps * WARP),
            REGISTERS_PER_SM // (warp_registers * warps),
            self.shared_kib * 1024 // block_shared if block_shared else self.blocks,
        )


GPUS = (
    Gpu("T4", "sm_75", 40, 1.59, 1024, 16, 64),
    Gpu("A100", "sm_80", 108, 1.41, 2048, 32, 164),
    Gpu("RTX 3090", "sm_86", 82, 1.695, 1536, 16, 100),
    Gpu("AGX Orin", "sm_87", 16, 1.3, 1536, 16, 164),
    Gpu("Orin Nano", "sm_87", 8, 1.02, 1536, 16, 164),
    Gpu("RTX 4090", "sm_89", 128, 2.52, 1536, 24, 100),
    Gpu("H200", "sm_90", 132, 1.98, 2048, 32, 228),
    Gpu("B200", "sm_100", 148, 1.965, 2048, 32, 228),
    Gpu("AGX Thor", "sm_110", 20, 1.575, 1536, 24, 228),
    Gpu("RTX 5090", "sm_120", 170, 2.407, 1536, 24, 100),
)
