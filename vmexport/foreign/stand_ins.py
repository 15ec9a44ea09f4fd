"""`stand_ins`: repositories that ask for mamba-ssm, causal-conv1d or triton import without them too."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NoReturn

from vmexport.errors import UsageError

PACKAGES = ("mamba_ssm", "causal_conv1d", "triton")
VERSION = "0+stand.in"


@contextlib.contextmanager
def stand_ins() -> Iterator[tuple[str, ...]]:
    """While it is open, `mamba_ssm`, `causal_conv1d` and `triton` can be imported without being installed.

    The first two compute by this package's operators. Kernels written in triton import and cannot be called:
    models have a path without them for CPU tensors. An installed package is never replaced. Afterwards the
    stand-ins are gone again: what was imported meanwhile keeps what it bound, and nobody else finds them.

        with vmexport.foreign.stand_ins():
            from their_repository.models import build

    Yields:
        the packages that have a stand-in, those that are not installed.
    """
    from importlib.util import find_spec

    lacking = tuple(name for name in PACKAGES if name not in sys.modules and find_spec(name) is None)
    _settle_torch()
    finder = _Finder(lacking)
    sys.meta_path.append(finder)
    try:
        yield lacking
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name, module in sys.modules.items() if _loader(module) is finder]:
            del sys.modules[name]


def _settle_torch() -> None:
    """Let torch find out now whether there is a triton; it asks once."""
    with contextlib.suppress(ImportError, AttributeError):
        from torch.utils._triton import has_triton, has_triton_package

        has_triton_package()
        has_triton()


def _loader(module: object) -> object:
    return getattr(getattr(module, "__spec__", None), "loader", None)


class _Finder(MetaPathFinder, Loader):
    """Finds the modules that stand in, after everything else was asked."""

    def __init__(self, packages: tuple[str, ...]) -> None:
        self.modules = {
            name: contents for name, contents in _modules().items() if name.split(".")[0] in packages
        }
        self.triton = "triton" in packages

    def find_spec(
        self, fullname: str, path: Any = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a module that stands in, except for torch, which must not take triton for real."""
        known = fullname in self.modules or (self.triton and fullname.split(".")[0] == "triton")
        if not known or _importer().split(".")[0] == "torch":
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """An empty module, or one that has every name."""
        return _Triton(spec.name) if spec.name.split(".")[0] == "triton" else ModuleType(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Fill it."""
        vars(module)["__version__"] = VERSION
        if not isinstance(module, _Triton):
            vars(module).update(self.modules[module.__name__]())


def _importer() -> str:
    """Name of the module whose `import` is under way."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name != __name__ and not name.startswith(("importlib", "_frozen_importlib")):
            return name
        frame = frame.f_back
    return ""


def _modules() -> Mapping[str, Callable[[], dict[str, Any]]]:
    """What each module that stands in holds, made when it is imported."""

    def nothing() -> dict[str, Any]:
        return {}

    def scans() -> dict[str, Any]:
        from vmexport.foreign import published as p

        return {
            "selective_scan_fn": p.selective_scan_fn,
            "selective_scan_ref": p.selective_scan_fn,
            "mamba_inner_fn": p.mamba_inner_fn,
            "mamba_inner_ref": p.mamba_inner_fn,
            "mamba_inner_fn_no_out_proj": p.mamba_inner_fn_no_out_proj,
            "bimamba_inner_fn": p.bimamba_inner_fn,
        }

    def norms() -> dict[str, Any]:
        from vmexport.foreign import published as p

        return {"RMSNorm": p.RMSNorm, "layer_norm_fn": p.layer_norm_fn, "rms_norm_fn": p.rms_norm_fn}

    def block() -> dict[str, Any]:
        from vmexport.foreign.mamba_block import Mamba

        return {"Mamba": Mamba}

    def update() -> dict[str, Any]:
        from vmexport.foreign.published import selective_state_update

        return {"selective_state_update": selective_state_update}

    def convolutions() -> dict[str, Any]:
        from vmexport.foreign import published as p

        return {
            "causal_conv1d_fn": p.causal_conv1d_fn,
            "causal_conv1d_ref": p.causal_conv1d_fn,
            "causal_conv1d_update": p.causal_conv1d_update,
        }

    def generation() -> dict[str, Any]:
        return {"GenerationMixin": type("GenerationMixin", (), {})}

    def hub() -> dict[str, Any]:
        return {"load_config_hf": _no_hub, "load_state_dict_hf": _no_hub}

    return {
        "mamba_ssm": lambda: {**scans(), **block()},
        "mamba_ssm.modules": nothing,
        "mamba_ssm.modules.mamba_simple": block,
        "mamba_ssm.ops": nothing,
        "mamba_ssm.ops.selective_scan_interface": scans,
        "mamba_ssm.ops.triton": nothing,
        "mamba_ssm.ops.triton.layer_norm": norms,
        "mamba_ssm.ops.triton.layernorm": norms,
        "mamba_ssm.ops.triton.selective_state_update": update,
        "mamba_ssm.utils": nothing,
        "mamba_ssm.utils.generation": generation,
        "mamba_ssm.utils.hf": hub,
        "causal_conv1d": convolutions,
        "causal_conv1d.causal_conv1d_interface": convolutions,
    }


def _no_hub(*_: Any, **__: Any) -> NoReturn:
    raise UsageError(
        "weights are not fetched from a hub by the stand-in of mamba_ssm",
        "it brings no network client",
        "download them, and load them with torch.load(path, weights_only=True)",
    )


class _Anything:
    """Whatever a file of triton kernels asks for while it is imported; calling a kernel raises."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> _Anything:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything(f"{self._name}.{name}")

    def __call__(self, *args: Any, **_: Any) -> Any:
        """As a decorator, with or without arguments: the kernel that it makes. Anything else: something."""
        if len(args) == 1 and callable(args[0]) and not isinstance(args[0], _Anything):
            return _Kernel(getattr(args[0], "__name__", self._name))
        return args[0] if len(args) == 1 and isinstance(args[0], _Kernel) else _Anything(self._name)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        """As a base class: none."""
        return ()


class _Kernel:
    """A triton kernel that was compiled by nobody."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getitem__(self, grid: object) -> Callable[..., NoReturn]:
        return self

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        raise UsageError(
            f"the triton kernel {self._name} cannot run here",
            "triton is not installed; a stand-in let the file be imported",
            "take the model's path without triton, or install it: pip install triton",
        )


class _Triton(ModuleType):
    """`triton` and its submodules: every name, and the few functions that are called at import."""

    @staticmethod
    def cdiv(a: int, b: int) -> int:
        """a / b, rounded up."""
        return -(-a // b)

    @staticmethod
    def next_power_of_2(n: int) -> int:
        """The power of two from n on."""
        return 1 << max(0, n - 1).bit_length()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything(f"{self.__name__}.{name}")
