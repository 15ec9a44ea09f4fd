"""Every fixed set of words that a setting takes, once: the library checks, the command line completes."""

from __future__ import annotations

from enum import Enum


class Words(str, Enum):
    """Words that are plain strings wherever they go; `Device.CPU == "cpu"` and prints as `cpu`."""

    def __str__(self) -> str:
        return str(self.value)

    @classmethod
    def all(cls) -> tuple[str, ...]:
        """The words, in their order."""
        return tuple(word.value for word in cls)


class Precision(Words):
    """Types of weights and activations, the most exact first; float32 islands stay in each of them."""

    FP32, FP16, BF16 = "fp32", "fp16", "bf16"


PRECISIONS = Precision.all()
"""The one table of precisions; what a part of the program cannot do it refuses itself."""


class TrainingPrecision(Words):
    """How projections compute in training; auto: bf16 on GPUs, fp32 elsewhere."""

    AUTO, FP32, FP16, BF16 = "auto", "fp32", "fp16", "bf16"


class Device(Words):
    """Where a model runs."""

    CPU, CUDA = "cpu", "cuda"


class TrainingDevice(Words):
    """Where a model is trained; auto: on a GPU where there is one."""

    AUTO, CPU, CUDA = "auto", "cpu", "cuda"


class Library(Words):
    """Whether an `.onnx` file is run by the operator library or by its own function bodies."""

    AUTO, OFF, REQUIRE = "auto", "off", "require"


class Runtime(Words):
    """Which TensorRT builds an engine."""

    AUTO, TENSORRT, RTX = "auto", "tensorrt", "rtx"


class Cuda(Words):
    """Whether the CUDA libraries are built: where nvcc is (auto), in any case (on), or not (off)."""

    AUTO, ON, OFF = "auto", "on", "off"


class Weights(Words):
    """Which weights of a training run's file: those that were trained, or their moving average."""

    MODEL, EMA = "model", "ema"


class Sampling(Words):
    """Which frames of a video a clip is made of: a fixed number apart, or spread evenly over all of it."""

    DENSE, UNIFORM = "dense", "uniform"


class Split(Words):
    """Parts of a data set."""

    TRAIN, VAL, TEST, ALL = "train", "val", "test", "all"


class Layout(Words):
    """Formats of a data set that are read; index: the JSON file that `vmexport data index` writes."""

    AUTO, KINETICS, SSV2, HMDB51, UCF101 = "auto", "kinetics", "ssv2", "hmdb51", "ucf101"
    FOLDER, INDEX = "folder", "index"


class SynthLayout(Words):
    """Formats that a made data set is written in."""

    FOLDER, KINETICS, SSV2, HMDB51 = "folder", "kinetics", "ssv2", "hmdb51"


class Order(Words):
    """Orders of the frames (paper, Table 1), the most disturbing one first."""

    INTERLEAVED, PAIRWISE, BLOCKWISE, SEQUENTIAL = "interleaved", "pairwise", "blockwise", "sequential"


class ClsPosition(Words):
    """Where the class token stands among the tokens."""

    FIRST, MIDDLE, NONE = "first", "middle", "none"


class InitPosition(Words):
    """How an image model's positional embedding becomes a video's (paper, section 4.2)."""

    RANDOM = "random"
    INTERPOLATE_SPACE, INTERPOLATE_DIM, EXPANDING = "interpolate-space", "interpolate-dim", "expanding"


class AblationTable(Words):
    """Tables of the paper that train variants of a model, by their numbers."""

    SCAN_ORDER, EMBEDDING, FRAMES, WIDTH = "2", "3", "5", "6"
