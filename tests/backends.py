"""Every implementation of the operators, behind one signature: arrays by name in, one array out."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from cases import NUMPY_TYPES, Array, Arrays, ConvCase, ScanCase, to_numpy, to_torch
from onnx_models import ELEMENT_TYPES, one_node_model, open_session

from vmexport.errors import EnvironmentProblem
from vmexport.ops import causal_conv1d, directional_selective_scan
from vmexport.ops.buffer import Buffer
from vmexport.ops.native import NativeLibrary, library_path, load_native
from vmexport.ops.native_cuda import load_native_cuda
from vmexport.ops.reference import causal_conv1d_reference, selective_scan_reference
from vmexport.ops.schema import CAUSAL_CONV1D, SELECTIVE_SCAN, TokenOrder
from vmexport.ops.torch_native import cpu_library

Case = ScanCase | ConvCase
TIERS = ("neon",) if platform.machine() == "aarch64" else ("avx512", "avx2", "baseline")
ORT_LIBRARY, ORT_CUDA_LIBRARY = "libvmexport_ort.so", "libvmexport_ort_cuda.so"
CPU_PROVIDER, CUDA_PROVIDER = "CPUExecutionProvider", "CUDAExecutionProvider"


@dataclass(frozen=True)
class Backend:
    """One implementation.

    Attributes:
        name: shown by pytest.
        run: computes a case on given arrays, in the dtype named.
        missing: why it cannot, or nothing.
        gpu: whether it needs a CUDA device.
    """

    name: str
    run: Callable[[Case, Arrays, str], Array]
    missing: Callable[[Case, str], str]
    gpu: bool = False


def parameters(backend: Backend, *values: Any, name: str = "") -> Any:
    """One row of a table of tests, marked `gpu` where the backend needs one."""
    marks = (pytest.mark.gpu,) if backend.gpu else ()
    return pytest.param(backend, *values, id=name or backend.name, marks=marks)


def built_library(name: str) -> Path | None:
    """A native library where it is installed, or else where `make cuda-compile` leaves it."""
    fresh = sorted((Path(__file__).resolve().parent.parent / "build/cuda").glob(f"*/{name}"))
    return library_path(name) or (fresh[0] if fresh else None)


def forget_loaded_libraries() -> None:
    """As in a fresh process: the next call of an operator looks for its library."""
    for cached in (load_native, load_native_cuda, cpu_library):
        cached.cache_clear()


def native_library() -> NativeLibrary | None:
    """The native kernels, or None where they were not built."""
    try:
        return load_native()
    except EnvironmentProblem:
        return None


def buffers(arrays: Arrays) -> list[Any]:
    """The arrays' memory, None where one is absent."""
    return [None if array is None else Buffer.of_numpy(array) for array in arrays.values()]


def run_native(case: Case, arrays: Arrays, dtype: str, *, threads: int = 2) -> tuple[Array, Array | None]:
    """The kernels over the C ABI: the result, and the last state of a scan."""
    order = TokenOrder(**case.order)
    library = load_native()
    if isinstance(case, ConvCase):
        out = np.full((len(case.directions), case.B, case.L, case.D), np.nan, NUMPY_TYPES[dtype])
        tensors = [*buffers(arrays), Buffer.of_numpy(out)]
        library.conv(*tensors, order=order, threads=threads)
        return out, None
    out = np.full((case.B, case.L, case.D), np.nan, NUMPY_TYPES[dtype])
    state = np.full((case.S, case.B, case.D, case.N), np.nan, np.float32)
    tensors = [*buffers(arrays), Buffer.of_numpy(out), Buffer.of_numpy(state)]
    library.scan(
        *tensors,
        order=order,
        scale=case.scale,
        delta_softplus=case.delta_softplus,
        threads=threads,
    )
    return out, state


def _reference(case: Case, arrays: Arrays, dtype: str) -> Array:
    tensors = [to_torch(array) for array in arrays.values()]
    if isinstance(case, ConvCase):
        return to_numpy(causal_conv1d_reference(*tensors, **case.order))
    return to_numpy(
        selective_scan_reference(*tensors, **case.order, scale=case.scale, delta_softplus=case.delta_softplus)
    )


def _native(tier: str) -> Backend:
    def run(case: Case, arrays: Arrays, dtype: str) -> Array:
        library = load_native()
        library.set_tier(tier)
        try:
            return run_native(case, arrays, dtype)[0]
        finally:
            library.set_tier(None)

    def missing(case: Case, dtype: str) -> str:
        library = native_library()
        if library is None:
            return "the native kernels are not built"
        there = library.set_tier(tier)
        library.set_tier(None)
        return "" if there else f"this machine has no {tier}"

    return Backend(f"native_{tier}", run, missing)


def cuda_missing(case: Case | None = None, dtype: str = "") -> str:
    """Why nothing runs on a GPU here; kernels that were not built are no reason but a failure."""
    return "" if torch.cuda.is_available() else "PyTorch sees no GPU on this machine"


def to_cuda(array: Array | None) -> Any:
    """The array on the GPU, with gaps between its rows where the array has them."""
    if array is None:
        return None
    tensor = to_torch(array).cuda()
    if array.flags.c_contiguous:
        return tensor
    wide = tensor.new_full((*tensor.shape[:-1], tensor.shape[-1] + 5), torch.nan)
    wide[..., 2:-3] = tensor
    return wide[..., 2:-3]


def _torch(case: Case, arrays: Arrays, dtype: str) -> Array:
    return run_torch(case, [to_torch(array) for array in arrays.values()])


def run_torch(case: Case, tensors: list[Any]) -> Array:
    """The public operators on given tensors."""
    if isinstance(case, ConvCase):
        return to_numpy(causal_conv1d(*tensors, **case.order))
    if case.delta_softplus:
        return to_numpy(directional_selective_scan(*tensors, **case.order, scale=case.scale))
    order = (list(case.directions), case.tokens_per_frame, case.class_token)
    return to_numpy(torch.ops.vmexport.selective_scan(*tensors, *order, case.scale, False)[0])


def _node_missing(case: Case, dtype: str) -> str:
    """Why an ONNX node cannot say this case."""
    return "" if case.plain else "the ONNX node has every input and always applies softplus"


def _run_node(
    case: Case, arrays: Arrays, dtype: str, library: str | None, provider: str = CPU_PROVIDER
) -> Array:
    """A model of this one node in ONNX Runtime; with a library its kernel, without one the function body."""
    from vmexport.export.functions.conv import causal_conv1d_function
    from vmexport.export.functions.scan import selective_scan_function

    is_scan = isinstance(case, ScanCase)
    attributes: dict[str, Any] = dict(case.order) | (
        {"scale": case.scale} if isinstance(case, ScanCase) else {}
    )
    function = None
    if library is None:
        sizes: dict[str, Any] = (
            {"states": case.N} if isinstance(case, ScanCase) else {"channels": case.D, "taps": case.K}
        )
        make = selective_scan_function if is_scan else causal_conv1d_function
        function = make(**attributes, **sizes, opset=18)
    model = one_node_model(
        SELECTIVE_SCAN if is_scan else CAUSAL_CONV1D, dtype=dtype, function=function, **attributes
    )
    config: dict[str, Any] = {} if provider == CPU_PROVIDER else {"session.disable_cpu_ep_fallback": "1"}
    return _run_session(open_session(model, library, provider=provider, **config), arrays)


def _two_level_missing(case: Case, dtype: str) -> str:
    if not isinstance(case, ScanCase):
        return "the convolution has one form"
    return _function_missing(case, dtype)


def _run_two_level(case: Case, arrays: Arrays, dtype: str) -> Array:
    """The scan's body with few serial steps; the shortest chunks at which a length still has several."""
    from vmexport.export.functions.two_level import chunk_tokens, two_level_scan_function

    assert isinstance(case, ScanCase)
    attributes: dict[str, Any] = {**case.order, "scale": case.scale}
    body = two_level_scan_function(**attributes, states=case.N, opset=18, chunk=chunk_tokens(case.L))
    model = one_node_model(SELECTIVE_SCAN, dtype=dtype, function=body, **attributes)
    return _run_session(open_session(model, None), arrays)


def _run_session(session: Any, arrays: Arrays) -> Array:
    """Run on contiguous copies; bfloat16 travels as its bits, because NumPy does not know it."""
    import onnxruntime

    values = {}
    for name, array in arrays.items():
        whole = np.ascontiguousarray(array)
        if whole.dtype == ml_dtypes.bfloat16:
            make = onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type
            values[name] = make(whole.view(np.uint16), ELEMENT_TYPES["bfloat16"])
        else:
            values[name] = onnxruntime.OrtValue.ortvalue_from_numpy(whole)
    (result,) = session.run_with_ort_values(None, values)
    if result.data_type() != "tensor(bfloat16)":
        return np.asarray(result.numpy())
    count = int(np.prod(result.shape()))
    bits = np.ctypeslib.as_array(ctypes.cast(result.data_ptr(), ctypes.POINTER(ctypes.c_uint16)), (count,))
    return bits.copy().reshape(result.shape()).view(ml_dtypes.bfloat16)


def _onnxruntime_missing(case: Case, dtype: str) -> str:
    if library_path(ORT_LIBRARY) is None:
        return f"{ORT_LIBRARY} is not built"
    return _node_missing(case, dtype)


def _onnxruntime_cuda_missing(case: Case, dtype: str) -> str:
    import onnxruntime

    if reason := cuda_missing():
        return reason
    if CUDA_PROVIDER not in onnxruntime.get_available_providers():
        return "this ONNX Runtime has no CUDA provider"
    if library_path(ORT_CUDA_LIBRARY) is None:
        return f"{ORT_CUDA_LIBRARY} is not built"
    return _node_missing(case, dtype)


def _function_missing(case: Case, dtype: str) -> str:
    if dtype == "bfloat16":
        return "ONNX Runtime's own CPU operators know no bfloat16"
    return _node_missing(case, dtype)


BACKENDS = (
    Backend("reference", _reference, lambda case, dtype: ""),
    *(_native(tier) for tier in TIERS),
    Backend("torch", _torch, lambda case, dtype: ""),
    Backend(
        "onnxruntime",
        lambda case, arrays, dtype: _run_node(case, arrays, dtype, str(library_path(ORT_LIBRARY))),
        _onnxruntime_missing,
    ),
    Backend(
        "torch_cuda",
        lambda case, arrays, dtype: run_torch(case, [to_cuda(array) for array in arrays.values()]),
        cuda_missing,
        gpu=True,
    ),
    Backend(
        "onnxruntime_cuda",
        lambda case, arrays, dtype: _run_node(
            case, arrays, dtype, str(library_path(ORT_CUDA_LIBRARY)), CUDA_PROVIDER
        ),
        _onnxruntime_cuda_missing,
        gpu=True,
    ),
    Backend("function", lambda case, arrays, dtype: _run_node(case, arrays, dtype, None), _function_missing),
    Backend("two-level", _run_two_level, _two_level_missing),
)
