"""Trains in a process of its own: `worker.py DATA OUT SETTINGS_JSON [RESUME]`."""

from __future__ import annotations

import json
import sys

import torch

from vmexport.train import TrainingRequest, train_model

if __name__ == "__main__":
    torch.set_num_threads(1)
    data, out, settings = sys.argv[1:4]
    train_model(
        TrainingRequest(
            data=data,
            config="synthetic",
            out=out,
            resume=sys.argv[4] if len(sys.argv) > 4 else None,
            workers=0,
            device="cpu",
            publish=False,
            checkpoint_steps=2,
            settings=json.loads(settings),
        )
    )
