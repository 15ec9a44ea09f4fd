"""A bounded search for files that break a promise of docs/security.md, guided by the coverage of our Python.

Each `fuzz_*.py` beside this file names one kind of file and reads it as a command would. The reading happens
in a process of its own under limits of memory, file size and time, on inputs that Atheris (libFuzzer) makes
from seeds of the project's own writing. A finding is everything but success or an error of bad input:

- another exception, or the end of the process (a crash, a limit);
- more than `HANG_S` of the processor for one input, or a wait of `WAIT_S` that it makes again alone;
- a file left beside the input, or a descriptor left open.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import gc
import hashlib
import inspect
import json
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).resolve().parent / "results.json"
SECONDS = 600
HANG_S = 10
WAIT_S = 60
"""By the clock, which other work on the machine counts in."""
MEMORY_MIB = 2048
"""Address space that reading may take, beyond what the process holds when it begins."""
LARGEST_FILE_BYTES = 64 << 20
LARGEST_INPUT_BYTES = 256 << 10
CONTINUED = "--in-this-process"
BAD_INPUT = 4

Read = Callable[[Path], object]
Mutator = Callable[[bytes, int, int], bytes]


@dataclass(frozen=True)
class Target:
    """A kind of file that is searched.

    Attributes:
        name: of the campaign.
        file: name that every input gets.
        seeds: writes good files into a folder.
        reader: imports what reads such a file, and gives the function that does; a path in, anything out.
        mutator: gives a function of an input, its largest size and a seed, that changes it within its own
            format; None where any bytes will do.
        words: what libFuzzer may put into an input.
        allowed: exit codes of errors, besides that of bad input, that a file may cause.
    """

    name: str
    file: str
    seeds: Callable[[Path], None]
    reader: Callable[[], Read]
    mutator: Callable[[], Mutator] | None = None
    words: Sequence[str] = ()
    allowed: Iterable[int] = ()


@dataclass(frozen=True)
class Outcome:
    """What one campaign did.

    Attributes:
        target: the kind of file.
        seconds: limit that the campaign was given.
        inputs: files read.
        cpu_s: processor time.
        peak_mib: memory at its largest.
        findings: files that broke a promise, kept in the work folder.
    """

    target: str
    seconds: int
    inputs: int
    cpu_s: float
    peak_mib: int
    findings: list[str] = field(default_factory=list)


def keep_promise(read: Read, path: Path, allowed: Iterable[int] = ()) -> None:
    """Read one file and check what must hold whatever it contains.

    Raises:
        AssertionError: something was left behind, or the error is none of bad input.
        Exception: whatever else came out of it.
    """
    from vmexport.errors import VmexportError

    held, began = len(_open_files()), time.process_time()
    refusal: VmexportError | None = None
    try:
        read(path)
    except VmexportError as error:
        refusal = error
    if refusal is not None:
        assert refusal.exit_code in {BAD_INPUT, *allowed}, f"exit code {refusal.exit_code!r}: {refusal}"
        assert str(refusal).strip(), "an error without words"
        refusal = None  # and with it the frames that hold what was open
    took = time.process_time() - began
    assert took < HANG_S, f"it took {took:.1f} s of the processor"
    left = sorted(entry.name for entry in path.parent.iterdir() if entry != path)
    assert not left, f"left behind: {left}"
    if len(_open_files()) > held:
        gc.collect()  # frames of errors; and some library may just be looking something up
        time.sleep(0.1)
        still = _open_files()
        assert len(still) <= held, f"still open: {still}"


def _open_files() -> list[str]:
    """What the descriptors of this process lead to."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the listing's own
            found.append(str(entry.readlink()))
    return found


def main(target: Target) -> int:
    """The command line of a `fuzz_*.py`; exit status 1 where something was found."""
    if CONTINUED in sys.argv:
        return _fuzz(target, sys.argv[sys.argv.index(CONTINUED) + 1 :])
    parser = argparse.ArgumentParser(description=f"search for {target.name} files that do harm")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="how long (default: %(default)s)")
    parser.add_argument("--work", type=Path, default=ROOT / "build/fuzz", help="corpus and findings")
    parser.add_argument("--record", action="store_true", help=f"add the figures to {RESULTS.name}")
    parser.add_argument("--reproduce", type=Path, help="read one file, with the traceback of what it breaks")
    options = parser.parse_args()
    if options.reproduce is not None:
        return _reproduce(target, options.reproduce)
    outcome = search(target, options.seconds, options.work.resolve() / target.name)
    print(json.dumps(asdict(outcome), indent=1))
    if options.record:
        _record(outcome)
    return 1 if outcome.findings else 0


def search(target: Target, seconds: int, work: Path) -> Outcome:
    """Run one campaign in a process of its own.

    Args:
        target: what is read.
        seconds: how long.
        work: folder, by its whole path, that keeps corpus and findings from one campaign to the next.
    """
    corpus, findings = work / "corpus", work / "findings"
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    _add_seeds(target, corpus)
    words = work / "words.txt"
    words.write_text("".join(f"{json.dumps(word)}\n" for word in target.words), encoding="ascii")
    known = set(findings.iterdir())
    found: list[str] = []
    inputs = peak_mib = 0
    before, end = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() + seconds
    while not found and (left := round(end - time.monotonic())) > 0:
        limits = {
            "max_total_time": left,
            "timeout": WAIT_S,
            "max_len": LARGEST_INPUT_BYTES,
            "rss_limit_mb": 0,  # the address space is limited instead
            "artifact_prefix": f"{findings}/",
            "print_final_stats": 1,
            "verbosity": 0,
            **({"dict": words} if target.words else {}),
        }
        options = [f"-{name}={value}" for name, value in limits.items()]
        status = _in_a_process(
            target, [CONTINUED, str(corpus), *options], work / "log.txt", left + 2 * WAIT_S
        )
        text = (work / "log.txt").read_text(encoding="utf-8", errors="replace")
        inputs += _stat(text, "number_of_executed_units")
        peak_mib = max(peak_mib, _stat(text, "peak_rss_mb"))
        new = sorted(set(findings.iterdir()) - known)
        for path in new:
            if path.name.startswith("timeout-") and not _again(target, path, work):
                path.unlink()  # the machine stood still
            else:
                found.append(str(path))
        if status and not new:
            found.append(f"{work / 'log.txt'}: exit status {status}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1)
    return Outcome(target.name, seconds, inputs, cpu_s, peak_mib, found)


def _again(target: Target, finding: Path, work: Path) -> bool:
    """Whether a finding breaks the promise once more, alone."""
    return bool(_in_a_process(target, ["--reproduce", str(finding)], work / "again.txt", 2 * WAIT_S))


def _in_a_process(target: Target, arguments: Sequence[str], log: Path, seconds: float) -> int:
    """Exit status of the target's script in an empty folder of its own, what it says in a file."""
    command = [sys.executable, "-W", "ignore", inspect.getfile(target.reader), *arguments]
    with tempfile.TemporaryDirectory(prefix="vmexport-fuzz-") as scratch, log.open("wb") as sink:
        environment = {**os.environ, "TMPDIR": scratch, "OMP_NUM_THREADS": "1"}
        try:
            return subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, cwd=scratch, env=environment,
                timeout=seconds, check=False,
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired:
            return -1


def seeds_of(target: Target, folder: Path) -> list[Path]:
    """The good files that a search begins with, written into a folder."""
    target.seeds(folder)
    return sorted(folder.iterdir())


def _add_seeds(target: Target, corpus: Path) -> None:
    """Put the seeds into a corpus, under names by content as libFuzzer gives them."""
    with tempfile.TemporaryDirectory(prefix="vmexport-fuzz-") as folder:
        for path in seeds_of(target, Path(folder)):
            content = path.read_bytes()
            (corpus / hashlib.sha1(content, usedforsecurity=False).hexdigest()).write_bytes(content)


def _fuzz(target: Target, arguments: list[str]) -> int:
    """The search itself; libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["vmexport"]):
        read = target.reader()
    mutate = target.mutator() if target.mutator is not None else None
    _warm_up(target, read)
    _limit()
    with tempfile.TemporaryDirectory(prefix="one-") as folder:
        path = Path(folder) / target.file

        def one_input(content: bytes) -> None:
            path.write_bytes(content)
            keep_promise(read, path, target.allowed)

        setup = [sys.argv[0], *arguments]
        if mutate is None:
            atheris.Setup(setup, one_input)
        else:
            atheris.Setup(setup, one_input, custom_mutator=mutate)
        atheris.Fuzz()
    return 0


def _warm_up(target: Target, read: Read) -> None:
    """Read every seed once: what libraries load and open for good is no fault of an input."""
    with tempfile.TemporaryDirectory(prefix="seeds-") as folder, tempfile.TemporaryDirectory() as alone:
        for seed in seeds_of(target, Path(folder)):
            try:
                read(Path(shutil.copyfile(seed, Path(alone) / target.file)))
            except Exception as error:
                print(f"{seed.name}: {error}")  # a seed of a form that is not served begins a search too


def _limit() -> None:
    """No file, no allocation and no number of open files beyond what reading may take."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    space = pages * resource.getpagesize() + (MEMORY_MIB << 20)
    for limit, value in (
        (resource.RLIMIT_AS, space),
        (resource.RLIMIT_FSIZE, LARGEST_FILE_BYTES),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))


def _reproduce(target: Target, finding: Path) -> int:
    """Read a finding as the search did, outside of it."""
    read = target.reader()
    _limit()
    with tempfile.TemporaryDirectory(prefix="vmexport-fuzz-") as folder:
        path = Path(shutil.copyfile(finding, Path(folder) / target.file))
        keep_promise(read, path, target.allowed)
    print(f"{finding} keeps the promise")
    return 0


def _stat(text: str, name: str) -> int:
    """A figure of libFuzzer's last words; 0 where it did not come to them."""
    found = re.findall(rf"stat::{name}:\s+(\d+)", text)
    return int(found[-1]) if found else 0


def _record(outcome: Outcome) -> None:
    """Add a campaign to the figures that docs/security.md shows."""
    runs = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else []
    asked = ["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"]
    where = {
        "commit": subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip(),
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "python": platform.python_version(),
        "atheris": version("atheris"),
    }
    runs.append({**where, **asdict(outcome), "findings": len(outcome.findings)})
    RESULTS.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")
