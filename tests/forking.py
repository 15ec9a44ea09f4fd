"""Forks children that run `vmexport` command lines: everything is imported before, so that a kill meets work.

Reads a JSON object a line, `words` and `kill_after_s`, forks a child that runs the words, kills it after that
time unless that is null, and prints its status. Arguments: a file for the output of the children, and the
card of a small model.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import tempfile
import time
import traceback

MODULES = ("torch", "onnx", "onnxruntime", "onnxscript", "av", "accelerate", "vmexport.cli.main")


def child(words: list[str], log: str) -> None:
    """Run a command line, and end."""
    status = 1
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.argv = ["vmexport", *words]
        from vmexport.cli.main import run

        run()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def run_child(words: list[str], kill_after_s: float | None) -> int:
    """Fork a child, and kill it unless it ends before; its status."""
    number = os.fork()
    if number == 0:
        child(words, sys.argv[1])
    if kill_after_s is not None:
        deadline = time.monotonic() + kill_after_s
        while time.monotonic() < deadline:
            ended, status = os.waitpid(number, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.001)
        os.kill(number, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


if __name__ == "__main__":
    for module in MODULES:
        importlib.import_module(module)
    import torch

    from vmexport.export import export_onnx
    from vmexport.model import create_model

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:  # what is imported on first use, too
        export_onnx(create_model(sys.argv[2]), f"{folder}/model.onnx")
    for line in sys.stdin:
        print(run_child(**json.loads(line)), flush=True)
