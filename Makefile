# Everything a person does with Trivet. `make` alone lists it.

PYTHON ?=
PYTEST_ARGS ?=
ALL ?=
VENV := $(CURDIR)/.venv
STAMP := $(VENV)/.trivet
export PATH := $(VENV)/bin:$(PATH)
export VIRTUAL_ENV := $(VENV)
.DEFAULT_GOAL := help
.PHONY: help setup repro compare test mutate lint clean lock

help: ## list these commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: $(STAMP) ## install everything into .venv (does nothing when it is up to date)
	@:

$(STAMP): pyproject.toml requirements.lock scripts/install.py
	@scripts/venv "$(VENV)" "$(PYTHON)"
	@python scripts/install.py
	@touch $@

repro: setup ## run the pipeline; ends with the path of the report and the headline figures
	@dvc repro || { echo "Stopped. Run 'make repro' again to continue where it was."; exit 1; }
	@python scripts/headline.py

compare: setup ## show this run beside earlier ones and experiments, in few columns
	@dvc exp show --drop '(conf|data|pipelines|results|scripts|src)/.*'

test: setup ## run the tests (PYTEST_ARGS="tests/test_space.py" for some, PYTEST_ARGS="-m 'not slow'" for the quick ones)
	@OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= pytest -n 3 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

mutate: setup ## change a package's code at random places, one at a time: does a test notice? (PACKAGE=diagnosis SAMPLE=50 SEED=0)
	@nice python scripts/mutate.py $(or $(PACKAGE),diagnosis) --sample $(or $(SAMPLE),50) --seed $(or $(SEED),0)

lint: setup ## check style, formatting and types
	@ruff check . && ruff format --check . && mypy

clean: ## remove caches, single runs and sweeps in progress (keeps results, data, what git tracks, and the only copy of a result; ALL=1 does not)
	@$(or $(PYTHON),python3) scripts/clean.py $(if $(ALL),--all)

lock: setup ## resolve requirements.lock anew from pyproject.toml
	@python scripts/lock.py
