"""A stand-in for cmake whose builds take no time, or fail, hang, wait or meet a full disk as told."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

SCRIPT = """#!/usr/bin/env bash
# What to do stands in the environment: FAKE_MODE ok|fail|memory|hang|held|full|nothing, FAKE_TARGETS a file.
echo "$@" >>"$FAKE_CALLS"
case $1 in
  --version) echo "cmake version ${FAKE_VERSION:-3.30.0}" ;;
  -S) mkdir -p "$4" && cp "$FAKE_TARGETS" "$4/report.json" ;;
  --build)
    echo "[1/2] Building CXX object scan/one.cpp.o"
    case $FAKE_MODE in
      fail) for i in $(seq 40); do echo "before $i"; done
            echo "FAILED: two.o"; echo "two.cpp:7:1: error: expected a semicolon"; exit 1 ;;
      full) echo "cc1plus: fatal error: error writing to a.s: No space left on device"; exit 1 ;;
      memory) echo "c++: fatal error: Killed signal terminated program cc1plus"; exit 1 ;;
      hang) echo $$ >"$FAKE_CALLS.pid"; sleep 900 & wait ;;
      held) until [ -e "$FAKE_CALLS.go" ]; do sleep 0.05; done ;;
    esac
    echo "[2/2] Linking" ;;
  --install)
    mkdir -p "$4/vmexport/_native"
    [ "$FAKE_MODE" != nothing ] || exit 0
    for name in $FAKE_LIBRARIES; do echo built >"$4/vmexport/_native/$name"; done ;;
esac
"""

BOTH = (("libvmexport_scan.so", "BUILT", "CPU kernels"), ("libvmexport_ort.so", "BUILT", "operators"))


class FakeCmake:
    """The script in a folder of its own, and the environment that makes it the cmake of this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "fake-bin"
        self.folder.mkdir()
        self.calls_file, self.targets_file = folder / "calls", folder / "targets.json"
        script = self.folder / "cmake"
        script.write_text(SCRIPT)
        script.chmod(0o755)
        self.environment = {
            "PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}",
            "FAKE_CALLS": str(self.calls_file),
            "FAKE_TARGETS": str(self.targets_file),
            "FAKE_MODE": "ok",
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        self.announce(BOTH)

    def announce(self, targets: Sequence[tuple[str, str, str]]) -> None:
        """What the next configuration reports."""
        values = [{"name": name, "state": state, "detail": detail} for name, state, detail in targets]
        self.targets_file.write_text(json.dumps({"targets": values}))
        self.environment["FAKE_LIBRARIES"] = " ".join(name for name, state, _ in targets if state == "BUILT")

    def calls(self, word: str) -> list[str]:
        """Command lines that began with a word, such as `--build`."""
        if not self.calls_file.exists():
            return []
        return [line for line in self.calls_file.read_text().splitlines() if line.startswith(word)]
