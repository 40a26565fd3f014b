# Every target sets up what it needs: a virtual environment with the versions of CONSTRAINTS.
# Python >= 3.11 and make are enough to start.

PYTHON ?= python3
CONSTRAINTS ?= constraints.txt
VENV ?= .venv$(patsubst constraints%,%,$(basename $(CONSTRAINTS)))
ARGS ?=

PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check
SET_UP := pyproject.toml $(CONSTRAINTS)
PAPER = $(PY) -W ignore benchmarks/paper.py --kinds "held out" --name reduced --splits 2

.DEFAULT_GOAL := help
.PHONY: help demo test lint format types doctest doc paper dev wheel clean
.DELETE_ON_ERROR:
.NOTPARALLEL:

help:  ## Say what the targets do
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do \
		printf 'make %-9s %s\n' "$$name" "$$text"; done
	@echo
	@echo 'VENV=$(VENV) is the environment that they use, PYTHON=$(PYTHON) makes it, ARGS goes to pytest, and CONSTRAINTS=$(CONSTRAINTS) says which versions.'

demo: $(VENV)/.installed-demo  ## Decompose two real data sets without a rank, beside other methods, and draw a figure
	MPLBACKEND=Agg $(PY) examples/plot_quickstart.py

test: $(VENV)/.installed-test  ## Run the tests
	OMP_NUM_THREADS=1 $(PY) -m pytest -n auto --maxprocesses 8 $(ARGS)

doctest: $(VENV)/.installed-test  ## Run the examples in the docstrings
	$(PY) -m pytest --doctest-modules tensorly_norank $(ARGS)

lint: $(VENV)/.installed-dev  ## Check rules, format and spelling
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m codespell_lib

format: $(VENV)/.installed-dev  ## Put the code into its format
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

types: $(VENV)/.installed-dev  ## Check the types
	$(PY) -m mypy

doc: $(VENV)/.installed-doc  ## Build the documentation in doc/_build/html, running the examples
	MPLBACKEND=Agg OMP_NUM_THREADS=1 $(PY) -m sphinx -b html -W --keep-going -d doc/_build/doctrees doc doc/_build/html

paper: $(VENV)/.installed-paper  ## Run a part of the paper's experiments (under 45 minutes on two cores) and report on it
	$(PAPER) digits --deep-splits 2
	$(PAPER) serology pines olivetti lfw "galaxies, paper" "crystals, paper" --deep-splits 0
	$(PY) benchmarks/report.py --paper reduced --to build/paper --show

wheel: $(VENV)/.installed-dev  ## Build the wheel in dist/
	$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .

dev: $(VENV)/.installed-dev  ## Set up everything that development needs

clean:  ## Remove what the other targets have built, the environment excepted
	rm -rf build dist doc/_build doc/auto_examples doc/modules/generated doc/paper doc/sg_execution_times.rst
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find tensorly_norank tests benchmarks examples doc -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment, and one stamp for each set of extras: made again when the requirements change.

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'Python 3.11 or newer is needed; "$(PYTHON)" is' \
			"$$($(PYTHON) --version 2>&1 || true)." \
			'Name another one, e.g. make PYTHON=python3.11 $(MAKECMDGOALS)' >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo '"$(PYTHON) -m venv" failed. On Debian and Ubuntu it needs the package python3-venv.' >&2; exit 1; }

$(VENV)/.installed-paper: EXTRAS := paper
$(VENV)/.installed-demo: EXTRAS := plot,progress
$(VENV)/.installed-test: EXTRAS := test
$(VENV)/.installed-doc: EXTRAS := doc
$(VENV)/.installed-dev: EXTRAS := dev

$(VENV)/.installed-%: $(SET_UP) | $(PY)
	$(PIP) install --quiet -c $(CONSTRAINTS) hatchling editables
	$(PIP) install --quiet -c $(CONSTRAINTS) --no-build-isolation -e '.[$(EXTRAS)]'
	@touch $@
