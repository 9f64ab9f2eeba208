# Two targets are all that a newcomer needs: `make demo` and `make test`. Each does its own set-up.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= $(firstword $(foreach p,python3.13 python3.12 python3.11 python3,$(shell $(p) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $(p) 2>/dev/null)))
VENV := .venv
BIN := $(VENV)/bin
# Without compiled bytecode every command would start at half its speed.
unexport PYTHONDONTWRITEBYTECODE

CORE := $(VENV)/.core-ready
FULL := $(VENV)/.full-ready

.PHONY: help setup demo test slow lint format types docs bench bench-full check clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(BIN)/uv:
	@test -n "$(PYTHON)" || { echo "vta needs Python 3.11 or newer with venv: install it, or say make PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

# The demo needs no network package, so it does not wait for six gigabytes of torch.
$(CORE): pyproject.toml | $(BIN)/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -e .
	@$(BIN)/python -m compileall -q vta_cli
	@touch $@

$(FULL): pyproject.toml | $(BIN)/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -e '.[all]' --group dev
	@$(BIN)/python -m compileall -q vta_cli
	@touch $(CORE) $@

setup: $(FULL)  ## virtual environment with everything: networks, test tools
demo: $(CORE)  ## the main job from end to end on made pictures; IMAGES=DIR POS=DIR NEG=DIR for your own
	$(BIN)/vta demo $(if $(IMAGES),--images "$(IMAGES)") $(if $(POS),--pos "$(POS)") $(if $(NEG),--neg "$(NEG)")

test: $(FULL)  ## all tests but the slow ones
	$(BIN)/python -m pytest -q -m "not slow" -n auto --dist loadfile

slow: $(FULL)  ## statistical claims and large sizes
	$(BIN)/python -m pytest -q -m slow

lint: $(FULL)  ## style, spelling, import law
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m docs.generate_cli --check

format: $(FULL)  ## rewrite the code in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(FULL)  ## strict type check
	$(BIN)/mypy

docs: $(FULL)  ## write docs/cli.md from the commands' own help
	$(BIN)/python -m docs.generate_cli

bench: $(FULL)  ## quick benchmarks, a few minutes
	$(BIN)/python -m benchmarks --quick

bench-full: $(FULL)  ## all benchmarks at full size, an hour and a half
	$(BIN)/python -m benchmarks --full

check: lint types test  ## what has to pass before a commit

clean:  ## remove the environment, caches and what the demo made
	rm -rf $(VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
