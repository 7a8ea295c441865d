# make demo   train, predict, relax and evaluate on the shipped data
# make test   lint, type check and run the whole test suite
# Both make .venv first. `make help` lists the rest.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= runs/quickstart
WORKERS ?= 2

# Test workers and small models gain nothing from many threads each.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

PIP := $(BIN)/python -m pip
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_CONSTRAINT := constraints.txt

.PHONY: help demo test lint docs data peers clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    train, predict, relax and evaluate on the shipped data; HTML report in $(DEMO)"
	@echo "make test    lint, type check and run the whole test suite"
	@echo "make lint    ruff, mypy and the import contracts alone"
	@echo "make docs    build the documentation into site/"
	@echo "make data    make the shipped data again (about 20 minutes)"
	@echo "make peers   environments with mace-torch and torchmd-net, for the comparisons with them"
	@echo "make clean   remove what the other targets made"

demo: $(VENV)/.ready
	$(BIN)/eqcli run recipes/pipelines/quickstart.yaml -o $(DEMO)
	@echo
	@echo "Reports:"
	@find $(DEMO) -name '*.html' | sed 's/^/  /'

test: lint
	$(ONE_THREAD) $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

lint: $(VENV)/.ready-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.ready-test
	$(BIN)/python docs/generate.py
	$(BIN)/mkdocs build --strict

data: $(VENV)/.ready-test
	$(ONE_THREAD) $(BIN)/python data/make_molecules.py
	$(ONE_THREAD) $(BIN)/python data/make_diamond.py
	$(ONE_THREAD) $(BIN)/python data/make_intermetallics.py
	$(ONE_THREAD) $(BIN)/python data/make_small_molecules.py

# torch comes first and alone, so that its build is chosen before anything that depends on it.
$(VENV)/.ready: constraints.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) install torch
	$(PIP) install -e ".[report,crystals,molecules,docking,registration,cluster]"
	@touch $@

$(VENV)/.ready-test: $(VENV)/.ready
	$(PIP) install -e ".[test]"
	@touch $@

# mace-torch pins an old e3nn: it never shares an environment with this project.
peers: .venv-peers/.ready .venv-tensornet/.ready

.venv-peers/.ready: export PIP_CONSTRAINT :=
.venv-peers/.ready: constraints.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install "$$(grep '^torch==' constraints.txt)"
	.venv-peers/bin/python -m pip install "$$(grep '^torch==' constraints.txt)" mace-torch==0.3.16
	.venv-peers/bin/python tests/benchmarks/peer_mace.py reference .peers/mace
	@touch $@

.venv-tensornet/.ready: export PIP_CONSTRAINT :=
.venv-tensornet/.ready: constraints.txt
	$(PYTHON) -m venv .venv-tensornet
	.venv-tensornet/bin/python -m pip install "$$(grep '^torch==' constraints.txt)"
	.venv-tensornet/bin/python -m pip install "$$(grep '^torch==' constraints.txt)" torchmd-net==3.1.0
	.venv-tensornet/bin/python tests/benchmarks/peer_tensornet.py reference .peers/tensornet
	@touch $@

clean:
	rm -rf $(VENV) .venv-peers .venv-tensornet .peers $(DEMO) site build dist *.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
