# make demo   make films, train on them, export, check, time, recognise; VIDEO=path: the full-size model on your video
# make test   lint, the kernels under sanitizers and emulation, the Python tests
# make portability   every Python here, every install line, oldest and newest packages, the wheel
# make integration   full-size models, real builds, other processors and compilers
# make results   measure all that needs no GPU, on a quiet machine, and bring the pages up to date; make docs: the pages
# make fuzz   search for files that do harm, 10 minutes a kind of file: docs/security.md
# make wheel  the source archive and the wheel, in dist/
# make gpu-peers   fetch what benchmarks/gpu_check.sh compares with, for a GPU machine without a network
# make gpu-bundle  build what benchmarks/gpu_check.sh needs there beforehand, GPU_BUNDLE="--capability 9.0 --python 3.12 ..."
# Each sets up all that it needs: a virtual environment, the Python packages, the native libraries.

PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
MAMBA ?= mamba-ssm==2.3.2.post1
VIDEO ?=
GPU_BUNDLE ?=
TENSORRT_INCLUDE_DIRS ?=

BIN := $(abspath $(VENV))/bin
CPP := $(wildcard plugins/*/*.cpp plugins/*/*.h plugins/*/*/*.cpp plugins/*/*/*.h)
CUDA := $(wildcard plugins/*/*.cu plugins/*/*.cuh)
CMAKE_FILES := $(wildcard plugins/CMakeLists.txt plugins/*/CMakeLists.txt plugins/cmake/*)
CMAKE := MAKEFLAGS= PATH="$(BIN):$$PATH" cmake
CTEST := PATH="$(BIN):$$PATH" ctest --output-on-failure -j$(shell nproc)
PIP := $(BIN)/python -m pip install --quiet --no-compile
PYTEST := $(BIN)/pytest --durations=20

.PHONY: docs results demo test integration wheel portability fuzz lint native-test emulation-test sanitize aarch64-test old-cpu-test \
        tensorrt-test cuda-compile cuda-release cuda12-compile cuda11-compile gpu-peers gpu-bundle python-test \
        ready native setup clean

demo:
	@$(MAKE) --no-print-directory -j2 native $(VENV)/.run
	@VMEXPORT=$(BIN)/vmexport PYTHON=$(BIN)/python VIDEO="$(VIDEO)" bash benchmarks/demo.sh

test: ready lint native-test python-test emulation-test tensorrt-test

# TENSORRT_INCLUDE_DIRS: headers of TensorRT 10 or 11, for the plugins in the libraries that NVIDIA publishes.
integration: export TENSORRT_INCLUDE_DIRS := $(TENSORRT_INCLUDE_DIRS)
integration: aarch64-test cuda-compile native setup
	$(PYTEST) -m "integration or compiled"

# The campaigns of tests/fuzz; FUZZ_SECONDS for each. make fuzz-video and so on: one of them.
FUZZ_SECONDS ?= 600
FUZZED := video sidecar onnx safetensors
fuzz: $(FUZZED:%=fuzz-%)
$(FUZZED:%=fuzz-%): fuzz-%: native setup
	$(BIN)/python tests/fuzz/fuzz_$*.py --seconds $(FUZZ_SECONDS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run -Werror $(CPP) $(CUDA)
	$(BIN)/mypy
	$(BIN)/actionlint

# The kernels under AddressSanitizer and UndefinedBehaviorSanitizer; the CUDA kernels on their emulation, which takes
# minutes, by themselves.
native-test: sanitize
	$(CTEST) --test-dir build/sanitize -LE emulation

emulation-test: sanitize
	$(CTEST) --test-dir build/sanitize -L emulation

sanitize: $(VENV)/.tools
	$(CMAKE) -S plugins -B build/sanitize -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DVMEXPORT_SANITIZE=ON \
	  -DVMEXPORT_BUILD_TESTS=ON -DVMEXPORT_ONNXRUNTIME=OFF -DVMEXPORT_CUDA=OFF
	$(CMAKE) --build build/sanitize

# The kernels and the ONNX Runtime library cross-compiled, the kernel tests under qemu-user.
aarch64-test: native
	@PATH="$(BIN):$$PATH" bash plugins/cmake/aarch64_test.sh build/aarch64

# The tests of the kernels and of both CPU libraries on emulated x86-64 processors without AVX and without AVX-512.
old-cpu-test: native setup
	@PATH="$(BIN):$$PATH" PYTHON=$(BIN)/python bash plugins/cmake/old_cpu_test.sh build/old-cpu

# The TensorRT plugins from headers alone, under the sanitizers: TENSORRT_INCLUDE_DIRS="dir1 dir2 ..." for several
# versions, one after the other. Where there are no headers it says so.
tensorrt-test: setup
	@PATH="$(BIN):$$PATH" sh plugins/cmake/tensorrt_test.sh build/tensorrt $(TENSORRT_INCLUDE_DIRS)

# The CUDA kernels for the two GPUs that the goals are written for (AGX Orin, H100 and H200): no GPU is needed, and
# where nvcc is missing CMake's report says so. All architectures: cuda-release.
cuda-compile: setup
	$(CMAKE) -S plugins -B build/cuda -G Ninja -DCMAKE_BUILD_TYPE=Release "-DVMEXPORT_CUDA_ARCHITECTURES=87;90"
	$(CMAKE) --build build/cuda --target vmexport_cuda

cuda-release: setup
	$(CMAKE) -S plugins -B build/cuda-release -G Ninja -DCMAKE_BUILD_TYPE=Release -DVMEXPORT_CUDA=ON
	$(CMAKE) --build build/cuda-release --target vmexport_cuda

# The same through older compilers, for JetPack 6 (CUDA 12) and JetPack 5.1 (CUDA 11.4; the compiler is 11.2). Not part
# of make test: they download about 100 MB and 660 MB, once.
cuda12-compile cuda11-compile: cuda%-compile: setup
	PYTHON=$(BIN)/python bash plugins/cmake/compile_cuda.sh build/cuda$* $*

# The source archive and, built from it, the wheel with the CPU libraries inside, in dist/.
wheel: setup
	rm -rf build/dist dist
	PATH="$(BIN):$$PATH" $(BIN)/python -m build --no-isolation --outdir build/dist
	PATH="$(BIN):$$PATH" $(BIN)/auditwheel repair --wheel-dir dist build/dist/*.whl
	cp build/dist/*.tar.gz dist/

# Pythons, install lines, runtimes, the wheel: fresh environments, and a table of what ran at the end.
portability: native setup wheel old-cpu-test
	TORCH="$(TORCH)" $(BIN)/pytest -n 2 --dist loadfile -p no:logging --tb=short tests/portability

# Several workers share the processors; pytest by itself uses one.
python-test: native setup
	$(PYTEST) -n auto --maxprocesses 4 --dist loadfile

native: build/native/.built

build/native/.built: $(CPP) $(CMAKE_FILES) $(wildcard models/*) | $(VENV)/.tools
	$(CMAKE) -S plugins -B build/native -G Ninja -DCMAKE_BUILD_TYPE=Release -DVMEXPORT_CUDA=OFF
	$(CMAKE) --build build/native
	$(CMAKE) --install build/native --prefix $(CURDIR)
	touch $@

# The generated tables of README.md and docs/, from the code and from benchmarks/results/.
docs: setup
	$(BIN)/python docs/generate.py

# Every script that writes results and needs no GPU, one after the other, then the README's tour and its pictures. Each
# wants a clean commit and a quiet machine; a missed goal (8) is told and the next one runs. The CUDA kernels' machine
# code is counted where nvcc is.
MEASURED := operator_cpu model_cpu function_body backward_cpu training_cpu rtx_build synthetic_accuracy
results: native
	! command -v nvcc >/dev/null || $(MAKE) cuda-release cuda-compile
	for script in $(MEASURED) $(if $(shell command -v nvcc),static_cuda issue_model); do \
	  $(BIN)/python benchmarks/$$script.py || [ $$? = 8 ] || exit 1; done
	$(BIN)/python docs/tour.py
	$(BIN)/python docs/generate.py

# The source only; its forward kernel is compiled where the GPU is. Never part of the repository.
gpu-peers: setup
	$(BIN)/python -m pip install --quiet setuptools wheel packaging
	MAMBA_SKIP_CUDA_BUILD=TRUE $(BIN)/python -m pip download --quiet --no-deps --no-build-isolation \
	  --no-binary mamba-ssm -d build/peers "$(MAMBA)"

# Everything for a machine with a GPU and without a network, in build/gpu-bundle: benchmarks/gpu_bundle.py says what.
# Downloads the PyTorch of that machine once, for its headers: 0.5 GB.
gpu-bundle: native gpu-peers
	PATH="$(BIN):$$PATH" $(BIN)/python benchmarks/gpu_bundle.py $(GPU_BUNDLE)

# What the tests need; compiling needs no PyTorch, so that both go on at the same time.
ready:
	@$(MAKE) --no-print-directory -j2 native sanitize setup

setup: $(VENV)/.ready

# Debian 12's pip does not know -C, which is how an editable installation leaves the compiling to us.
$(VENV)/.tools:
	PYTHON="$(PYTHON)" bash plugins/cmake/make_venv.sh "$(VENV)"
	$(PIP) "pip>=23.1"
	$(PIP) "cmake>=3.25" "ninja>=1.11"
	touch $@

# What the program needs. torch first and by itself, so that no other requirement chooses another build of it.
$(VENV)/.run: pyproject.toml | $(VENV)/.tools
	$(PIP) "$(TORCH)"
	$(PIP) "scikit-build-core>=0.11"
	$(PIP) --no-build-isolation -C wheel.cmake=false -e ".[cpu,train]"
	touch $@

$(VENV)/.ready: $(VENV)/.run
	$(PIP) --no-build-isolation -C wheel.cmake=false -e ".[cpu,train,rtx,dev]"
	touch $@

clean:
	rm -rf build demo "$(VENV)" vmexport/_native/*.so vmexport/_native/vmexport-run vmexport/_models
