"""The operators on a real GPU, beyond the one table: graphs, streams, devices, alignment, gradients, size."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from backends import BACKENDS, cuda_missing, to_cuda
from cases import CONV_CASES, SCAN_CASES, ConvCase, ScanCase, scan_answer, to_numpy, to_torch
from small import noise, small_model
from tolerances import GPU_GRADIENT, OPERATOR, assert_close

from vmexport.errors import ShapeError
from vmexport.ops import causal_conv1d, directional_selective_scan
from vmexport.ops.native_cuda import load_native_cuda
from vmexport.runtime import open_runner

MISSING = cuda_missing()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(bool(MISSING), reason=MISSING)]

MODEL = ScanCase("model", L=197, D=96, N=16, B=2, class_token=1, tokens_per_frame=196)
SMALL = ScanCase("check", L=9, D=5, N=4, class_token=1, tokens_per_frame=4, directions=(0, 2))
DELAY_CYCLES = 200_000_000
"""About a tenth of a second: long enough that a call which waits is seen to wait."""


def on_gpu(case: ScanCase | ConvCase, dtype: str = "float32", seed: int = 0) -> list[Any]:
    return [to_cuda(array) for array in case.inputs(dtype, seed).values()]


def scan(case: ScanCase, tensors: list[Any]) -> tuple[torch.Tensor, torch.Tensor]:
    order = (list(case.directions), case.tokens_per_frame, case.class_token)
    y, state = torch.ops.vmexport.selective_scan(*tensors, *order, case.scale, case.delta_softplus)
    return y, state


def test_the_kernels_are_built_for_this_gpu() -> None:
    major, minor = torch.cuda.get_device_capability()
    built = load_native_cuda().architectures().split()
    assert f"sm_{major}{minor}" in built or any(word.startswith("compute_") for word in built), built


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("case", SCAN_CASES[:16], ids=lambda case: case.name)
def test_last_state(case: ScanCase, dtype: str) -> None:
    y, state = scan(case, on_gpu(case, dtype))
    want_y, want_state = scan_answer(case, dtype)
    assert_close(to_numpy(y), want_y, OPERATOR[dtype])
    assert_close(to_numpy(state), want_state, OPERATOR["float32"])


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_cuda_graph_computes_anew_on_each_replay(dtype: str) -> None:
    tensors, fresh = on_gpu(MODEL, dtype), on_gpu(MODEL, dtype, seed=1)
    x = tensors[6]  # the gate, (B, L, D), stands for the convolution's input
    weight, bias = torch.randn(2, MODEL.D, 4, device="cuda"), torch.randn(2, MODEL.D, device="cuda")
    y = directional_selective_scan(*tensors, **MODEL.order)  # loads the library outside of the capture
    causal_conv1d(x, weight, bias, **MODEL.order)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        u = causal_conv1d(x, weight, bias, **MODEL.order)
        y = directional_selective_scan(*tensors, **MODEL.order)
    for given in (on_gpu(MODEL, dtype), fresh):
        for tensor, new in zip(tensors, given, strict=True):
            tensor.copy_(new)
        graph.replay()
        assert torch.equal(y, directional_selective_scan(*given, **MODEL.order))
        assert torch.equal(u, causal_conv1d(given[6], weight, bias, **MODEL.order))


def test_the_current_stream_is_used_and_never_waited_for() -> None:
    """The input is written late on a side stream; only work queued behind it on that stream sees it."""
    tensors, late = on_gpu(MODEL), on_gpu(MODEL, seed=1)
    want = directional_selective_scan(*late, **MODEL.order)
    torch.cuda.synchronize()
    stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    torch.cuda.set_sync_debug_mode("error")
    try:
        with torch.cuda.stream(stream):
            torch.cuda._sleep(DELAY_CYCLES)  # type: ignore[no-untyped-call]
            for tensor, new in zip(tensors, late, strict=True):
                tensor.copy_(new)
            got = directional_selective_scan(*tensors, **MODEL.order)
        assert not stream.query(), "the call waited for the GPU"
    finally:
        torch.cuda.set_sync_debug_mode("default")
    stream.synchronize()
    assert torch.equal(got, want)


def test_threads_with_streams_of_their_own() -> None:
    tensors = on_gpu(MODEL)
    want = directional_selective_scan(*tensors, **MODEL.order)
    torch.cuda.synchronize()

    def work(_: int) -> torch.Tensor:
        stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        with torch.cuda.stream(stream):
            y = directional_selective_scan(*tensors, **MODEL.order)
        stream.synchronize()
        return y

    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(work, range(16)):
            assert torch.equal(got, want)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("offset", [1, 3])
def test_misaligned_tensors_give_the_same_answer(dtype: str, offset: int) -> None:
    def shifted(tensor: torch.Tensor) -> torch.Tensor:
        room = torch.empty(tensor.numel() + offset, dtype=tensor.dtype, device="cuda")
        room[offset:] = tensor.flatten()
        return room[offset:].view(tensor.shape)

    tensors = on_gpu(MODEL, dtype)
    got = directional_selective_scan(*(shifted(tensor) for tensor in tensors), **MODEL.order)
    assert_close(to_numpy(got), scan_answer(MODEL, dtype)[0], OPERATOR[dtype])
    weight = torch.randn(2, MODEL.D, 4, device="cuda")
    u = causal_conv1d(shifted(tensors[6]), shifted(weight), None, **MODEL.order)
    assert torch.equal(u, causal_conv1d(tensors[6], weight, None, **MODEL.order))


def test_transposed_tensors_are_copied() -> None:
    tensors = on_gpu(MODEL)
    want = directional_selective_scan(*tensors, **MODEL.order)
    turned = [tensor.transpose(-1, -2).contiguous().transpose(-1, -2) for tensor in tensors]
    assert torch.equal(directional_selective_scan(*turned, **MODEL.order), want)


@pytest.mark.parametrize("position", range(1, 7))
def test_a_tensor_left_on_the_host_is_refused(position: int) -> None:
    tensors = on_gpu(SMALL)
    tensors[position] = tensors[position].cpu()
    with pytest.raises(ShapeError, match=r"expected device cuda:0 like the first tensor, got cpu"):
        directional_selective_scan(*tensors, **SMALL.order)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one GPU only")
def test_the_tensors_device_counts_and_not_the_current_one() -> None:
    tensors = [tensor.to("cuda:1") for tensor in on_gpu(MODEL)]
    assert torch.cuda.current_device() == 0
    y = directional_selective_scan(*tensors, **MODEL.order)
    assert y.device.index == 1
    assert_close(to_numpy(y), scan_answer(MODEL, "float32")[0], OPERATOR["float32"])


@pytest.mark.parametrize("shape", [(0, 7), (2, 0)], ids=["no_batch", "no_tokens"])
def test_empty_calls(shape: tuple[int, int]) -> None:
    case = ScanCase("empty", L=shape[1], D=3, N=2, B=shape[0])
    y, state = scan(case, on_gpu(case))
    assert y.shape == (*shape, 3)
    assert not state.any()
    u = causal_conv1d(y, torch.ones(2, 3, 4, device="cuda"), None, **case.order)
    assert u.shape == (2, *shape, 3)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("without", [(), ("D", "delta_bias", "z")], ids=["all_inputs", "few_inputs"])
def test_torch_accepts_the_operators(without: tuple[str, ...], dtype: str) -> None:
    case = replace(SMALL, without=without)
    order = (list(case.directions), case.tokens_per_frame, case.class_token)
    tensors = [None if t is None else t.requires_grad_() for t in on_gpu(case, dtype)]
    torch.library.opcheck(torch.ops.vmexport.selective_scan, (*tensors, *order, 0.5, True))
    conv = [t.requires_grad_() for t in on_gpu(CONV_CASES[1])]
    order = (list(CONV_CASES[1].directions), CONV_CASES[1].tokens_per_frame, CONV_CASES[1].class_token)
    torch.library.opcheck(torch.ops.vmexport.causal_conv1d, (*conv, *order))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.filterwarnings("ignore:gradients of selective_scan on the GPU come from the slow reference")
def test_gradients_are_those_of_the_cpu(dtype: str) -> None:
    """By mamba-ssm's kernels where they are installed, else by the reference on the GPU."""
    host = [to_torch(array).requires_grad_() for array in MODEL.inputs(dtype).values()]
    weight = torch.randn(MODEL.B, MODEL.L, MODEL.D).to(host[0].dtype)
    device = [tensor.detach().cuda().requires_grad_() for tensor in host]
    want = torch.autograd.grad(scan(MODEL, host)[0], host, weight)
    got = torch.autograd.grad(scan(MODEL, device)[0], device, weight.cuda())
    for one, other in zip(got, want, strict=True):
        assert_close(to_numpy(one), to_numpy(other), GPU_GRADIENT[dtype])


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.filterwarnings("ignore:gradients of causal_conv1d on the GPU come from the slow reference")
def test_the_convolutions_gradients_are_those_of_the_cpu(dtype: str) -> None:
    """By causal-conv1d's kernels where they are installed, else by the reference on the GPU."""
    case = next(case for case in CONV_CASES if case.name == "all_orders")
    host = [to_torch(array).requires_grad_() for array in case.inputs(dtype).values()]
    device = [tensor.detach().cuda().requires_grad_() for tensor in host]
    result = causal_conv1d(*host, **case.order)
    weight = torch.randn(result.shape).to(result.dtype)
    want = torch.autograd.grad(result, host, weight)
    got = torch.autograd.grad(causal_conv1d(*device, **case.order), device, weight.cuda())
    for one, other in zip(got, want, strict=True):
        assert_close(to_numpy(one), to_numpy(other), GPU_GRADIENT[dtype])


def test_more_elements_than_32_bits_count() -> None:
    """The last channels of a tensor of 2^31 elements come out as they do from a small one."""
    length, channels, kept = (1 << 19) + 1, 4096, 32
    need = 4 * length * channels * 2 * 1.2
    if torch.cuda.mem_get_info()[0] < need:
        pytest.skip(f"needs {need / 2**30:.0f} GiB of free device memory")
    half: dict[str, Any] = {"dtype": torch.float16, "device": "cuda"}
    u, delta = (torch.zeros(1, 1, length, channels, **half) for _ in range(2))
    z = torch.zeros(1, length, channels, **half)
    for tensor in (u, delta, z):
        tensor[..., -kept:].normal_()
    A = -torch.rand(1, channels, 4, device="cuda") - 0.1
    BC = torch.randn(1, 1, length, 8, **half)
    D, bias = torch.randn(2, 1, channels, device="cuda")
    order: dict[str, Any] = {"directions": (1,), "tokens_per_frame": 1, "class_token": 1}
    y = directional_selective_scan(u, delta, A, BC, D, bias, z, **order)
    few = [tensor[..., -kept:].contiguous() for tensor in (u, delta, D, bias, z)]
    want = directional_selective_scan(
        few[0], few[1], A[:, -kept:].contiguous(), BC, few[2], few[3], few[4], **order
    )
    assert_close(to_numpy(y[..., -kept:]), to_numpy(want), OPERATOR["float16"])
    assert not y[..., :-kept].any()


def test_the_runner_on_the_gpu_agrees_with_the_cpu() -> None:
    model = small_model()
    clips = noise(model.architecture, 3)
    with open_runner(model) as here, open_runner(model, device="cuda") as there:
        np.testing.assert_allclose(there(clips), here(clips), rtol=1e-4, atol=1e-4)
        assert "cuda" in there.description


def test_a_gpu_backend_stands_in_the_one_table() -> None:
    assert {backend.name for backend in BACKENDS if backend.gpu} == {"torch_cuda", "onnxruntime_cuda"}
