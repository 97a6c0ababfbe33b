# Everything runs in its own environment, made from nothing on first use.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint bench gpu-check clean

# The runtime alone: no torch.
$(VENV)/runtime: pyproject.toml CMakeLists.txt constraints.txt $(shell find kernels -type f)
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	$(PIP) --editable .
	touch $@

# What the tests need besides: torch, onnx, ONNX Runtime, pytest.
$(VENV)/tests: $(VENV)/runtime
	$(PIP) torch
	$(PIP) --editable '.[cpu,train,export,test,dev]'
	touch $@

demo: $(VENV)/runtime
	$(BIN)/python examples/demo.py --output demo

# In two processes, each of which takes whole files. JOBS=0: in one.
JOBS ?= 2
test: $(VENV)/tests
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile

lint: $(VENV)/tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/clang-format --dry-run --Werror $$(git ls-files '*.h' '*.cpp' '*.cu' '*.cuh')

# The README's figures: native kernels against a copy; srsdk beside what a user would pick instead
# (SRSDK_DATA: a folder with data/ and peers/). BENCH: options, for instance "--rounds 5 --resume".
bench: $(VENV)/tests
	$(PIP) matplotlib
	$(BIN)/python -m tests.benchmarks.kernels
	$(BIN)/python -m tests.benchmarks.run $(BENCH)
	$(BIN)/python -m tests.benchmarks.scaling
	$(BIN)/python -m tests.benchmarks.faces
	$(BIN)/python -m tests.benchmarks.live

# On a machine with an NVIDIA GPU: build with CUDA, run tests/gpu, measure; see tests/benchmarks/gpu.
OUT ?= gpu-check
# QUICK=1: four minutes, with srsdk as it is installed.
gpu-check: $(VENV)/tests
	$(BIN)/python -m tests.benchmarks.gpu $(if $(QUICK),--quick) $(OUT)

clean:
	rm -rf build dist demo $(VENV)
