"""The extras of pyproject.toml: what each brings, and the line that installs what is missing."""

from __future__ import annotations

from collections.abc import Mapping

from vmexport.errors import EnvironmentProblem

_EXPORT = ("onnx", "onnxscript", "safetensors", "torch")

EXTRAS: Mapping[str, tuple[str, ...]] = {
    "cpu": ("onnx", "onnxruntime"),
    "export": _EXPORT,
    "train": (*_EXPORT, "accelerate", "kornia", "matplotlib"),
    "gpu": ("cuda-python", "onnx", "onnxruntime-gpu"),
    "tensorrt": ("cuda-python", "onnx", "tensorrt"),
    "rtx": ("cuda-python", "onnx", "tensorrt-rtx"),
    "jetson6": ("cuda-python", "onnx"),
    "jetson7": ("cuda-python", "onnx"),
    "mamba": ("causal-conv1d", "mamba-ssm"),
    "bench": ("matplotlib", "nvidia-ml-py"),
}
"""Distributions of each extra that a user may want."""

HOMES: Mapping[str, str] = {
    "accelerate": "train",
    "causal_conv1d": "mamba",
    "kornia": "train",
    "mamba_ssm": "mamba",
    "matplotlib": "bench",
    "onnx": "cpu",
    "onnxruntime": "cpu",
    "onnxscript": "export",
    "pynvml": "bench",
    "safetensors": "export",
    "tensorrt": "tensorrt",
    "tensorrt_rtx": "rtx",
    "torch": "export",
}
"""The extra that brings an importable package: the lightest one, where several do."""

COMMANDS: Mapping[str, str] = {
    "ablate": "train",
    "convert": "export",
    "delta": "bench,export",
    "models": "export",
    "onnx": "cpu,export",
    "train": "train",
}
"""Extras that a command needs from its start to its end, so that one line installs them all."""

OPTIONS: Mapping[str, str] = {
    "mamba": "--no-build-isolation",
    "tensorrt": "--extra-index-url https://pypi.nvidia.com",
}
"""What pip has to be told besides: to compile against the torch that is there, and NVIDIA's own index, since
`tensorrt` on PyPI is a stub."""

_DISTRIBUTIONS = {"cuda": "cuda-python"}
"""Packages that every GPU's extra has, and that are named by themselves: their name on PyPI."""

_ON_A_JETSON = {
    "cuda": "Jetson: 'vmexport[jetson6]' on JetPack 6, 'vmexport[jetson7]' on JetPack 7",
    "tensorrt": "Jetson: sudo apt-get install python3-libnvinfer, and python3 -m venv --system-site-packages",
}
"""Where a board gets it another way."""


def install(package: str, options: str = "") -> str:
    """The line that installs an importable package, by its extra where it belongs to one.

    Args:
        package: as it is imported; a dotted name stands for its root.
        options: words for pip, such as `--upgrade`.
    """
    root = package.partition(".")[0]
    line = (
        install_extra(HOMES[root], options)
        if root in HOMES
        else _line(options, _DISTRIBUTIONS.get(root, root))
    )
    return f"{line}   ({_ON_A_JETSON[root]})" if root in _ON_A_JETSON else line


def install_extra(extra: str, options: str = "") -> str:
    """The line that installs a whole extra, or several with commas between."""
    return _line(options, OPTIONS.get(extra, ""), f"'vmexport[{extra}]'")


def _line(*words: str) -> str:
    return " ".join(filter(None, ("pip install", *words)))


def missing(
    package: str, why: str = "this command needs it", *, name: str = "", command: str = ""
) -> EnvironmentProblem:
    """The error for a package that is not installed.

    Args:
        package: as it is imported; a dotted name stands for its root.
        why: what needs it, or what the import said.
        name: what people call it, such as `PyTorch`; by default, the package's own name.
        command: of the program, where one was under way: its extras are named whole.
    """
    root = package.partition(".")[0]
    whole = COMMANDS.get(command, "")
    brought = {one for extra in filter(None, whole.split(",")) for one in EXTRAS[extra]}
    fix = install_extra(whole) if root in brought else install(root)
    return EnvironmentProblem(f"{name or f'the Python package {root}'} is not installed", why, fix)
