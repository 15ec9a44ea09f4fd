"""What machine code does: a kernel's instructions carried out for a warp, one after the other.

The integer, float32 and memory instructions that nvcc writes for the scan (compute capability 7.5 to 12.0),
32 lanes at a time. Lanes of a warp that part at a branch go on as groups, the one furthest behind first,
and meet again where the code says (`BSSY`, `BSYNC`, `WARPSYNC`). An instruction that is not known here is
an error, never skipped.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from sass import Instruction
from sass_operands import (
    BITS,
    HALF,
    PREDICATE,
    Predicate,
    Reader,
    Target,
    UnknownInstructionError,
    fixed_words,
    number_of,
    signed,
    wide_of,
)
from sass_warp import ALL, LANES, Access, Mask, Warp, Words

GLOBAL_BASE = 1 << 40
"""Where global memory begins; beyond 32 bits, as on a GPU."""
Action = Callable[[Warp, "Mask | None"], None]
_ONE = np.uint64(1)
_ADDRESS = re.compile(r"^(?:desc\[\w+\])?\[([^\]]*)\]$")


def lanes_of(mask: int) -> Mask:
    """A mask as 32 booleans."""
    return np.array([mask >> i & 1 for i in range(LANES)], dtype=np.bool_)


def _split(operands: Sequence[str]) -> tuple[Target, list[Predicate], list[str]]:
    """Destination, predicates written beside it, the rest."""
    carries: list[Predicate] = []
    rest = list(operands[1:])
    while rest and re.match(r"^U?P(T|\d)$", rest[0]):
        carries.append(Predicate(rest.pop(0)))
    return Target(operands[0]), carries, rest


def _trailing(rest: list[str]) -> tuple[list[str], list[Predicate]]:
    """Operands, and the predicates read behind them."""
    found: list[Predicate] = []
    while rest and PREDICATE.match(rest[-1]):
        found.insert(0, Predicate(rest.pop()))
    return rest, found


def _sum(x: Instruction) -> Action:
    out, carries, rest = _split(x.operands)
    rest, ins = _trailing(rest)
    terms = [Reader(text) for text in rest]
    if not carries and not ins:

        def plain(w: Warp, mask: Mask | None) -> None:
            total = terms[0].bits(w)
            for term in terms[1:]:
                total = total + term.bits(w)
            out.put(w, total, mask)

        return plain

    def carried(w: Warp, mask: Mask | None) -> None:
        total = terms[0].addend(w)
        for term in terms[1:]:
            total = total + term.addend(w)
        for carry in ins:
            total = total + carry.bits(w)
        over = total >> HALF
        out.put(w, (total & BITS).astype(np.uint32), mask)
        for at, carry in enumerate(carries):
            carry.put(w, over > at, mask)

    return carried


def _multiply(x: Instruction) -> Action:
    out, carries, rest = _split(x.operands)
    rest, ins = _trailing(rest)
    a, b, c = (Reader(text) for text in rest)
    words = x.opcode.split(".")
    if "WIDE" in words or "HI" in words:
        signed_product, high = "U32" not in words, "HI" in words

        def wide(w: Warp, mask: Mask | None) -> None:
            if signed_product:
                product = (signed(a.bits(w)).astype(np.int64) * signed(b.bits(w)).astype(np.int64)).view(
                    np.uint64
                )
            else:
                product = a.bits(w).astype(np.uint64) * b.bits(w).astype(np.uint64)
            total = product + c.pair(w)
            for carry in ins:
                total = total + carry.bits(w)
            over = total < product
            if high:
                out.put(w, (total >> HALF).astype(np.uint32), mask)
            else:
                out.put_wide(w, total, mask)
            for carry in carries:
                carry.put(w, over, mask)

        return wide
    if rest[0] == rest[1] == "RZ" and not ins:
        return lambda w, mask: out.put(w, c.bits(w), mask)

    def low(w: Warp, mask: Mask | None) -> None:
        total = a.bits(w) * b.bits(w) + c.bits(w)
        for carry in ins:
            total = total + carry.bits(w).astype(np.uint32)
        out.put(w, total, mask)

    return low


def _lea(x: Instruction) -> Action:
    out, carries, rest = _split(x.operands)
    rest, ins = _trailing(rest)
    words = x.opcode.split(".")
    shift = np.uint64(number_of(rest[-1]))
    a, b = Reader(rest[0]), Reader(rest[1])
    high, extended = "HI" in words, "SX32" in words
    above = Reader(rest[2]) if high and not extended else None

    def act(w: Warp, mask: Mask | None) -> None:
        low = a.row(w, 0)
        if high:
            top = (signed(low) >> 31).view(np.uint32) if extended else above.bits(w)  # type: ignore[union-attr]
            moved = (wide_of(low, top) << shift) >> HALF
        else:
            moved = (low.astype(np.uint64) << shift) & BITS
        if a.negated:
            moved = (moved ^ BITS) + _ONE
        total = moved + b.addend(w)
        for carry in ins:
            total = total + carry.bits(w)
        out.put(w, (total & BITS).astype(np.uint32), mask)
        for carry in carries:
            carry.put(w, total > BITS, mask)

    return act


def _logic(x: Instruction) -> Action:
    operands = list(x.operands)
    flag = Predicate(operands.pop(0)) if PREDICATE.match(operands[0]) else None
    out = Target(operands[0])
    a, b, c = (Reader(text) for text in operands[1:4])
    table = number_of(operands[4])
    also = Predicate(operands[5]) if len(operands) > 5 else None

    def act(w: Warp, mask: Mask | None) -> None:
        p, q, r = a.bits(w), b.bits(w), c.bits(w)
        if table == 0xC0:
            value = p & q
        elif table == 0xFC:
            value = p | q
        elif table == 0x3C:
            value = p ^ q
        else:
            value = np.zeros(LANES, np.uint32)
            for case in range(8):
                if table >> case & 1:
                    value = value | (
                        (p if case & 4 else ~p) & (q if case & 2 else ~q) & (r if case & 1 else ~r)
                    )
        out.put(w, value, mask)
        if flag is not None:
            truth = value != 0
            flag.put(w, truth | also.bits(w) if also is not None else truth, mask)

    return act


def _predicate_logic(x: Instruction) -> Action:
    outs = [Predicate(x.operands[0]), Predicate(x.operands[1])]
    ins = [Predicate(text) for text in x.operands[2:5]]
    tables = [number_of(text) for text in x.operands[5:7]]

    def act(w: Warp, mask: Mask | None) -> None:
        case = ins[0].bits(w) * 4 + ins[1].bits(w) * 2 + ins[2].bits(w) * 1
        values = [(table >> case & 1).astype(np.bool_) for table in tables]
        for out, value in zip(outs, values, strict=True):
            out.put(w, value, mask)

    return act


_COMPARE: Mapping[str, Callable[..., Mask]] = {
    "LT": np.less, "LE": np.less_equal, "GT": np.greater, "GE": np.greater_equal, "EQ": np.equal,
    "NE": np.not_equal, "NEU": np.not_equal, "LTU": lambda a, b: ~(a >= b), "GTU": lambda a, b: ~(a <= b),
    "GEU": lambda a, b: ~(a < b), "LEU": lambda a, b: ~(a > b), "EQU": lambda a, b: ~((a < b) | (a > b)),
}  # fmt: skip
_COMBINE: Mapping[str, Callable[[Mask, Mask], Mask]] = {
    "AND": np.logical_and, "OR": np.logical_or, "XOR": np.logical_xor,
}  # fmt: skip


def _compare(x: Instruction) -> Action:
    words = x.opcode.split(".")
    floating, unsigned, extended = words[0] == "FSETP", "U32" in words, "EX" in words
    compare = next(_COMPARE[word] for word in words[1:] if word in _COMPARE)
    relation = next(word for word in words[1:] if word in _COMPARE)
    combine = next((_COMBINE[word] for word in words[1:] if word in _COMBINE), np.logical_and)
    first, second = Predicate(x.operands[0]), Predicate(x.operands[1])
    a, b = Reader(x.operands[2], floating), Reader(x.operands[3], floating)
    ins = [Predicate(text) for text in x.operands[4:]]

    def act(w: Warp, mask: Mask | None) -> None:
        if floating:
            found = compare(a.number(w), b.number(w))
        else:
            p, q = a.bits(w), b.bits(w)
            if not unsigned:
                p, q = signed(p), signed(q)  # type: ignore[assignment]
            found = compare(p, q)
            if extended:
                below = ins[1].bits(w)
                if relation == "NE":
                    found = found | below
                elif relation == "EQ":
                    found = found & below
                else:
                    found = (found & (p != q)) | ((p == q) & below)
        beside = ins[0].bits(w) if ins else np.ones(LANES, np.bool_)
        first.put(w, combine(found, beside), mask)
        second.put(w, combine(~found, beside), mask)

    return act


def _shift(x: Instruction) -> Action:
    out = Target(x.operands[0])
    low, by, high = (Reader(text) for text in x.operands[1:4])
    words = x.opcode.split(".")
    left, kind, upper = words[1] == "L", next(w for w in words[2:] if w[0] in "US"), "HI" in words
    if "W" in words:
        raise UnknownInstructionError(x.opcode)
    most = np.uint64(63 if kind.endswith("64") else 32)

    def act(w: Warp, mask: Mask | None) -> None:
        value, shift = wide_of(low.bits(w), high.bits(w)), np.minimum(by.bits(w).astype(np.uint64), most)
        if left:
            moved = value << shift
        elif kind.startswith("S"):
            moved = (value.view(np.int64) >> shift.view(np.int64)).view(np.uint64)
        else:
            moved = value >> shift
        out.put(w, ((moved >> HALF) if upper else moved & BITS).astype(np.uint32), mask)

    return act


def _select(x: Instruction) -> Action:
    out, a, b = (
        Target(x.operands[0]),
        Reader(x.operands[1], x.opcode[0] == "F"),
        Reader(x.operands[2], x.opcode[0] == "F"),
    )
    which = Predicate(x.operands[3])
    return lambda w, mask: out.put(w, np.where(which.bits(w), a.bits(w), b.bits(w)), mask)


def _minimum(x: Instruction) -> Action:
    out, _, rest = _split(x.operands)
    floating, unsigned = x.opcode.startswith("F"), "U32" in x.opcode
    a, b, least = Reader(rest[0], floating), Reader(rest[1], floating), Predicate(rest[-1])

    def act(w: Warp, mask: Mask | None) -> None:
        if floating:
            p, q = a.number(w), b.number(w)
            out.put_float(w, np.where(least.bits(w), np.fmin(p, q), np.fmax(p, q)), mask)
            return
        r, s = a.bits(w), b.bits(w)
        u, v = (r, s) if unsigned else (signed(r), signed(s))
        out.put(w, np.where(least.bits(w), np.minimum(u, v), np.maximum(u, v)).view(np.uint32), mask)

    return act


def _permute(x: Instruction) -> Action:
    out, a, selector, b = Target(x.operands[0]), *(Reader(text) for text in x.operands[1:4])
    if x.opcode != "PRMT":
        raise UnknownInstructionError(x.opcode)

    def act(w: Warp, mask: Mask | None) -> None:
        source, which = wide_of(a.bits(w), b.bits(w)), selector.bits(w).astype(np.uint64)
        value = np.zeros(LANES, np.uint64)
        for byte in range(4):
            pick = which >> np.uint64(4 * byte)
            part = source >> ((pick & np.uint64(7)) * np.uint64(8)) & np.uint64(0xFF)
            sign = np.where(part >= 0x80, np.uint64(0xFF), np.uint64(0))
            value |= np.where(pick & np.uint64(8), sign, part) << np.uint64(8 * byte)
        out.put(w, value.astype(np.uint32), mask)

    return act


def _float(x: Instruction) -> Action:
    name = x.opcode.split(".")[0]
    out = Target(x.operands[0])
    operands = [Reader(text, True) for text in x.operands[1:]]
    if name == "FFMA":
        a, b, c = operands

        def fused(w: Warp, mask: Mask | None) -> None:
            product = a.number(w).astype(np.float64) * b.number(w)
            out.put_float(w, (product + c.number(w)).astype(np.float32), mask)

        return fused
    a, b = operands[:2]
    if name in ("FMUL", "FADD"):
        work: Callable[..., npt.NDArray[np.float32]] = np.multiply if name == "FMUL" else np.add
        return lambda w, mask: out.put_float(w, work(a.number(w), b.number(w)), mask)
    if x.opcode == "HADD2.F32" and x.operands[1] == "-RZ":
        return lambda w, mask: out.put_float(w, b.number(w), mask)
    raise UnknownInstructionError(x.opcode)


def _half_immediate(x: Instruction) -> Action:
    if x.operands[1:3] != ("-RZ", "RZ"):
        raise UnknownInstructionError(f"{x.opcode} {', '.join(x.operands)}")
    high, low = (int(np.float16(float(text)).view(np.uint16)) for text in x.operands[3:5])
    out, value = Target(x.operands[0]), fixed_words(high << 16 | low)
    return lambda w, mask: out.put(w, value, mask)


def _special(x: Instruction) -> Action:
    out, a = Target(x.operands[0]), Reader(x.operands[1], True)
    functions: Mapping[str, Callable[..., npt.NDArray[np.float32]]] = {
        "EX2": np.exp2, "RCP": np.reciprocal, "LG2": np.log2, "TANH": np.tanh,
    }  # fmt: skip
    function = functions[x.opcode.split(".")[1]]
    return lambda w, mask: out.put_float(w, function(a.number(w)), mask)


def _convert(x: Instruction) -> Action:
    words = x.opcode.split(".")
    out = Target(x.operands[0])
    if words[0] == "F2FP":
        a, b = Reader(x.operands[1], True), Reader(x.operands[2], True)

        def half(value: npt.NDArray[np.float32]) -> Words:
            if "BF16" in words:
                bits = value.view(np.uint32)
                return np.asarray(
                    (bits + np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1))) >> np.uint32(16)
                )
            return value.astype(np.float16).view(np.uint16).astype(np.uint32)

        return lambda w, mask: out.put(w, half(a.number(w)) << np.uint32(16) | half(b.number(w)), mask)
    if words[0] == "F2I":
        source, wide = Reader(x.operands[1], True), "U64" in words

        def to_integer(w: Warp, mask: Mask | None) -> None:
            value = np.nan_to_num(np.trunc(source.number(w)).astype(np.float64), posinf=2.0**65)
            most = 2.0**64 if wide else 2.0**32
            whole = np.where(value >= most, 0, value).astype(np.uint64)
            whole = np.where(value >= most, np.uint64(int(most) - 1), whole)
            if wide:
                out.put_wide(w, whole, mask)
            else:
                out.put(w, whole.astype(np.uint32), mask)

        return to_integer
    source, wide, up = Reader(x.operands[1]), "U64" in words, "RP" in words
    if "S32" in words or not any(word in words for word in ("U32", "U64")):
        raise UnknownInstructionError(x.opcode)

    def to_float(w: Warp, mask: Mask | None) -> None:
        value = (source.pair(w) if wide else source.bits(w).astype(np.uint64)).astype(np.longdouble)
        near = value.astype(np.float32)
        if up:
            near = np.where(near < value, np.nextafter(near, np.float32(np.inf)), near)
        out.put_float(w, near, mask)

    return to_float


def _special_register(x: Instruction) -> Action:
    out, name = Target(x.operands[0]), x.operands[1]
    lanes = np.arange(LANES, dtype=np.uint32)
    values: Mapping[str, Callable[[Warp], Words]] = {
        "SR_TID.X": lambda w: lanes + np.uint32(w.first_thread),
        "SR_CTAID.X": lambda w: fixed_words(w.block),
        "SR_CgaCtaId": lambda w: fixed_words(0),
        "SR_LANEID": lambda w: lanes,
        "SRZ": lambda w: fixed_words(0),
    }
    if name not in values:
        raise UnknownInstructionError(f"{x.opcode} {name}")
    wide = x.opcode == "CS2R"

    def act(w: Warp, mask: Mask | None) -> None:
        out.put(w, values[name](w), mask)
        if wide:
            out.put(w, fixed_words(0), mask, 1)

    return act


def _move(x: Instruction) -> Action:
    out, source = Target(x.operands[0]), Reader(x.operands[1])
    wide = x.opcode.endswith(".64")

    def act(w: Warp, mask: Mask | None) -> None:
        out.put(w, source.bits(w), mask)
        if wide:
            out.put(w, source.bits(w, 1), mask, 1)

    return act


def _to_uniform(x: Instruction) -> Action:
    out, source = Target(x.operands[0]), Reader(x.operands[1])

    def act(w: Warp, mask: Mask | None) -> None:
        first = 0 if mask is None else int(np.argmax(mask))
        out.put(w, fixed_words(int(source.bits(w)[first])), None)

    return act


def _pack_predicates(x: Instruction) -> Action:
    which = number_of(x.operands[3])
    if x.operands[1] != "PR" or x.operands[2] != "RZ":
        raise UnknownInstructionError(x.opcode)
    out = Target(x.operands[0])

    def act(w: Warp, mask: Mask | None) -> None:
        value = np.zeros(LANES, np.uint32)
        for i in range(7):
            if which >> i & 1:
                value |= w.predicates[i].astype(np.uint32) << np.uint32(i)
        out.put(w, value, mask)

    return act


def _unpack_predicates(x: Instruction) -> Action:
    source, which = Reader(x.operands[1]), number_of(x.operands[2])

    def act(w: Warp, mask: Mask | None) -> None:
        for i in range(7):
            if which >> i & 1:
                Predicate(f"P{i}").put(
                    w, (source.bits(w) >> np.uint32(i) & np.uint32(1)).astype(np.bool_), mask
                )

    return act


def _shuffle(x: Instruction) -> Action:
    flag, out, source, by, bound = (
        Predicate(x.operands[0]), Target(x.operands[1]), *(Reader(text) for text in x.operands[2:5])
    )  # fmt: skip
    if not x.opcode.endswith("BFLY"):
        raise UnknownInstructionError(x.opcode)
    lanes = np.arange(LANES)

    def act(w: Warp, mask: Mask | None) -> None:
        if int(bound.bits(w)[0]) != 0x1F:
            raise UnknownInstructionError("SHFL within a part of a warp")
        out.put(w, source.bits(w)[(lanes ^ by.bits(w).astype(np.int64)) & 31], mask)
        flag.put(w, np.ones(LANES, np.bool_), mask)

    return act


def _address(text: str) -> Callable[[Warp], npt.NDArray[np.int64]]:
    match = _ADDRESS.match(text)
    if match is None:
        raise UnknownInstructionError(f"address {text!r}")
    parts = [part for part in match[1].split("+") if part]
    offset, wide, bases = 0, False, []
    for part in parts:
        if part.lstrip("-").startswith("0x"):
            offset += int(part, 16)
        else:
            wide = wide or part.endswith(".64")
            bases.append((Reader(part), part.endswith(".64") and not part.startswith("RZ")))

    def at(w: Warp) -> npt.NDArray[np.int64]:
        total = np.full(LANES, offset, np.int64)
        for reader, is_pair in bases:
            total = total + (
                reader.pair(w).view(np.int64) if is_pair else signed(reader.bits(w)).astype(np.int64)
            )
        return total if wide else total & 0xFFFFFFFF

    return at


_SIZES = {"64": 8, "128": 16, "U16": 2, "S16": 2, "U8": 1, "S8": 1}


def size_of(opcode: str) -> int:
    """Bytes that a memory instruction moves for a lane."""
    return next((_SIZES[word] for word in opcode.split(".")[1:] if word in _SIZES), 4)


def _view(memory: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.generic]:
    return memory.view({1: np.uint8, 2: np.uint16}.get(size, np.uint32))


def _note(w: Warp, at: npt.NDArray[np.int64], mask: Mask | None, size: int) -> npt.NDArray[np.int64]:
    there = at if mask is None else at[mask]
    w.access = Access(there, size)
    return there


def _place(
    w: Warp, at: npt.NDArray[np.int64], mask: Mask | None, size: int, everywhere: bool
) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.int64]]:
    """The memory of an access, global or shared, in words of it, and each lane's first word."""
    there = _note(w, at, mask, size) - (GLOBAL_BASE if everywhere else 0)
    return _view(w.memory.everywhere if everywhere else w.shared, size), there // min(size, 4)


def _load(x: Instruction) -> Action:
    out, address, size = Target(x.operands[0]), _address(x.operands[1]), size_of(x.opcode)
    everywhere = x.opcode.startswith("LDG")

    def act(w: Warp, mask: Mask | None) -> None:
        memory, at = _place(w, address(w), mask, size, everywhere)
        for word in range(max(1, size // 4)):
            value = np.zeros(LANES, np.uint32)
            value[slice(None) if mask is None else mask] = memory[at + word]
            out.put(w, value, mask, word)

    return act


def _store(x: Instruction) -> Action:
    address, source, size = _address(x.operands[0]), Reader(x.operands[1]), size_of(x.opcode)
    everywhere = x.opcode.startswith("STG")

    def act(w: Warp, mask: Mask | None) -> None:
        memory, at = _place(w, address(w), mask, size, everywhere)
        for word in range(max(1, size // 4)):
            value = source.row(w, word)
            memory[at + word] = (value if mask is None else value[mask]).astype(memory.dtype)

    return act


def _copy(x: Instruction) -> Action:
    to, source, size = _address(x.operands[0]), _address(x.operands[1]), size_of(x.opcode)

    def act(w: Warp, mask: Mask | None) -> None:
        at, there = (source(w) - GLOBAL_BASE) // 4, _note(w, to(w), mask, size) // 4
        at = at if mask is None else at[mask]
        shared, everywhere = _view(w.shared, 4), _view(w.memory.everywhere, 4)
        for word in range(size // 4):
            shared[there + word] = everywhere[at + word]

    return act


def _nothing(w: Warp, mask: Mask | None) -> None:
    pass


_ACTIONS: Mapping[str, Callable[[Instruction], Action]] = {
    "IADD3": _sum, "UIADD3": _sum, "VIADD": _sum, "IMAD": _multiply, "UIMAD": _multiply,
    "LEA": _lea, "ULEA": _lea,
    "LOP3": _logic, "ULOP3": _logic, "PLOP3": _predicate_logic, "UPLOP3": _predicate_logic,
    "ISETP": _compare, "UISETP": _compare, "FSETP": _compare, "SHF": _shift, "USHF": _shift,
    "SEL": _select, "USEL": _select, "FSEL": _select, "FMNMX": _minimum, "IMNMX": _minimum,
    "VIMNMX": _minimum,
    "PRMT": _permute, "UPRMT": _permute, "FFMA": _float, "FMUL": _float, "FADD": _float, "HADD2": _float,
    "HFMA2": _half_immediate, "MUFU": _special, "F2FP": _convert, "F2I": _convert, "I2F": _convert,
    "S2R": _special_register, "S2UR": _special_register, "CS2R": _special_register,
    "MOV": _move, "UMOV": _move, "LDC": _move, "ULDC": _move, "LDCU": _move, "R2UR": _to_uniform,
    "P2R": _pack_predicates, "R2P": _unpack_predicates, "SHFL": _shuffle, "LDS": _load, "LDG": _load,
    "STS": _store, "STG": _store, "LDGSTS": _copy,
    "LDGDEPBAR": lambda x: _nothing, "DEPBAR": lambda x: _nothing,
    "NOP": lambda x: _nothing,
}  # fmt: skip
PATHS = frozenset(
    ("BRA", "BRX", "BRXU", "CALL", "RET", "EXIT", "BSSY", "BSYNC", "BMOV", "BREAK", "WARPSYNC", "BAR")
)


class Program:
    """A kernel's instructions, ready to be carried out."""

    def __init__(self, instructions: Sequence[Instruction]) -> None:
        self.instructions = tuple(instructions)
        self._addresses = [x.address for x in instructions]
        self.heads = [x.opcode.split(".")[0] for x in instructions]
        self._actions: list[Action | None] = [None] * len(instructions)
        self._guards = [Predicate(x.guard) if x.guard else None for x in instructions]
        self._masks: dict[int, Mask] = {}
        self._reached: dict[int, tuple[int, str]] = {}

    def place(self, address: int) -> int:
        """Index of the instruction at an address; padding is passed over."""
        return bisect.bisect_left(self._addresses, address)

    def step(self, w: Warp) -> tuple[int, str | None]:
        """Carry out the next instruction of the group furthest behind.

        Returns:
            its index, and "barrier" where the warp has come to a barrier of the block, "taken" after a jump.
        """
        place, lanes = w.groups[0]
        guard = self._guards[place]
        active = lanes
        if guard is not None:
            bits = guard.bits(w)
            active &= int.from_bytes(np.packbits(bits, bitorder="little").tobytes(), "little")
        if self.heads[place] in PATHS:
            return place, self._path(w, place, lanes, active)
        if active:
            action = self._actions[place]
            if action is None:
                x = self.instructions[place]
                try:
                    action = _ACTIONS[self.heads[place]](x)
                except (KeyError, ValueError, IndexError, UnknownInstructionError) as error:
                    what = f"{x.address:#x}: {x.opcode} {', '.join(x.operands)}"
                    raise UnknownInstructionError(f"not modelled: {what} ({error})") from error
                self._actions[place] = action
            action(w, None if active == ALL else self._mask(active))
        else:
            w.access = None
        if len(w.groups) == 1:
            w.groups[0] = (place + 1, lanes)
        else:
            del w.groups[0]
            w.merge(place + 1, lanes)
        return place, None

    def _mask(self, lanes: int) -> Mask:
        found = self._masks.get(lanes)
        if found is None:
            found = self._masks[lanes] = lanes_of(lanes)
        return found

    def _jump(self, w: Warp, place: int, lanes: int, active: int, to: Callable[[int], int]) -> str | None:
        del w.groups[0]
        for lane_target, mask in self._targets(active, to):
            w.merge(lane_target, mask)
        if lanes & ~active:
            w.merge(place + 1, lanes & ~active)
        return "taken" if active else None

    def _targets(self, active: int, to: Callable[[int], int]) -> list[tuple[int, int]]:
        found: dict[int, int] = {}
        for lane in range(LANES):
            if active >> lane & 1:
                target = to(lane)
                found[target] = found.get(target, 0) | 1 << lane
        return list(found.items())

    def _path(self, w: Warp, place: int, lanes: int, active: int) -> str | None:
        x, head = self.instructions[place], self.heads[place]
        if head in ("BRA", "CALL"):
            if ".DIV" in x.opcode:
                active = active if lanes != w.alive else 0
            elif len(x.operands) > 1:
                bits = Predicate(x.operands[0]).bits(w)
                active &= int.from_bytes(np.packbits(bits, bitorder="little").tobytes(), "little")
            target = self.place(int(x.operands[-1].split()[-1], 16))
            if active == lanes and len(w.groups) == 1:
                w.groups[0] = (target, lanes)
                return "taken"
            return self._jump(w, place, lanes, active, lambda lane: target)
        if head in ("BRX", "BRXU", "RET"):
            name, offset = x.operands[0].split()
            base = Reader(name).bits(w).astype(np.int64)
            origin = 0 if head == "RET" else self.instructions[place].address + 16
            return self._jump(
                w,
                place,
                lanes,
                active,
                lambda lane: self.place(int(base[lane]) + int(offset, 16) + origin & 0xFFFFFFFF),
            )
        if head == "EXIT":
            del w.groups[0]
            w.alive &= ~active
            if lanes & ~active:
                w.merge(place + 1, lanes & ~active)
            return None
        return self._meeting(w, x, head, place, lanes)

    def _meeting(self, w: Warp, x: Instruction, head: str, place: int, lanes: int) -> str | None:
        del w.groups[0]
        if head == "BSSY":
            w.convergence[int(x.operands[0][1:])] = lanes
        elif head == "BMOV":
            source = x.operands[1]
            if source.startswith("B"):
                value = w.convergence[int(source[1:])]
            else:
                value = int(Reader(source).bits(w)[lanes.bit_length() - 1])
            if x.operands[0].startswith("B"):
                w.convergence[int(x.operands[0][1:])] = value
            else:
                Target(x.operands[0]).put(w, fixed_words(value), self._mask(lanes))
        elif head == "BSYNC":
            w.meet(x.operands[0], w.convergence[int(x.operands[0][1:])], place + 1, lanes)
            return None
        elif head == "WARPSYNC":
            if "COLLECTIVE" in x.opcode:
                raise UnknownInstructionError("WARPSYNC.COLLECTIVE: lanes shuffle while apart")
            w.meet("warp", w.alive, place + 1, lanes)
            return None
        elif head == "BAR":
            return "barrier" if w.meet("block", w.alive, place + 1, lanes) else None
        else:
            raise UnknownInstructionError(x.opcode)
        w.merge(place + 1, lanes)
        return None

    def barrier_of(self, w: Warp, place: int) -> tuple[int, int]:
        """Number and threads of a `BAR`."""
        name, threads = self.instructions[place].operands[:2]
        return int(Reader(name).bits(w)[0]), int(Reader(threads).bits(w)[0])
