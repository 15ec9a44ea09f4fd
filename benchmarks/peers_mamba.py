"""mamba-ssm as a peer on a GPU: its forward selective-scan kernel, and a bidirectional mixer around it.

The kernel is the installed extension where there is one. Otherwise its forward half is built for this
machine's GPU from mamba-ssm's source distribution, which `make gpu-peers` puts into `build/peers` (another
place: VMEXPORT_MAMBA_SDIST). Nothing of it is part of this repository.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import tarfile
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from peer_sources import FLAGS, STUB, PeerMissing, find_sdist, unpack
from torch import Tensor

from vmexport.model.freeze import FrozenMixer

EXTENSION = "selective_scan_cuda"
PEERS = Path(__file__).resolve().parent.parent / "build" / "peers"


def announce_mamba() -> tuple[Any, str]:
    """`load_mamba`, or None and the reason where there is none; says which on stdout."""
    kernel = None
    try:
        kernel, source = load_mamba()
    except PeerMissing as error:
        source = f"not run: {error}"
        print(f"not run: mamba-ssm: {error}")
    else:
        print(f"mamba-ssm: {source}")
    return kernel, source


def load_mamba() -> tuple[Any, str]:
    """The module with mamba-ssm's `fwd`, and where it comes from.

    Raises:
        PeerMissing: neither installed nor buildable.
    """
    if importlib.util.find_spec(EXTENSION) is not None:
        try:
            return importlib.import_module(EXTENSION), "installed"
        except ImportError as error:
            raise PeerMissing(f"the installed mamba-ssm does not load: {error}") from error
    sdist = find_sdist(PEERS)
    try:
        return build_forward(sdist, PEERS / "build"), f"forward kernel built from {sdist.name}"
    except (RuntimeError, OSError, tarfile.TarError) as error:
        reason = str(error).strip().splitlines()
        raise PeerMissing(f"{sdist.name} does not build: {reason[0] if reason else error!r}") from error


def build_forward(sdist: Path, folder: Path) -> Any:
    """Compile the forward kernels for the current GPU and load them.

    Args:
        sdist: mamba-ssm's source distribution.
        folder: where to unpack and build; reused by the next call.
    """
    from torch.utils.cpp_extension import load

    source = unpack(sdist, folder)
    major, minor = torch.cuda.get_device_capability()
    os.environ["TORCH_CUDA_ARCH_LIST"] = f"{major}.{minor}"
    objects = folder / f"sm_{major}{minor}"
    objects.mkdir(exist_ok=True)
    sources = [
        "selective_scan.cpp",
        STUB,
        *(f"selective_scan_fwd_{t}.cu" for t in ("fp32", "fp16", "bf16")),
    ]
    return load(
        name=EXTENSION,
        sources=[str(source / name) for name in sources],
        extra_cflags=["-O3", "-std=c++17"],
        extra_cuda_cflags=list(FLAGS),
        extra_include_paths=[str(source)],
        build_directory=str(objects),
    )


def bidirectional_scan(
    kernel: Any, xz: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, bias: Tensor
) -> Tensor:
    """Forward scan plus reversed scan the way Vim calls mamba-ssm: flips, gates and the sum included.

    Args:
        kernel: module with mamba-ssm's `fwd`.
        xz: `(2, B, 2D, L)`, input and gate of each direction in natural order.
        delta: `(2, B, D, L)`, the second one in reversed order, as computed from reversed inputs.
        A: `(2, D, N)` float32.
        B, C: `(2, B, 1, N, L)`, the second ones in reversed order.
        D, bias: `(2, D)` float32.

    Returns:
        `(B, D, L)`.
    """
    results = []
    for s, directed in enumerate((xz[0], xz[1].flip(-1))):
        x, z = directed.chunk(2, dim=1)
        out = kernel.fwd(x, delta[s], A[s], B[s], C[s], D[s], z, bias[s], True)[2]
        results.append(out)
    return results[0] + results[1].flip(-1)  # type: ignore[no-any-return]


class MambaMixer:
    """A frozen mixer's `scan` in mamba-ssm's layout and kernels; convolutions by causal-conv1d or PyTorch.

    Args:
        mixer: directions forward and spatiotemporal only, which whole flips can express.
        kernel: module with mamba-ssm's `fwd`.
    """

    def __init__(self, mixer: FrozenMixer, kernel: Any) -> None:
        assert tuple(mixer.order["directions"]) == (0, 1)
        self.kernel, self.widths, self.scale = kernel, mixer.widths, mixer.scale
        self.in_weight = torch.cat([mixer.x_weight, mixer.z_weight], dim=1).t().contiguous()  # (2D, d)
        self.x_proj = mixer.x_proj.transpose(1, 2).contiguous()  # (S, R + 2N, D)
        self.dt_proj = mixer.dt_proj.transpose(1, 2).contiguous()  # (S, D, R)
        self.conv_weight = mixer.conv_weight.to(mixer.x_weight.dtype)  # (S, D, K)
        self.conv_bias = mixer.conv_bias.to(mixer.x_weight.dtype)
        self.A, self.D, self.bias = mixer.A, mixer.D, mixer.dt_bias
        self.conv = causal_conv()

    def scan(self, hidden: Tensor) -> Tensor:
        """float32 `(B, L, d)` to the gated sum `(B, L, D)`."""
        hidden = hidden.to(self.in_weight.dtype)
        xz = torch.matmul(self.in_weight, hidden.transpose(1, 2))  # (B, 2D, L)
        total = self._direction(xz, 0) + self._direction(xz.flip(-1), 1).flip(-1)
        return (total * self.scale if self.scale != 1 else total).transpose(1, 2)

    def _direction(self, xz: Tensor, s: int) -> Tensor:
        """One gated scan, `(B, D, L)`, inputs in the order in which it visits the tokens."""
        x, z = xz.chunk(2, dim=1)
        u = self.conv(x, self.conv_weight[s], self.conv_bias[s])
        mixed = torch.matmul(self.x_proj[s], u)  # (B, R + 2N, L)
        low_rank, bc = torch.split(mixed, self.widths, dim=1)
        delta = torch.matmul(self.dt_proj[s], low_rank)  # (B, D, L)
        B, C = bc.unsqueeze(1).chunk(2, dim=2)  # (B, 1, N, L)
        call = (u, delta, self.A[s], B, C, self.D[s], z, self.bias[s], True)
        return self.kernel.fwd(*call)[2]  # type: ignore[no-any-return]


def causal_conv() -> Any:
    """causal-conv1d's function where it is installed, else PyTorch's own convolution and SiLU."""
    try:
        from causal_conv1d import causal_conv1d_fn
    except ImportError:
        return plain_conv
    return lambda x, weight, bias: causal_conv1d_fn(x, weight, bias, activation="silu")


def plain_conv(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Depthwise causal convolution and SiLU, `(B, D, L)`, as mamba-ssm does without causal-conv1d."""
    channels, taps = weight.shape
    padded = F.conv1d(x, weight.unsqueeze(1), bias, padding=taps - 1, groups=channels)
    return F.silu(padded[..., : x.shape[-1]])
