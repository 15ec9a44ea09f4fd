"""The self-test's inputs through each front end: C ABI and ONNX Runtime, on the CPU and on a GPU."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vmexport.doctor.oracle import CHANNELS, FRAME, LENGTH, ORDERS, Array
from vmexport.extras import install, install_extra
from vmexport.native import gpu
from vmexport.native.libraries import CUDA_BUILD_FIX
from vmexport.ops.native import Buffer, NativeLibrary
from vmexport.ops.schema import DOMAIN, OPSET_VERSION, SELECTIVE_SCAN, TokenOrder

ORDER = TokenOrder(ORDERS, FRAME, 1)


class Untestable(Exception):
    """The library may be right, but this machine cannot run it: the reason, and what would change that."""

    def __init__(self, reason: str, fix: str = "") -> None:
        super().__init__(reason)
        self.reason, self.fix = reason, fix


def native_scan(library: NativeLibrary, inputs: Mapping[str, Array]) -> Array:
    """The scan through the C ABI, `(1, L, D)`."""
    y = np.full_like(inputs["z"], np.nan)
    tensors: dict[str, Any] = {name: Buffer.of_numpy(value) for name, value in {**inputs, "y": y}.items()}
    library.scan(**tensors, order=ORDER)
    return y


def native_conv(library: NativeLibrary, inputs: Mapping[str, Array]) -> Array:
    """The convolution through the C ABI, `(S, 1, L, D)`."""
    u = np.full((len(ORDERS), 1, LENGTH, CHANNELS), np.nan, np.float32)
    tensors: dict[str, Any] = {name: Buffer.of_numpy(value) for name, value in {**inputs, "u": u}.items()}
    library.conv(**tensors, order=ORDER)
    return u


def cuda_scan(inputs: Mapping[str, Array]) -> Array:
    """The scan through the C ABI of the CUDA kernels, `(1, L, D)`.

    Raises:
        Untestable: there is no GPU, or no PyTorch that sees it.
    """
    torch = _torch_on_gpu()
    from vmexport.ops.native_cuda import load_native_cuda
    from vmexport.ops.torch_native import current_stream, run_scan

    u, delta, A, BC, D, delta_bias, z = (torch.from_numpy(value).cuda() for value in inputs.values())
    with current_stream(torch.device("cuda", torch.cuda.current_device())) as stream:
        call = functools.partial(load_native_cuda().scan, stream=stream)
        y, _ = run_scan(call, (u, delta, A, BC, D, delta_bias, z), ORDER, scale=1.0, delta_softplus=True)
        result: Array = y.cpu().numpy()
    return result


def cuda_conv(inputs: Mapping[str, Array]) -> Array:
    """The convolution through the C ABI of the CUDA kernels, `(S, 1, L, D)`.

    Raises:
        Untestable: there is no GPU, or no PyTorch that sees it.
    """
    torch = _torch_on_gpu()
    from vmexport.ops.native_cuda import load_native_cuda
    from vmexport.ops.torch_native import current_stream, run_conv

    x, weight, bias = (torch.from_numpy(value).cuda() for value in inputs.values())
    with current_stream(torch.device("cuda", torch.cuda.current_device())) as stream:
        call = functools.partial(load_native_cuda().conv, stream=stream)
        result: Array = run_conv(call, x, weight, bias, ORDER).cpu().numpy()
    return result


def onnx_runtime(operator: str, inputs: Mapping[str, Array]) -> Array:
    """One operator through ONNX Runtime and the operator library, on the CPU.

    Raises:
        Untestable: onnx or onnxruntime is not installed.
    """
    from vmexport.runtime.session import SessionOptions, open_session

    _require_onnxruntime()
    session, _ = open_session(_model(operator, inputs), "the self-test", SessionOptions(library="require"))
    result: Array = session.run(None, dict(inputs))[0]
    return result


def onnx_runtime_cuda(operator: str, inputs: Mapping[str, Array]) -> Array:
    """One operator through ONNX Runtime's CUDA provider.

    Raises:
        Untestable: there is no GPU, or this onnxruntime cannot use it.
    """
    from vmexport.runtime.session import SessionOptions, open_session

    runtime = _require_onnxruntime()
    _require_gpu()
    if "CUDAExecutionProvider" not in runtime.get_available_providers():
        raise Untestable(
            f"ONNX Runtime {runtime.__version__} here has no CUDA provider",
            f"pip uninstall onnxruntime && {install_extra('gpu')}",
        )
    options = SessionOptions(library="require", device="cuda")
    session, _ = open_session(_model(operator, inputs), "the self-test", options)
    result: Array = session.run(None, dict(inputs))[0]
    return result


def on_cpu(path: Path, operator: str, inputs: Mapping[str, Array]) -> Array:
    """The CPU kernels of the library for CUDA: that it registers, and that its schemas fit, needs no GPU.

    Raises:
        Untestable: onnx or onnxruntime is not installed.
    """
    runtime = _require_onnxruntime()
    settings = runtime.SessionOptions()
    settings.log_severity_level = 3
    settings.register_custom_ops_library(str(path))
    session = runtime.InferenceSession(_model(operator, inputs), settings, providers=["CPUExecutionProvider"])
    result: Array = session.run(None, dict(inputs))[0]
    return result


def _model(operator: str, inputs: Mapping[str, Array]) -> bytes:
    """An ONNX file of one node."""
    from onnx import TensorProto, helper

    attributes: dict[str, Any] = {"directions": list(ORDERS), "tokens_per_frame": FRAME, "class_token": 1}
    if operator == SELECTIVE_SCAN:
        attributes["scale"] = 1.0
    node = helper.make_node(operator, list(inputs), ["out"], name=operator, domain=DOMAIN, **attributes)
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, x.shape) for name, x in inputs.items()]
    graph = helper.make_graph([node], "selftest", values, [helper.make_empty_tensor_value_info("out")])
    graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid(DOMAIN, OPSET_VERSION)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    return bytes(model.SerializeToString())


def _require_onnxruntime() -> Any:
    """The onnxruntime module; onnx, which makes the file, must be there too."""
    try:
        import onnx  # noqa: F401
        import onnxruntime
    except ImportError as error:
        name = error.name or "onnxruntime"
        raise Untestable(f"{name} is not installed", install(name)) from error
    return onnxruntime


def _require_gpu() -> None:
    """Stop where there is no GPU, before anything slow is imported."""
    if not gpu.present():
        raise Untestable("no GPU")


def _torch_on_gpu() -> Any:
    """PyTorch, which holds the device memory of the test."""
    _require_gpu()
    try:
        import torch
    except ImportError as error:
        raise Untestable("a GPU, but PyTorch is not installed", install("torch")) from error
    if not torch.cuda.is_available():
        raise Untestable("a GPU, but PyTorch does not see it", "look at nvidia-smi and pip show torch")
    capability = "".join(map(str, torch.cuda.get_device_capability()))
    from vmexport.ops.native_cuda import load_native_cuda

    built = load_native_cuda().architectures()
    if not gpu.covers(built, capability):
        raise Untestable(f"built for {built}, and this GPU is sm_{capability}", CUDA_BUILD_FIX)
    return torch
