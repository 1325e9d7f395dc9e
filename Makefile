# `make up` and `make test` work on a fresh Debian with Python 3.11 to 3.13, Java 17 and Maven; on Ubuntu install Chrome first.

BIN := .venv/bin
JOBS ?= $(shell nproc)
ARGS ?=
PYTEST := $(BIN)/python -m pytest
TRAINING := tests/unit/model/training

.PHONY: help up test check setup setup-tests lint types imports unit training integration faults soak browser format constraints clean

help: ## what there is to make
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

up: setup ## the whole pipeline on one machine, with a made-up web and a crisis in it; ARGS="--for 60"
	$(BIN)/finsentry up --simulate $(ARGS)

test: setup-tests ## everything that is tested, with all it needs
	@$(MAKE) --no-print-directory check
	@$(MAKE) --no-print-directory training integration browser

check: setup-tests ## the fast part: linters, types, import contracts, unit tests
	@$(MAKE) --no-print-directory --jobs=$(JOBS) --output-sync=target lint types imports unit

setup: ## virtual environment, Kafka's jars and, as root on Debian, Prometheus and Alertmanager
	@deploy/setup.sh runtime

setup-tests:
	@deploy/setup.sh tests

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy

imports:
	$(BIN)/lint-imports --no-cache

unit:
	$(PYTEST) tests/unit --ignore=$(TRAINING) -n $(JOBS) -q

training: ## tiny networks that are trained, fetched and exported for real
	$(PYTEST) $(TRAINING) -n $(JOBS) -q

integration: ## real Kafka, Prometheus, Alertmanager
	$(PYTEST) tests/integration tests/faults -n $(JOBS) --dist loadfile --no-loadscope-reorder -q

faults: setup-tests ## the long version of tests/faults: 200,000 documents, 30 kills
	FAULTS=long $(PYTEST) tests/faults -q

soak: setup-tests ## thirty minutes at half load with a kill every minute; ARGS="--minutes 5"
	$(BIN)/python -m tests.benchmarks.soak $(ARGS)

browser: ## the console in Chromium
	$(PYTEST) tests/browser -q

format: ## lets ruff rewrite the code
	$(BIN)/ruff check --fix-only --exit-zero .
	$(BIN)/ruff format .

constraints: setup-tests ## renews the pinned versions; names, versions and hashes only
	@deploy/constraints.sh

clean: ## removes what was set up and made, but no data
	rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +
