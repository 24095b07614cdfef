# One virtual environment for everything; each target installs what it needs the first time and is quick after that.
# PYTHON=python3.12 make demo      another interpreter (3.11 or newer)
# VENV=/tmp/env make test          another environment
# PYTEST_ARGS="tests/cli -x" make test
PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?=

RUN = $(VENV)/bin/python -m
INSTALL = $(RUN) pip install --quiet --disable-pip-version-check --retries 10 --timeout 120 -c constraints.txt -e
NEEDS = pyproject.toml constraints.txt

.PHONY: help demo test lint docs bench clean

help:
	@echo "make demo   train a small model on drawn animals, predict, track, evaluate, draw the result"
	@echo "make test   run the tests"
	@echo "make lint   ruff, pyright, import-linter"
	@echo "make docs   build the documentation into site/"
	@echo "make bench  measure the speed of start-up and of the hot paths"
	@echo "make clean  remove $(VENV) and built files"

demo: $(VENV)/.installed
	$(VENV)/bin/sleap-nn demo

test: $(VENV)/.installed-test
	@OMP_NUM_THREADS=1 $(RUN) pytest -n 2 --dist worksteal $(PYTEST_ARGS)

lint: $(VENV)/.installed-test $(VENV)/.installed-lint
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright --pythonpath $(VENV)/bin/python
	$(VENV)/bin/lint-imports

docs: $(VENV)/.installed-docs
	$(RUN) mkdocs build --strict

bench: $(VENV)/.installed-test $(VENV)/.installed-bench
	$(RUN) pytest benchmarks $(PYTEST_ARGS)
	$(RUN) benchmarks.input_pipeline
	$(RUN) benchmarks.first_step
	$(RUN) benchmarks.network
	$(RUN) benchmarks.predict
	$(RUN) benchmarks.render
	$(RUN) benchmarks.roi

clean:
	rm -rf $(VENV) build dist site

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with PYTHON=/path/to/python3.11 make ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(NEEDS) | $(VENV)/bin/python
	$(INSTALL) .
	@touch $@

$(VENV)/.installed-%: $(NEEDS) | $(VENV)/bin/python
	$(INSTALL) ".[$*]"
	@touch $@ $(VENV)/.installed
