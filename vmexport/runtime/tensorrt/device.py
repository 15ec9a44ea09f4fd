"""The GPU that engines are built for and run on, as CUDA itself describes it."""

from __future__ import annotations

from dataclasses import dataclass

from vmexport.errors import EnvironmentProblem, VmexportError
from vmexport.native import gpu
from vmexport.runtime.tensorrt.cudart import Cuda


@dataclass(frozen=True)
class Gpu:
    """The GPU that CUDA programs of this process use: the first visible one.

    Attributes:
        name: as the driver says it, such as `NVIDIA H200`.
        compute_capability: such as `9.0`.
        cuda_driver: newest CUDA version that the driver serves, such as `13.0`.
        cuda_runtime: CUDA version of cuda-python's runtime.
    """

    name: str
    compute_capability: str
    cuda_driver: str
    cuda_runtime: str


def find_gpu(cuda: Cuda | None = None) -> Gpu:
    """The GPU of this process; takes no memory on it.

    Args:
        cuda: the runtime, opened here where it is not given.

    Raises:
        EnvironmentProblem: cuda-python is not installed, there is no driver or no GPU; says which.
    """
    cuda = cuda or Cuda()
    try:
        count = cuda.device_count()
    except EnvironmentProblem as error:
        raise _explain(error) from error
    if count == 0:
        raise EnvironmentProblem(
            "there is no NVIDIA GPU here",
            "CUDA counts 0 devices",
            "look at nvidia-smi and CUDA_VISIBLE_DEVICES",
        )
    driver, runtime = cuda.versions()
    return Gpu(cuda.device_name(0), cuda.compute_capability(0), driver, runtime)


def gpu_or_reason() -> tuple[Gpu | None, str]:
    """The GPU, or None and why there is none, for those who can go on without."""
    try:
        return find_gpu(), ""
    except VmexportError as error:
        return None, f"{error.what}: {error.why}" if error.why else error.what


def memory_bytes(cuda: Cuda | None = None) -> tuple[int, int]:
    """Free and total memory of the GPU. Starts CUDA on it, which itself takes some hundred MB.

    Raises:
        EnvironmentProblem: no driver or no GPU.
    """
    return (cuda or Cuda()).memory()


def _explain(error: EnvironmentProblem) -> EnvironmentProblem:
    """Say what is known of the machine besides."""
    seen = "a GPU is there, its driver is not usable" if gpu.present() else "no GPU was found either"
    return EnvironmentProblem(error.what, f"{error.why}; {seen}", error.fix)
