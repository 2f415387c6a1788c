PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: help install demo test test-all table1-small bench bench-gpu check docs wheel clean

help: ## List the targets
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 14

install: $(INSTALLED) ## Make a virtual environment and install the package for development

$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: $(INSTALLED) ## Train on the drawn shoes for a few minutes, on any computer
	$(BIN)/munit-train

# One thread for each of two processes: tiny networks gain nothing from more.
test: $(INSTALLED) ## Run the tests, training included
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2

test-all: $(INSTALLED) ## Run all tests, those too that start processes or take long
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 -m ''

table1-small: $(INSTALLED) ## Try the comparison of methods in two minutes; its numbers say nothing
	out=$$(mktemp -d) && OMP_NUM_THREADS=1 $(BIN)/munit-benchmark table1 --small --out $$out && rm -r $$out

bench: $(INSTALLED) ## Time an iteration against the published one, on an idle CPU in 20 minutes
	$(BIN)/python -m benchmarks.step

bench-gpu: $(INSTALLED) ## The same on a CUDA device, in less than 10 minutes
	$(BIN)/python -m benchmarks.step --device cuda --json outputs/step_cuda.json

check: $(INSTALLED) ## Check format, lint, types, and which way imports run
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(INSTALLED) ## Build the site into build/docs; a warning is an error
	$(BIN)/sphinx-build -W --keep-going -d build/doctrees docs build/docs

wheel: $(INSTALLED) ## Build the sdist, and from it the wheel, into dist/
	$(BIN)/python -m build --no-isolation

clean: ## Remove what the other targets made, the environment included
	rm -rf $(VENV) build dist docs/reference/generated src/*.egg-info .mypy_cache .pytest_cache .ruff_cache
