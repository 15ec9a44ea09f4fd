"""What a machine with a GPU and without a network needs, built beforehand: `make gpu-bundle` calls this.

The folder build/gpu-bundle, which git ignores, then holds the native libraries and test programs for one
architecture, the commit and digests of the sources, the packages that such a machine may lack, and
mamba-ssm's forward kernel for the Python and the PyTorch there, compiled from its unchanged sources. At the
end stand its size and the lines to paste.

    python benchmarks/gpu_bundle.py [--capability 9.0] [--python 3.12] [--torch 2.11.0] [--limit-mib 64]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

from peer_sources import FLAGS, find_sdist, unpack
from sources import MANIFEST, ROOT, write_manifest

BUNDLE = (ROOT / MANIFEST).parent
CACHE = ROOT / "build/gpu-torch"
PACKAGES = ("platformdirs", "lazy-loader", "msgspec")
"""Small packages that vmexport imports and that come with no other package."""
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
UNFIT = (
    "onnxruntime-gpu, too large: ort-tests and ort-model run where it is installed",
    "TensorRT, 0.8 GB: the step tensorrt runs where TENSORRT_LIB_DIR or the system has its libraries",
)
TORCH_LIBRARIES = ("c10", "c10_cuda", "torch", "torch_cpu", "torch_cuda", "torch_python")


def call(*words: str | Path, **settings: str) -> None:
    """Run a program; its failure ends this one."""
    print("$", *words, flush=True)
    done = subprocess.run([str(word) for word in words], cwd=ROOT, check=False, env=settings or None)
    if done.returncode:
        raise SystemExit(done.returncode)


def pip(*words: str | Path) -> None:
    """This Python's pip."""
    call(sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *words)


def wheels_for(python: str) -> list[str]:
    """pip's words for wheels of another Python."""
    platforms = [f"--platform={name}" for name in PLATFORMS]
    return [
        "--no-deps",
        "--only-binary=:all:",
        "--implementation=cp",
        f"--python-version={python}",
        *platforms,
    ]


def add_packages(python: str) -> None:
    """Packages as they are published, a folder each: a machine gets those only that it lacks."""
    for name in PACKAGES:
        target = BUNDLE / "site" / name.replace("-", "_")
        pip("install", *wheels_for(python), "--no-compile", "--target", target, name)


def torch_folder(version: str, python: str) -> Path:
    """Headers and libraries of another PyTorch, out of its wheel; nothing of it is ever imported.

    Returns:
        the folder that holds `include` and `lib`.
    """
    folder = CACHE / f"torch-{version}-{python}"
    if (folder / "torch/version.py").is_file():
        return folder / "torch"
    tag = f"cp{python.replace('.', '')}"
    pip("download", *wheels_for(python), "-d", CACHE, f"torch=={version}")
    (wheel,) = CACHE.glob(f"torch-{version}-{tag}-*.whl")
    libraries = tuple(f"torch/lib/lib{name}.so" for name in TORCH_LIBRARIES)
    with zipfile.ZipFile(wheel) as archive:
        wanted = [
            name for name in archive.namelist() if name.startswith("torch/include/") or name in libraries
        ]
        archive.extractall(folder, [*wanted, "torch/version.py"])
    wheel.unlink()
    return folder / "torch"


def python_headers(version: str) -> Path:
    """The folder of `Python.h` of another Python."""
    if sysconfig.get_python_version() == version:
        return Path(sysconfig.get_path("include"))
    code = "import sysconfig; print(sysconfig.get_path('include'))"
    try:
        done = subprocess.run([f"python{version}", "-c", code], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        raise SystemExit(
            f"the headers of Python {version} are missing\nwhy: there is no python{version} on PATH\n"
            f"fix: install it, or name the Python of the machine with the GPU: --python 3.11"
        ) from None
    return Path(done.stdout.strip())


def build_peer(capability: str, python: str, version: str) -> None:
    """mamba-ssm's forward kernel as an extension module, compiled and linked only."""
    source = unpack(find_sdist(ROOT / "build/peers"), CACHE)
    torch, target = torch_folder(version, python), BUNDLE / "peers" / "selective_scan_cuda.so"
    target.parent.mkdir(parents=True, exist_ok=True)
    digits = capability.replace(".", "")
    files = [
        "selective_scan.cpp",
        "no_backward.cpp",
        *(f"selective_scan_fwd_{t}.cu" for t in ("fp32", "fp16", "bf16")),
    ]
    includes = [source, torch / "include", torch / "include/torch/csrc/api/include", python_headers(python)]
    call(
        "nvcc", *FLAGS, f"-gencode=arch=compute_{digits},code=sm_{digits}", "-Xcompiler=-fPIC", "--threads=2",
        "-DTORCH_EXTENSION_NAME=selective_scan_cuda", "-DTORCH_API_INCLUDE_EXTENSION_H",
        *(f"-I{folder}" for folder in includes), "-shared", "-cudart", "shared",
        *(str(source / file) for file in files),
        f"-L{torch / 'lib'}", *(f"-l{name}" for name in TORCH_LIBRARIES),
        "-Xlinker=--allow-shlib-undefined", "-o", target,
    )  # fmt: skip
    call("strip", "--strip-unneeded", target)


def bundle_bytes() -> int:
    """Size of the folder."""
    return sum(path.stat().st_size for path in BUNDLE.rglob("*") if path.is_file())


def tell(limit_mib: int) -> int:
    """Size, what is not in it, and the lines to paste; exit status 5 where it is too large."""
    for path in sorted(
        path for path in BUNDLE.rglob("*") if path.is_file() and path.stat().st_size > 100_000
    ):
        print(f"{path.stat().st_size / 2**20:7.1f} MiB  {path.relative_to(ROOT)}")
    size = bundle_bytes() / 2**20
    print(f"{size:7.1f} MiB  {BUNDLE.relative_to(ROOT)}, of {limit_mib}")
    for line in UNFIT:
        print(f"not in it: {line}")
    print("\nThere, in a copy of this tree with build/gpu-bundle, five minutes each:")
    for name in ("first", "second"):
        print(f"  bash benchmarks/gpu_check.sh {name} --results DIR")
    return 0 if size <= limit_mib else 5


def main() -> int:
    """Build the folder anew."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--capability", default="9.0", help="of the GPU there; 9.0: H100, H200")
    parser.add_argument("--python", default="3.12", help="the Python there")
    parser.add_argument("--torch", default="2.11.0", help="the PyTorch there")
    parser.add_argument("--limit-mib", type=int, default=64, help="what can be carried")
    options = parser.parse_args()
    call("rm", "-rf", BUNDLE)
    call("bash", "benchmarks/gpu_build.sh", options.capability.replace(".", ""), BUNDLE)
    add_packages(options.python)
    build_peer(options.capability, options.python, options.torch)
    commit, changed = write_manifest(ROOT, ROOT / MANIFEST)
    if changed:
        print(f"the sources differ from {commit}: {', '.join(changed[:5])}; results will need --allow-dirty")
    return tell(options.limit_mib)


if __name__ == "__main__":
    raise SystemExit(main())
