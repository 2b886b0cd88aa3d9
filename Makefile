# The one entry point. Needs Python >= 3.11 and make; everything else goes into .venv.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The first interpreter that runs and is new enough (a pyenv shim may exist and not run).
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo $$p; break; fi; done)

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
PYTEST := $(BIN)/python -m pytest -q
# Paths that exist: a checkout may not have all of them.
TYPED := $(wildcard src tests/typing)

.PHONY: help setup run test fmt map lint types sim crash big conformance browser bench docs

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.installed ## create .venv and install wakeful with its development tools (instant when up to date)

.venv/.installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "wakeful needs Python 3.11 or newer; set PYTHON=/path/to/python"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv, $$($(BIN)/python --version)"
	@$(PIP) hatchling editables
	@$(PIP) --no-build-isolation -e '.[dev]'
	@touch $@

.venv/.bench: .venv/.installed
	@$(PIP) --no-build-isolation -e '.[dev,bench]'
	@touch $@

.venv/.browser: .venv/.installed
	@$(PIP) --no-build-isolation -e '.[dev,browser]'
	@touch $@

run: setup ## serve the counter example on http://127.0.0.1:8787
	@exec $(BIN)/wakeful dev examples/counter/app.py

# The core is gated by its own tests alone, so the rest of the suite runs without a tracer, and on all
# cores: a module's tests stay together, as some share a server.
test: setup ## everything CI checks: format, lint, types, layers, all tests, full branch coverage of the core
	@$(MAKE) -j2 static core
	@$(PYTEST) -n auto --dist loadscope --ignore=tests/core

.PHONY: static core
static:
	@$(MAKE) lint
	@$(MAKE) types

core: setup
	@$(BIN)/coverage run --source=wakeful.core -m pytest -q tests/core
	@$(BIN)/coverage report --fail-under=100

map: setup ## write the tables of modules in MODULES.md from their docstrings
	@$(BIN)/python -m tests.module_map

fmt: setup map ## format the code, apply the safe lint fixes, write the map
	@$(BIN)/ruff check -q --fix-only .
	@$(BIN)/ruff format .

lint: setup ## check format, lint and the import layers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports --no-logo

types: setup ## check types (mypy --strict)
	@$(BIN)/mypy --strict $(TYPED)

sim: setup ## simulate whole nodes on virtual time (SEED=123456 replays one schedule)
	@$(BIN)/python -m wakeful.testing.sim $(if $(SEED),--seed $(SEED))

crash: setup ## kill a real server at random points and check what is on disk
	@$(BIN)/python -m tests.crash.run --rounds 50

big: setup ## measure one actor with a SQL database of 500 MB
	@$(BIN)/python -m tests.sql.big

conformance: setup ## run the same Durable Objects on Cloudflare's workerd and on wakeful, and compare (needs npm once)
	@$(BIN)/python -m conformance.run $(ROW)

browser: .venv/.browser ## try the chat example in Debian's chromium (installs it by apt if it is missing)
	@command -v chromium >/dev/null || { $(if $(filter-out 0,$(shell id -u)),sudo )apt-get update -qq && \
		$(if $(filter-out 0,$(shell id -u)),sudo )apt-get install -y -qq --no-install-recommends chromium; }
	@$(PYTEST) tests/browser

bench: .venv/.bench ## measure against the targets, next to other systems
	@$(BIN)/python -m bench.run

docs: setup ## run every example and check every name in the documentation
	@$(PYTEST) tests/docs
