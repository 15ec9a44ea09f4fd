"""`self_test`: does every native library load, and does every kernel compute the right numbers?"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from vmexport.config.threads import python_environment
from vmexport.doctor.finding import BROKEN, MISSING, OK, SKIPPED, Finding
from vmexport.extras import install
from vmexport.native.libraries import LIBRARIES

SELF_TEST_SECONDS = 60


@dataclass(frozen=True)
class PluginReport:
    """Outcome of `self_test`.

    Attributes:
        tier: instruction tier of the CPU kernels, empty where they are not built.
        libraries: one finding a native library.
        kernels: one finding a kernel and front end, with its error against a float64 oracle.
    """

    tier: str
    libraries: tuple[Finding, ...]
    kernels: tuple[Finding, ...]

    @property
    def broken(self) -> tuple[Finding, ...]:
        """What is there and does not work; a library that is not built is only missing."""
        return tuple(finding for finding in (*self.libraries, *self.kernels) if finding.status == BROKEN)

    @property
    def usable(self) -> bool:
        """Whether at least one library is there and nothing is broken."""
        return not self.broken and any(finding.status == OK for finding in self.libraries)


def self_test() -> PluginReport:
    """Run `vmexport.doctor.child` in its own process: a kernel that crashes is a finding, not the end."""
    if importlib.util.find_spec("numpy") is None:
        lacking = Finding("kernels", MISSING, "numpy is not installed", "self-test", install("numpy"))
        return PluginReport("", (), (lacking,))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "vmexport.doctor.child"],
            capture_output=True,
            text=True,
            timeout=SELF_TEST_SECONDS,
            env=python_environment(),
            check=False,
        )
        output, end = done.stdout, "" if done.returncode == 0 else _last_words(done)
    except subprocess.TimeoutExpired as error:
        partial = error.stdout or b""
        output = partial if isinstance(partial, str) else partial.decode(errors="replace")
        end = f"no answer within {SELF_TEST_SECONDS} s"
    answers = _answers(output)
    libraries = [Finding(**answer["library"]) for answer in answers if "library" in answer]
    kernels = [Finding(**answer["kernel"]) for answer in answers if "kernel" in answer]
    tier = next((str(answer["tier"]) for answer in answers if "tier" in answer), "")
    if end:
        detail = f"the self-test ended early: {end}"
        kernels.append(Finding("kernels", BROKEN, detail, "self-test", "vmexport plugin build --force"))
    known = {finding.name for finding in libraries}
    for name, purpose in LIBRARIES.items():
        if name not in known:
            libraries.append(Finding(name, SKIPPED, "the self-test did not come to it", purpose))
    return PluginReport(tier, tuple(libraries), tuple(kernels))


def _answers(output: str) -> list[dict[str, Any]]:
    """The JSON lines of the self-test; a library's own printing is not ours to read."""
    answers: list[dict[str, Any]] = []
    for line in output.splitlines():
        try:
            answer = json.loads(line)
        except ValueError:
            continue
        if isinstance(answer, dict):
            answers.append(answer)
    return answers


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    """The last line of the process's messages, or how it ended."""
    if done.returncode < 0:
        return f"signal {-done.returncode}"
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"exit status {done.returncode}"
