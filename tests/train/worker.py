"""Trains in a process of its own: `worker.py DATA OUT SETTINGS_JSON [STEP]`; soon after STEP it is killed."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections.abc import Callable
from threading import Timer

import torch

from vmexport.train import TrainingRequest, train_model


def killed_after(steps: int) -> Callable[[str, int, int], None]:
    """What ends this process without warning, at a random moment of the step that follows."""

    def watch(text: str, done: int, total: int) -> None:
        if done == steps and "validating" not in text:
            Timer(random.uniform(0, 0.1), os.kill, (os.getpid(), signal.SIGKILL)).start()

    return watch


if __name__ == "__main__":
    torch.set_num_threads(1)
    data, out, settings, *steps = sys.argv[1:]
    train_model(
        request=TrainingRequest(
            data=data,
            config="synthetic",
            out=out,
            workers=0,
            device="cpu",
            publish=False,
            checkpoint_steps=2,
            settings=json.loads(settings),
        ),
        progress=killed_after(int(steps[0])) if steps else None,
    )
    while steps:  # the timer has the last word, however quick the training was
        signal.pause()
