# Each target sets up .venv when it is missing or out of date, and is quick when nothing has changed.
PYTHON ?= python3
BIN := .venv/bin
CONSTRAINTS := .ci/constraints.txt

.DEFAULT_GOAL := help
.PHONY: help start test check cover format bench compare chaos kill compatibility clean

help:            ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

start: .venv/.runtime ## start the server on its own paper gateway
	@$(BIN)/trademind server start

test: .venv/.dev ## run the tests
	@$(BIN)/pytest -q

check: .venv/.dev ## format, lint, types, import contracts, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q

cover: .venv/.dev ## run the tests and show which branches they miss
	@$(BIN)/pytest -q --cov --cov-report=term-missing:skip-covered

format: .venv/.dev ## format the code and mend what can be mended
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: .venv/.dev ## measure, and print the tables of docs/benchmarks.md
	@$(BIN)/python -m tests.bench

compare: .venv/.dev ## play twelve faults to TradeMind and to the design it replaces, and print what each does
	@$(BIN)/python -m tests.bench.side_by_side

chaos: .venv/.dev ## trade while the gateway is killed, hung and cut off, and check what was promised (SEED=7 SECONDS=120)
	@$(BIN)/python -m tests.chaos --seed $(or $(SEED),1) --seconds $(or $(SECONDS),600)

kill: .venv/.dev ## kill server and gateway while orders are placed, and check that each is there once (SEED=7 KILLS=100)
	@$(BIN)/python -m tests.kill --seed $(or $(SEED),1) --kills $(or $(KILLS),100)

compatibility: .venv/.dev ## try other people's programs on the paper gateway (installs them into .venv/compatibility)
	@$(BIN)/python -m tests.compatibility

clean:           ## remove the virtual environment and caches (not your paper account)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage

.venv/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "TradeMind needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv .venv || \
		{ echo "Python has no venv module; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(BIN)/pip install -q -c $(CONSTRAINTS) --upgrade pip
	@touch $@

.venv/.runtime: .venv/.python pyproject.toml $(CONSTRAINTS)
	@echo "Installing TradeMind into .venv …"
	@$(BIN)/pip install -q -c $(CONSTRAINTS) -e .
	@touch $@

.venv/.dev: .venv/.runtime
	@echo "Installing the development tools into .venv …"
	@$(BIN)/pip install -q -c $(CONSTRAINTS) -e '.[dev]' --group conformance
	@# Without its eventkit, which would overwrite ib_async's aeventkit: both are the module `eventkit`.
	@$(BIN)/pip install -q -c $(CONSTRAINTS) --no-deps ib_insync
	@touch $@
