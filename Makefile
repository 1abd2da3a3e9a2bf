# One venv, made from nothing but Python. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
# Three processes for two cores, as some tests wait for others that they start. A test file's fixtures are mostly made
# once, since each process takes a run of neighbours.
PARALLEL := -n $(shell $(PYTHON) -c "import os; print(min(6, 3 * os.cpu_count() // 2))") --dist worksteal

# Tests start many processes; without its bytecode each one compiles everything again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test check format soak interop bench bench-ingest bench-soak card clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(VENV)/.run: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[collector,demo]"
	@touch $@

# Where there is no C compiler the collector does without; this never fails.
$(VENV)/.compiled: $(VENV)/.run $(wildcard collector/compiled/*.c collector/compiled/*.h)
	$(BIN)/python collector/compiled/build.py
	@touch $@

$(VENV)/.dev: $(VENV)/.run $(VENV)/.compiled
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev
	@touch $@

run: $(VENV)/.run $(VENV)/.compiled  ## run the demo pipeline against a collector and keep collecting
	$(BIN)/python -m examples.demo

test: $(VENV)/.dev  ## run the tests
	$(PYTEST) $(PARALLEL)

check: $(VENV)/.dev  ## format check, lint, types, import contracts, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) $(PARALLEL)

soak: $(VENV)/.dev  ## the long forms of kills, faults and fuzzing
	$(PYTEST) -m soak

interop: $(VENV)/.dev  ## unchanged apps of other projects' SDKs, in an environment per case; a real Prometheus, Jaeger, Grafana, Chromium where they can be had
	$(PYTEST) -m interop tests/interop tests/dashboards tests/browser

bench: $(VENV)/.dev  ## what the app half costs, beside its peers, in one run
	$(BIN)/python -m benchmarks.app_overhead

bench-ingest: $(VENV)/.dev  ## what a received span costs, beside other collectors; installs them, takes half an hour
	$(BIN)/python -m benchmarks.ingest

bench-soak: $(VENV)/.dev  ## sustained load with readers and kills, reconciled to the span and the cent
	$(BIN)/python -m benchmarks.soak

card: $(VENV)/.dev  ## compile the shipped rate card from its price catalogues
	$(BIN)/python -m collector.catalogue.build
	$(BIN)/python -m collector.price

format: $(VENV)/.dev  ## format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove the venv and caches
	rm -rf $(VENV) build/benchmarks .interop .mypy_cache .ruff_cache .import_linter_cache
