# The commands of this project; README.md says what each is for.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:

# Without cached bytecode every process would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
BIN := .venv/bin
# Two workers more than two processors need: those with the running Airflow and with other servers mostly wait for them.
ALL := -n 4 --dist loadfile --hypothesis-profile=thorough
FAST := -m "not slow and not servers" -n 2

.PHONY: help setup demo up test fast lint format requirements bench screenshots clean

help: ## list the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:[^#]*## /\t/' | expand -t 16

setup: ## make .venv with the pinned dependencies (only what is missing)
	@scripts/setup.sh "$(PYTHON)"

demo: setup ## a sample ledger, real Airflow runs, the files checked, everything stopped
	@$(BIN)/python -m include.orchestration.demo

up: setup ## Airflow in the foreground, for the browser
	@exec $(BIN)/python -m include.orchestration.up

test: setup ## lint, types, layers and every test
	@scripts/programs.sh
	scripts/node_programs.sh
	scripts/extra.sh spark
	scripts/extra.sh dialects
	make --no-print-directory lint & lint=$$!
	$(BIN)/python -m pytest $(ALL) && tests=0 || tests=$$?
	wait $$lint || { echo 'test: lint has found something, see above' >&2; exit 1; }
	exit $$tests

fast: setup ## the tests that start no process and no server: about a minute
	@$(BIN)/python -m pytest $(FAST) -q

lint: setup ## ruff, mypy, import-linter
	@$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: setup ## let ruff write the format
	@$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

requirements: setup ## compile requirements*.txt from requirements*.in
	@for list in requirements requirements-spark; do
		$(BIN)/uv pip compile $$list.in -o $$list.txt --generate-hashes --universal \
			--python-version 3.11 --no-emit-index-url --no-annotate --custom-compile-command 'make requirements'
	done
	$(BIN)/uv pip compile requirements-dialects.in -o requirements-dialects.txt --generate-hashes --no-deps \
		--python-version 3.11 --no-emit-index-url --no-annotate --custom-compile-command 'make requirements'

bench: setup ## this pipeline beside a plain pandas one, on PostgreSQL
	@$(BIN)/python -m tests.benchmarks

screenshots: setup ## write docs/images/*.png from a running Airflow
	@$(BIN)/python -m tests.browser.screenshots docs/images

clean: ## remove what was made: .venv, var, caches
	@rm -rf .venv var .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
