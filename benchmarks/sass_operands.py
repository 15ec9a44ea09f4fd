"""Operands of machine code: registers, constants, numbers and predicates as a warp reads and writes them."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from sass_warp import LANES, SINK, UNIFORM_SINK, UNIFORM_ZERO, ZERO, Mask, Warp, Words

Wide = npt.NDArray[np.uint64]
HALF = np.uint64(32)
"""Bits of a word, and of the shift to a pair's upper one."""
BITS = np.uint64(0xFFFFFFFF)
_ONE = np.uint64(1)


class UnknownInstructionError(Exception):
    """The machine code holds an instruction, or a form of one, that is not modelled."""


def wide_of(low: Words, high: Words) -> Wide:
    return np.asarray(low.astype(np.uint64) | high.astype(np.uint64) << HALF, np.uint64)


def signed(x: Words) -> npt.NDArray[np.int32]:
    return x.view(np.int32)


_REGISTER = re.compile(
    r"^([-~]?)(\|?)(U?)R(Z|\d+)(?:\.reuse)?(?:\.64)?(?:\.(H0|H1)_H[F01])?\|?(?:\.(H0|H1)_H[F01])?$"
)
_CONSTANT = re.compile(r"^([-~]?)(\|?)c\[0x([0-9a-f]+)\]\[(?:(U?R\d+)\+?)?(?:0x([0-9a-f]+))?\]\|?$")


def number_of(text: str) -> int:
    return int(text, 16) & 0xFFFFFFFF


def fixed_words(value: int) -> Words:
    return np.full(LANES, value, np.uint32)


class Reader:
    """An operand: its 32-bit words, the pair above it, or its floats."""

    def __init__(self, text: str, floating: bool = False) -> None:
        self.text, self.sign, self.negated, self.inverted, self.absolute = text, text, False, False, False
        self.half = ""
        self.row: Callable[[Warp, int], Words]
        if match := _REGISTER.match(text):
            self._modify(match[1], match[2])
            self.half = match[5] or match[6] or ""
            uniform = match[3] == "U"
            number = (UNIFORM_ZERO if uniform else ZERO) if match[4] == "Z" else int(match[4])
            zero = number == (UNIFORM_ZERO if uniform else ZERO)
            if uniform:
                self.row = lambda w, up: w.uniform[number if zero else number + up]
            else:
                self.row = lambda w, up: w.words[number if zero else number + up]
        elif match := _CONSTANT.match(text):
            self._modify(match[1], match[2])
            self.row = self._constant(int(match[3], 16), match[4], int(match[5] or "0", 16))
        else:
            value, above = self._immediate(text, floating), fixed_words(0)
            self.row = lambda w, up: above if up else value

    def _modify(self, sign: str, bar: str) -> None:
        self.negated, self.inverted, self.absolute = sign == "-", sign == "~", bar == "|"

    @staticmethod
    def _immediate(text: str, floating: bool) -> Words:
        if floating:
            special = {"+INF": np.inf, "-INF": -np.inf, "INF": np.inf, "+QNAN": np.nan, "-QNAN": np.nan}
            try:
                value = np.float32(special[text] if text in special else float(text))
            except ValueError:
                return fixed_words(signed_number(text))
            return np.full(LANES, value, np.float32).view(np.uint32)
        try:
            return fixed_words(signed_number(text))
        except ValueError:
            raise UnknownInstructionError(f"operand {text!r}") from None

    @staticmethod
    def _constant(bank: int, index: str | None, offset: int) -> Callable[[Warp, int], Words]:
        cache: dict[int, Words] = {}

        def fixed(w: Warp, up: int) -> Words:
            if up not in cache:
                at = offset + 4 * up
                cache[up] = fixed_words(int.from_bytes(w.memory.constants[bank][at : at + 4], "little"))
            return cache[up]

        def indexed(w: Warp, up: int) -> Words:
            assert index is not None
            rows = w.uniform if index.startswith("U") else w.words
            at = rows[int(index.lstrip("UR"))].astype(np.int64) + offset + 4 * up
            data = np.frombuffer(w.memory.constants[bank], np.uint32)
            return np.asarray(data[np.minimum(at >> 2, len(data) - 1)])

        return fixed if index is None else indexed

    def bits(self, w: Warp, up: int = 0) -> Words:
        """Two's complement, a sign taken in."""
        x = self.row(w, up)
        if self.negated:
            return np.asarray(~x + np.uint32(1), np.uint32)
        return ~x if self.inverted else x

    def addend(self, w: Warp) -> Wide:
        """For a sum with carry: a negative number is its complement and one more, carry included."""
        x = self.row(w, 0).astype(np.uint64)
        if self.negated:
            return (x ^ BITS) + _ONE
        return x ^ BITS if self.inverted else x

    def pair(self, w: Warp) -> Wide:
        """The 64-bit number of this register and the next."""
        x = wide_of(self.row(w, 0), self.row(w, 1))
        if self.negated:
            return ~x + _ONE
        return ~x if self.inverted else x

    def number(self, w: Warp) -> npt.NDArray[np.float32]:
        """As float32."""
        x = self.row(w, 0)
        if self.half:
            part = (x >> np.uint32(16) if self.half == "H1" else x & np.uint32(0xFFFF)).astype(np.uint16)
            value = part.view(np.float16).astype(np.float32)
        else:
            value = x.view(np.float32)
        if self.absolute:
            value = np.abs(value)
        return -value if self.negated else value


def signed_number(text: str) -> int:
    value = int(text.lstrip("+-"), 16)
    return (-value if text.startswith("-") else value) & 0xFFFFFFFF


PREDICATE = re.compile(r"^(!?)(U?)P(T|\d)$")


class Predicate:
    """A predicate that is read, or written to."""

    def __init__(self, text: str) -> None:
        match = PREDICATE.match(text)
        if match is None:
            raise UnknownInstructionError(f"predicate {text!r}")
        self.inverted, self.uniform = match[1] == "!", match[2] == "U"
        self.index = 7 if match[3] == "T" else int(match[3])

    def bits(self, w: Warp) -> Mask:
        """32 booleans."""
        x = (w.uniform_predicates if self.uniform else w.predicates)[self.index]
        return np.asarray(~x if self.inverted else x)

    def put(self, w: Warp, value: Mask, mask: Mask | None) -> None:
        """Write the active lanes."""
        if self.index == 7:
            return
        row = (w.uniform_predicates if self.uniform else w.predicates)[self.index]
        if mask is None or self.uniform:
            row[:] = value
        else:
            np.copyto(row, value, where=mask)


class Target:
    """A register that is written to."""

    def __init__(self, text: str) -> None:
        match = _REGISTER.match(text)
        if match is None:
            raise UnknownInstructionError(f"destination {text!r}")
        self.is_uniform = match[3] == "U"
        sink = UNIFORM_SINK if self.is_uniform else SINK
        self.number = sink if match[4] == "Z" else int(match[4])

    def put(self, w: Warp, value: npt.NDArray[np.generic], mask: Mask | None, up: int = 0) -> None:
        """Write the active lanes of this register, or of the one `up` above it."""
        if self.is_uniform:
            w.uniform[self.number + up if self.number < UNIFORM_ZERO else self.number] = value
            return
        row = w.words[self.number + up if self.number != SINK else SINK]
        if mask is None:
            row[:] = value
        else:
            np.copyto(row, value, where=mask)

    def put_wide(self, w: Warp, value: Wide, mask: Mask | None) -> None:
        """Write a 64-bit number to this register and the next."""
        self.put(w, (value & BITS).astype(np.uint32), mask)
        self.put(w, (value >> HALF).astype(np.uint32), mask, 1)

    def put_float(self, w: Warp, value: npt.NDArray[np.float32], mask: Mask | None) -> None:
        """Write float32."""
        self.put(w, np.ascontiguousarray(np.broadcast_to(value, LANES), np.float32).view(np.uint32), mask)
