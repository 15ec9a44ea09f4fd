"""Everything that needs a GPU, what is worth most first: `bash benchmarks/gpu_check.sh` calls this.

Steps of the first call: the machine, device tests against float64, the operator against mamba-ssm, pytest's
GPU tests, the whole model, `ncu` on one launch at B=1 and at B=8, memcheck. Of the second: ONNX Runtime's
CUDA provider, racecheck and synccheck, other lengths, TensorRT. Before either, `build`: what
`make gpu-bundle` left is used where it is of these sources and for this GPU, and compiled here otherwise.

Every step has its own time limit, and a call as a whole `--seconds`. Results go to `--results DIR` (by
default benchmarks/results): the benchmarks write each row at once, `check-CALL.json` says after each step how
all of them stand, `check-CALL.log` holds what they printed. A run that is killed loses its own step.

A step that could not run is a row "not run: why", and so is a part of one (a peer that is missing, a test
that skipped). The last line counts ok, failed and not run. Exit status: 0 all ran and are right; 6 one
failed; 3 none failed, one was not run; 8 only a goal of the benchmarks is missed. Standard library only: this
program runs where PyTorch is missing, and says so.

    python benchmarks/gpu_check.py [first|second|STEP...] [--results DIR] [--seconds N] [--allow-dirty]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.machinery import PathFinder
from pathlib import Path
from typing import IO

from sources import ROOT, changed_files

BUNDLE = ROOT / "build/gpu-bundle"
BUILT = ROOT / "build/gpu"
NATIVE = ROOT / "vmexport/_native"
FIRST, SECOND = "first", "second"
CALL_SECONDS = 290
PACKAGES = (
    "torch", "numpy", "onnx", "onnxruntime", "onnxscript", "safetensors", "ml_dtypes", "pytest", "rich",
    "lazy_loader", "msgspec", "platformdirs",
)  # fmt: skip
"""What the tests and the benchmarks import; PyAV and kornia they do not."""
LEAST_SECONDS = 10
"""A step is not begun with less time left."""
OK, FAILED, NOT_RUN, RUNNING = "ok", "FAILED", "not run", "running"
SKIPPED_STATUS, ENVIRONMENT_STATUS, GOAL_STATUS = 77, 3, 8
PART = "not run: "
"""How a program tells of a part that did not run: `not run: WHAT: WHY`."""
SKIP = "SKIPPED "
NO_FAULT_OF_OURS = {
    "Device not supported": "compute-sanitizer does not support this (virtual) machine's device",
    "LibraryNotLoaded": "ncu cannot read the counters on this (virtual) machine",
    "ERR_NVGPUCTRPERM": "ncu may not read the counters here; the driver reserves them for administrators",
    "No kernels were profiled": "ncu saw no kernel",
}
"""Words of NVIDIA's tools about a machine that does not let them work."""
EXPECTED_SKIPS = ("one GPU only",)
"""Tests for machines other than this one."""
SANITIZER = "compute-sanitizer"
NSIGHT_SKIP, NSIGHT_COUNT = "3", "1"


@dataclass
class Outcome:
    """One row of the summary.

    Attributes:
        step: name, of a part `STEP: PART`.
        outcome: ok, FAILED, not run, or running.
        why: of all but ok.
        seconds: wall time.
    """

    step: str
    outcome: str
    why: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        reason = f": {self.why}" if self.why else ""
        return f"{self.step:<14} {self.seconds:5.0f} s  {self.outcome}{reason}"


@dataclass(frozen=True)
class Setup:
    """What the steps' commands are made of.

    Attributes:
        results: where results go, absolute.
        options: words that every benchmark gets.
        environment: of the programs that are started.
    """

    results: Path
    options: tuple[str, ...]
    environment: dict[str, str]

    def python(self, script: str, *words: str) -> list[str]:
        """A benchmark of this folder."""
        return [sys.executable, f"benchmarks/{script}", *self.options, *words]

    def pytest(self, *words: str) -> list[str]:
        """The tests marked `gpu`."""
        folders = ("tests/ops", "tests/plugins")
        return [
            sys.executable,
            "-m",
            "pytest",
            "-m",
            "gpu",
            "-q",
            "-ra",
            "-p",
            "no:cacheprovider",
            *words,
            *folders,
        ]

    def ncu(self, batch: int) -> list[str]:
        """All of `ncu`'s sections of the fourth launch, clocks as they are."""
        report = self.results / f"ncu-b{batch}"
        return [
            "ncu", "--set", "full", "--clock-control", "none", "--kernel-name", "regex:scan_kernel",
            "--launch-skip", NSIGHT_SKIP, "--launch-count", NSIGHT_COUNT, "--force-overwrite",
            "--export", str(report), str(device_tests()), "--launch", str(batch),
        ]  # fmt: skip

    def sanitizer(self, tool: str) -> list[str]:
        """The device tests under one tool of compute-sanitizer."""
        return [SANITIZER, "--tool", tool, "--error-exitcode", "9", str(device_tests())]


@dataclass(frozen=True)
class Step:
    """One thing to find out.

    Attributes:
        name: as on the command line.
        call: the call that it belongs to.
        limit_s: seconds after which it is ended.
        commands: one after the other, until one fails.
        lacks: why it cannot run here, or nothing.
        tests: whether pytest runs, where a run without a passed test is none.
    """

    name: str
    call: str
    limit_s: int
    commands: Callable[[Setup], Sequence[list[str]]]
    lacks: Callable[[], str] = field(default=lambda: "")
    tests: bool = False


def device_tests() -> Path:
    """The program of the kernels' tests, where `prepare` puts it."""
    return BUILT / "bin/cuda_device_tests"


def no_tests() -> str:
    return "" if device_tests().is_file() else f"{device_tests().name} is not built; the step build says why"


def no_program(*names: str) -> Callable[[], str]:
    """A reason where a program or the device tests are missing."""

    def lacks() -> str:
        gone = [name for name in names if shutil.which(name) is None]
        return f"{gone[0]} is not installed; it is part of the CUDA toolkit" if gone else no_tests()

    return lacks


def lacking_here() -> list[str]:
    """Folders of the bundle with packages that this Python has not."""
    site = BUNDLE / "site"
    folders = sorted(site.iterdir()) if site.is_dir() else []
    return [str(folder) for folder in folders if PathFinder.find_spec(folder.name) is None]


def no_package() -> str:
    """A reason where what the tests and benchmarks import is missing."""
    places = [*sys.path, *lacking_here()]
    missing = [name for name in PACKAGES if PathFinder.find_spec(name, places) is None]
    return (
        f"Python packages are missing: {sys.executable} -m pip install {' '.join(missing)}" if missing else ""
    )


def ncu_step(batch: int) -> Step:
    """Profile one launch, then its report as text."""
    name = f"ncu-b{batch}"

    def commands(s: Setup) -> list[list[str]]:
        report = str(s.results / f"{name}.ncu-rep")
        return [s.ncu(batch), ["ncu", "--import", report, "--page", "details"]]

    return Step(name, FIRST, 60, commands, no_program("ncu"))


STEPS = (
    Step("machine", FIRST, 20, lambda s: [["nvidia-smi"], ["nvidia-smi", "-q"]]),
    Step("device-tests", FIRST, 60, lambda s: [[str(device_tests())]], no_tests),
    Step("operator", FIRST, 80, lambda s: [s.python("gpu_operator.py", "--lengths", "goal")], no_package),
    Step("pytest", FIRST, 90, lambda s: [s.pytest("-k", "not onnxruntime")], no_package, tests=True),
    Step("model", FIRST, 100, lambda s: [s.python("gpu_model.py")], no_package),
    ncu_step(1),
    ncu_step(8),
    Step("memcheck", FIRST, 90, lambda s: [s.sanitizer("memcheck")], no_program(SANITIZER)),
    Step("ort-tests", SECOND, 90, lambda s: [s.pytest("-k", "onnxruntime")], no_package, tests=True),
    Step("ort-model", SECOND, 120, lambda s: [s.python("gpu_onnxruntime.py")], no_package),
    Step("racecheck", SECOND, 90, lambda s: [s.sanitizer("racecheck")], no_program(SANITIZER)),
    Step("synccheck", SECOND, 60, lambda s: [s.sanitizer("synccheck")], no_program(SANITIZER)),
    Step("lengths", SECOND, 120, lambda s: [s.python("gpu_operator.py", "--lengths", "other")], no_package),
    # Worth starting with three minutes left and where TensorRT's libraries are: an engine has to be built.
    Step("tensorrt", SECOND, 180, lambda s: [s.python("gpu_tensorrt.py", "--quick")], no_package),
)  # fmt: skip
BUILD = "build"
BUILD_LIMIT_S = 240


class Check:
    """One call: its steps, its clock, its files."""

    def __init__(self, name: str, setup: Setup, seconds: int) -> None:
        self.name, self.setup = name, setup
        self.deadline = time.monotonic() + seconds
        self.seconds = seconds
        self.rows: list[Outcome] = []
        setup.results.mkdir(parents=True, exist_ok=True)
        self.log = (setup.results / f"check-{name}.log").open("ab", buffering=0)

    def left(self) -> int:
        """Whole seconds until the call's end."""
        return int(self.deadline - time.monotonic())

    def say(self, line: str) -> None:
        """To the terminal and into the log."""
        print(line, flush=True)
        self.log.write(f"{line}\n".encode())

    def save(self) -> None:
        """How all steps stand, so that no moment leaves half a file."""
        document = {"call": self.name, "seconds": self.seconds, "steps": [asdict(row) for row in self.rows]}
        with tempfile.NamedTemporaryFile("w", dir=self.setup.results, delete=False, encoding="utf-8") as file:
            json.dump({**document, "counts": counts(self.rows)}, file, indent=2)
        Path(file.name).chmod(0o644)
        Path(file.name).replace(self.setup.results / f"check-{self.name}.json")

    def note(self, row: Outcome) -> None:
        """Add a row and write it down."""
        self.rows.append(row)
        if row.outcome != RUNNING:
            self.say(str(row))
        self.save()

    def run(self, step: Step) -> None:
        """One step, whatever becomes of it."""
        self.say(f"\n== {step.name}")
        limit = min(step.limit_s, self.left())
        if limit < LEAST_SECONDS:
            return self.note(Outcome(step.name, NOT_RUN, f"no time left of the call's {self.seconds} s"))
        if why := step.lacks():
            return self.note(Outcome(step.name, NOT_RUN, why))
        began, running = time.monotonic(), Outcome(step.name, RUNNING)
        self.note(running)
        outcome, parts = OK, list[Outcome]()
        for command in step.commands(self.setup):
            rest = limit - (time.monotonic() - began)
            status, lines = execute(command, self.setup.environment, rest, self.log)
            outcome, running.why = judge(status, lines, limit)
            if outcome == OK and step.tests and not any(" passed" in line for line in lines):
                outcome, running.why = NOT_RUN, f"every test skipped; {reason(lines)}"
            parts += unrun_parts(step.name, lines)
            if outcome != OK:
                break
        running.outcome, running.seconds = outcome, round(time.monotonic() - began, 1)
        self.say(str(running))
        self.save()
        if outcome == OK:
            for part in parts:
                self.note(part)


def execute(
    command: Sequence[str], environment: dict[str, str], limit_s: float, log: IO[bytes]
) -> tuple[int | None, list[str]]:
    """Run a program in a group of its own, its output shown, logged and returned.

    Returns:
        the exit status, None where it was ended at its limit; and the lines that it printed.
    """
    log.write(f"$ {' '.join(command)}\n".encode())
    try:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        return ENVIRONMENT_STATUS, [f"{command[0]}: {error.strerror}"]
    late = threading.Event()

    def end() -> None:
        late.set()
        os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(max(1.0, limit_s), end)
    timer.start()
    lines = []
    assert process.stdout is not None
    try:
        for raw in process.stdout:
            log.write(raw)
            sys.stdout.write(raw.decode(errors="replace"))
            sys.stdout.flush()
            lines.append(raw.decode(errors="replace").rstrip())
        status = process.wait()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        timer.cancel()
    return (None if late.is_set() else status), lines


def judge(status: int | None, lines: Sequence[str], limit_s: int) -> tuple[str, str]:
    """What a program's end means, and why."""
    if status is None:
        return FAILED, f"no end after {limit_s} s; the rows written until then are kept"
    if status == 0:
        return OK, ""
    for words, why in NO_FAULT_OF_OURS.items():
        if any(words in line for line in lines):
            return NOT_RUN, why
    if status == GOAL_STATUS:
        return OK, "a goal is missed"
    last = next((line for line in reversed(lines) if line.strip()), "")
    if status in (ENVIRONMENT_STATUS, SKIPPED_STATUS):
        return NOT_RUN, reason(lines) or last
    return FAILED, f"exit status {status}; {last}"


def reason(lines: Sequence[str]) -> str:
    """What a program said as it gave up: its "not run" line, a skipped test, or an error's what and why."""
    for line in lines:
        for start in (PART, SKIP):
            if line.startswith(start):
                return line.removeprefix(start)
    for index, line in enumerate(lines):
        if line.startswith("why: ") and index:
            return f"{lines[index - 1]} ({line.removeprefix('why: ')})"
    return ""


def unrun_parts(step: str, lines: Sequence[str]) -> list[Outcome]:
    """Parts of a step that ran which did not: peers, sizes, tests."""
    found = []
    for line in lines:
        if line.startswith(PART):
            what, _, why = line.removeprefix(PART).partition(": ")
            found.append(Outcome(f"{step}: {what}", NOT_RUN, why))
        elif line.startswith(SKIP) and not line.endswith(EXPECTED_SKIPS):
            found.append(Outcome(f"{step}: tests", NOT_RUN, line.removeprefix(SKIP)))
    return found


def counts(rows: Sequence[Outcome]) -> dict[str, int]:
    """Rows by outcome."""
    return {outcome: sum(row.outcome == outcome for row in rows) for outcome in (OK, FAILED, NOT_RUN)}


def exit_status(rows: Sequence[Outcome]) -> int:
    """Of one call or both."""
    found = counts(rows)
    if found[FAILED]:
        return 6
    if found[NOT_RUN]:
        return ENVIRONMENT_STATUS
    return GOAL_STATUS if any(row.why for row in rows) else 0


def gpu_capability() -> tuple[str, str]:
    """Compute capability as `9.0` by nvidia-smi, or nothing and why there is none."""
    if shutil.which("nvidia-smi") is None:
        return "", "no GPU: nvidia-smi is not installed"
    words = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader", "--id=0"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    found = done.stdout.strip()
    if done.returncode != 0 or not found:
        said = (done.stdout + done.stderr).strip().splitlines()
        return "", f"no GPU: nvidia-smi says {said[0] if said else 'nothing'!r}"
    return found, ""


def prepare(check: Check, capability: str) -> None:
    """Native libraries and test programs: the bundle's where they fit, else built here."""
    check.say(f"\n== {BUILD}")
    began, row = time.monotonic(), Outcome(BUILD, RUNNING)
    check.note(row)
    why_not = bundle_misfit(capability)
    if why_not:
        check.say(f"compiling here: {why_not}")
        command = ["bash", "benchmarks/gpu_build.sh", capability.replace(".", ""), str(BUILT)]
        limit = min(BUILD_LIMIT_S, check.left())
        status, lines = execute(command, check.setup.environment, limit, check.log)
        row.outcome, row.why = judge(status, lines, limit)
    else:
        check.say("as make gpu-bundle left it")
        for name in ("native", "bin"):
            shutil.rmtree(BUILT / name, ignore_errors=True)
            shutil.copytree(BUNDLE / name, BUILT / name)
        row.outcome = OK
    if row.outcome == OK:
        install()
    row.seconds = round(time.monotonic() - began, 1)
    check.say(str(row))
    check.save()


def bundle_misfit(capability: str) -> str:
    """Why the bundle's libraries are not used, or nothing."""
    try:
        built_for = (BUNDLE / "capability").read_text(encoding="ascii").strip()
        digests = json.loads((BUNDLE / "sources.json").read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError):
        return f"there is no whole bundle in {BUNDLE.relative_to(ROOT)} (make gpu-bundle)"
    if built_for != capability:
        return f"the bundle is for compute capability {built_for}, this GPU has {capability}"
    changed = [name for name in changed_files(ROOT, digests) if name.startswith("plugins/")]
    return f"the bundle is of other sources: {', '.join(changed[:3])}" if changed else ""


def install() -> None:
    """Put the libraries where the package looks for them; nothing that an earlier build left stays."""
    NATIVE.mkdir(exist_ok=True)
    for pattern in ("libvmexport_*_cuda.so", "libvmexport_trt*.so", "vmexport-run"):
        for path in NATIVE.glob(pattern):
            path.unlink()
    for path in (BUILT / "native").iterdir():
        shutil.copyfile(path, NATIVE / path.name)
        (NATIVE / path.name).chmod(0o755)
    for path in (BUILT / "bin").iterdir():
        path.chmod(0o755)


def environment() -> dict[str, str]:
    """The programs' environment: this tree first, then what the bundle has that a machine may lack."""
    before = os.environ.get("PYTHONPATH", "")
    paths = [str(ROOT), str(BUNDLE / "peers"), *([before] if before else []), *lacking_here()]
    cuda = f"{os.environ.get('CUDA_HOME', '/usr/local/cuda')}/bin"
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONUNBUFFERED": "1",
        "PATH": f"{os.environ.get('PATH', '')}{os.pathsep}{cuda}",
    }


def parse(words: Sequence[str] | None) -> tuple[argparse.Namespace, list[Step]]:
    """Options and the steps that are meant."""
    names = [step.name for step in STEPS]
    about, _, usage = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=about, epilog=usage, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", metavar="WORD", help=f"first, second, or of {', '.join(names)}")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks/results", metavar="DIR")
    parser.add_argument("--seconds", type=int, default=CALL_SECONDS, help="of one call; 290")
    parser.add_argument("--allow-dirty", action="store_true", help="sources that no commit holds")
    options = parser.parse_args(words)
    wanted = options.words or [FIRST, SECOND]
    unknown = [word for word in wanted if word not in (FIRST, SECOND, *names)]
    if unknown:
        fix = "bash benchmarks/gpu_check.sh first"
        why = f"the words are first, second, or of {', '.join(names)}"
        print(f"unknown step {unknown[0]}\nwhy: {why}\nfix: {fix}", file=sys.stderr)
        raise SystemExit(2)
    return options, [step for step in STEPS if step.name in wanted or step.call in wanted]


def main(words: Sequence[str] | None = None) -> int:
    """Run what is wanted, one call after the other."""
    options, steps = parse(words)
    results = options.results.resolve()
    shared = ["--results", str(results)] if options.results != ROOT / "benchmarks/results" else []
    shared += ["--allow-dirty"] if options.allow_dirty else []
    setup = Setup(results, tuple(shared), environment())
    os.environ["PATH"] = setup.environment["PATH"]
    rows: list[Outcome] = []
    for call in (FIRST, SECOND):
        chosen = [step for step in steps if step.call == call]
        if not chosen:
            continue
        check = Check(call, setup, options.seconds)
        capability, no_gpu = gpu_capability()
        if no_gpu:
            for name in (BUILD, *(step.name for step in chosen)):
                check.note(Outcome(name, NOT_RUN, no_gpu))
        else:
            prepare(check, capability)
            for step in chosen:
                check.run(step)
        summarise(check)
        rows += check.rows
    return exit_status(rows)


def summarise(check: Check) -> None:
    """All rows once more, and the count as the last line."""
    check.say(f"\n== summary of the {check.name} call")
    for row in check.rows:
        check.say(str(row))
    found = counts(check.rows)
    check.say(f"{found[OK]} ok, {found[FAILED]} failed, {found[NOT_RUN]} not run")


def stop(*_: object) -> None:
    """On SIGTERM: the running step ends with this program."""
    raise SystemExit(128 + signal.SIGTERM)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    raise SystemExit(main())
