PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: help install demo test check wheel clean

help: ## List the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 12

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

check: $(INSTALLED) ## Check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

wheel: $(INSTALLED) ## Build the sdist, and from it the wheel, into dist/
	$(BIN)/python -m build --no-isolation

clean: ## Remove what the other targets made, the environment included
	rm -rf $(VENV) build dist src/*.egg-info .mypy_cache .pytest_cache .ruff_cache
