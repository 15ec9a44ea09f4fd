"""Plant one fault after the other in the CUDA kernel's source; the emulated test must fail for each.

For after a change of the kernel: `python plugins/tests/mutations.py [words]`, half a minute a fault.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

PLUGINS = Path(__file__).resolve().parents[1]
TEST = "tests/cuda_emulation_tests.cpp"
SOURCES = (
    "tests/kernel_cases.cpp",
    "tests/reference.cpp",
    "tests/emulation/block.cpp",
    "tests/emulation/fiber.cpp",
    "scan/scan_plan.cpp",
    "scan/validate.cpp",
)
FLAGS = ("-std=c++17", "-O0", "-g1", "-w", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")
LONGEST_S = 300


@dataclass(frozen=True)
class Fault:
    """`old`, which occurs once in `file`, becomes `new`."""

    name: str
    file: str
    old: str
    new: str


FAULTS = (
    Fault(
        "feeders skip the tile barrier",
        "scan_kernel.cuh",
        "finish next\n      named_barrier(kTileBarrier, launch.plan.threads);",
        "\n",
    ),
    Fault(
        "no barrier between tiles",
        "device.cuh",
        "emulation::barrier(id, threads);",
        "if (id != 1) emulation::barrier(id, threads);",
    ),
    Fault(
        "no barrier between two directions' sums",
        "scan_finish.cuh",
        "if (q > 0) named_barrier",
        "if (q > 9) named_barrier",
    ),
    Fault("no wait for copies", "scan_kernel.cuh", "copy_wait<kFetchAhead - kPrepareAhead - 1>();", ""),
    Fault("wait for one group too few", "scan_kernel.cuh", "kPrepareAhead - 1>()", "kPrepareAhead>()"),
    Fault("no commit of copies", "scan_kernel.cuh", "copy_commit();", ""),
    Fault(
        "fetched into a slot still in use",
        "scan_kernel.cuh",
        "kFetchAhead = kRawTiles;",
        "kFetchAhead = kRawTiles + 1;",
    ),
    Fault("ring of z too short", "scan_plan.h", "kGateTiles = 4;", "kGateTiles = 2;"),
    Fault("z fetched too late", "scan_kernel.cuh", "kGateAhead = 2;", "kGateAhead = 1;"),
    Fault("z of the wrong token", "scan_finish.cuh", "gates[q * pairs + item]", "gates[item]"),
    Fault("ring of prepared tiles too short", "scan_plan.h", "kReadyTiles = 2;", "kReadyTiles = 1;"),
    Fault("ring of results too short", "scan_plan.h", "kOutTiles = 4;", "kOutTiles = 2;"),
    Fault(
        "token one too far",
        "scan_feed.cuh",
        "token_of(entry) * copy.token_stride",
        "(token_of(entry) + 1) * copy.token_stride",
    ),
    Fault(
        "wrong direction",
        "scan_feed.cuh",
        "row / kTile * copy.direction_stride",
        "0 * copy.direction_stride",
    ),
    Fault(
        "column not bounded",
        "scan_feed.cuh",
        "if (column >= static_cast<unsigned>(copy.real)) return;",
        "",
    ),
    Fault(
        "store beyond the channels",
        "scan_finish.cuh",
        "if (channel + 1 < pass.channels) target[1]",
        "target[1]",
    ),
    Fault(
        "32-bit offset",
        "scan_feed.cuh",
        "token_of(entry) * copy.token_stride",
        "int(token_of(entry) * copy.token_stride)",
    ),
    Fault(
        "32-bit offset of y",
        "scan_finish.cuh",
        "y + token * p.y_stride[1]",
        "y + int(token * p.y_stride[1])",
    ),
    Fault("no padding of rows", "scan_plan.h", "kReadyPadding = 4;", "kReadyPadding = 0;"),
    Fault("padding that breaks vectors", "scan_plan.h", "kReadyPadding = 4;", "kReadyPadding = 1;"),
    Fault(
        "rows closer than laid out",
        "scan_block.cuh",
        "kRow = kTile + kReadyPadding;",
        "kRow = kTile - 4;",
    ),
    Fault("rows wider than laid out", "scan_block.cuh", "kRow = kTile + kReadyPadding;", "kRow = kTile + 8;"),
    Fault(
        "lanes sum the wrong partner",
        "scan_recurrence.cuh",
        "__shfl_xor_sync(kWholeWarp, sent, partner)",
        "__shfl_xor_sync(kWholeWarp, sent, 1)",
    ),
    Fault(
        "half a warp shuffles",
        "scan_recurrence.cuh",
        "__shfl_xor_sync(kWholeWarp",
        "__shfl_xor_sync(0xffffu",
    ),
    Fault("first arrival not seen", "scan_feed.cuh", "first = first && !before;", ""),
    Fault("last arrival too early", "scan_feed.cuh", "last = last && before;", ""),
    Fault("tail of tokens not guarded", "scan_recurrence.cuh", "group + i < tokens &&", ""),
    Fault("missing states not guarded", "scan_recurrence.cuh", "&& lane * kStates + k < states", ""),
    Fault("skip in every pass", "scan_prepare.cuh", "&& pass.first_state == 0", ""),
    Fault("range not kept", "scan_finish.cuh", "|| kept < 0 || kept >= pass.tokens", ""),
    Fault("class token ignored in the inverse order", "order.h", "if (patch < 0) return patches;", ""),
    Fault(
        "too little shared memory",
        "scan_plan.cpp",
        "plan.sum_tokens * row : 0",
        "(plan.sum_tokens - 1) * row : 0",
    ),
)
# Costs bank conflicts only. Listed to show that the test can pass a changed kernel.
HARMLESS = {"no padding of rows"}


def found_by(fault: Fault, objects: list[str], folder: Path) -> str:
    """What the test says with the fault in; empty where it passes."""
    plugins = folder / "plugins"
    shutil.rmtree(plugins, ignore_errors=True)
    shutil.copytree(PLUGINS, plugins)
    target = plugins / "scan" / fault.file
    text = target.read_text()
    if text.count(fault.old) != 1:
        sys.exit(
            f"{fault.name}: {fault.old!r} must occur once in {fault.file}, not {text.count(fault.old)} times"
        )
    target.write_text(text.replace(fault.old, fault.new))
    built = objects
    if fault.file in ("scan_plan.cpp", "scan_plan.h"):
        built = [name for name in objects if not name.endswith("scan_plan.o")]
        built += compile_to([plugins / "scan/scan_plan.cpp"], plugins)
    program = folder / "mutant"
    command = ["g++", *FLAGS, str(plugins / TEST), *built, "-lpthread", "-o", str(program)]
    compiled = subprocess.run(command, capture_output=True, text=True)
    if compiled.returncode != 0:
        return first_line(compiled.stderr, "static assertion")
    try:
        done = subprocess.run([program, "--stop"], capture_output=True, text=True, timeout=LONGEST_S)
    except subprocess.TimeoutExpired:
        return f"no end after {LONGEST_S} s"
    return "" if done.returncode == 0 else first_line(done.stdout + done.stderr, "FAILED", "ERROR:", "error:")


def first_line(text: str, *words: str) -> str:
    """The first line that holds one of `words`; a mutant that fails otherwise is this script's mistake."""
    for line in text.split("\n"):
        if any(word in line for word in words):
            return line.strip()
    sys.exit(f"neither passed nor found:\n{text}")


def compile_to(sources: list[Path], folder: Path) -> list[str]:
    """Object files of `sources`."""
    objects = []
    for source in sources:
        objects.append(str(folder / f"{source.stem}.o"))
        subprocess.run(["g++", *FLAGS, "-c", str(source), "-o", objects[-1]], check=True)
    return objects


def main() -> int:
    """Return how many faults survived."""
    wanted = " ".join(sys.argv[1:])
    survivors = 0
    with tempfile.TemporaryDirectory() as name:
        objects = compile_to([PLUGINS / source for source in SOURCES], Path(name))
        for fault in FAULTS:
            if wanted not in fault.name:
                continue
            found = found_by(fault, objects, Path(name))
            survivors += (not found) != (fault.name in HARMLESS)
            print(f"{'found' if found else 'survived':9}{fault.name}: {found[:150]}", flush=True)
    print(f"{survivors} unexpected")
    return survivors != 0


if __name__ == "__main__":
    sys.exit(main())
