"""check_tiers.sh finds what would let a tier's instructions run before the processor is asked.

The tiers' own object files are checked by ctest (`make native-test`).
"""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

TIER = "struct Tier { int lanes; };\nextern const Tier kTier;\nconstexpr Tier kTier = {16};\n"
SHARED = "inline __attribute__((noinline)) int lanes(int x) { return x + 1; }\n"
LEAKS = {
    "an inline function": (SHARED + "int (*const volatile kept)(int) = lanes;\n", "to the whole program"),
    "a template of the C++ library": (
        "#include <string>\nstatic std::string text(int x) { return std::to_string(x) + 'x'; }\n"
        "__attribute__((used)) static unsigned long use(int x) { return text(x).size(); }\n",
        "to the whole program",
    ),
    "a second function": ("int scan(int x) { return x; }\n", "expected one symbol"),
    "a static initialiser": (
        "#include <stdlib.h>\nstatic const int seed = rand();\n"
        "__attribute__((used)) static int use() { return seed; }\n",
        "a static initialiser",
    ),
}


def check(folder: Path, source: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """The script on one translation unit."""
    script = Path(__file__).parents[2] / "plugins" / "cmake" / "check_tiers.sh"
    tools = [shutil.which(name) for name in ("g++", "nm", "objdump")]
    if None in tools or platform.machine() != "x86_64":
        pytest.skip("needs g++ and binutils on x86-64")
    compiler, nm, objdump = map(str, tools)
    (folder / "tier.cpp").write_text(source)
    command = [compiler, "-O0", "-std=c++17", *flags, "-c", "tier.cpp", "-o", "tier.o"]
    subprocess.run(command, cwd=folder, check=True)
    return subprocess.run(
        ["sh", str(script), nm, objdump, "tier.o"], cwd=folder, capture_output=True, text=True
    )


@pytest.mark.parametrize("flags", [(), ("-mavx512f", "-fsanitize=address")])
def test_a_tier_alone_is_fine(tmp_path: Path, flags: tuple[str, ...]) -> None:
    done = check(tmp_path, TIER, *flags)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "tier.o: kTier alone\n"


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_is_named(tmp_path: Path, leak: str) -> None:
    source, words = LEAKS[leak]
    done = check(tmp_path, TIER + source)
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.startswith("tier.o: ")


def test_a_constructor_with_wide_registers_is_named(tmp_path: Path) -> None:
    """What the sanitizers run when a file is loaded stands in for any such function."""
    source = '__attribute__((constructor)) static void module() __asm__("_sub_I_00099_1");\n'
    body = 'static void module() { __asm__ volatile("vzeroupper"); }\n'
    done = check(tmp_path, TIER + source + body)
    assert done.returncode == 1
    assert "_sub_I_00099_1 runs when it is loaded and has vzeroupper" in done.stderr
