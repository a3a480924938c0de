# The entry points of the project. Every target sets up what it needs in .venv itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

# Files of tests side by side, each in one process: those of a file share a Ray or an S3 server; the longest come first. More than four Rays at
# once take more memory than they save time.
PYTEST := $(BIN)/pytest -n logical --maxprocesses 4 --dist loadscope --no-loadscope-reorder

.PHONY: help demo check test coverage chaos fuzz bench clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[demo]'
	@touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[demo,docs,heif,http,models,plot,train,dev]'
	@touch $@

demo: $(VENV)/demo.stamp  ## install and upscale real photographs on a local Ray, into demo-output/
	$(BIN)/python jobs/demo.py demo-output

check: $(VENV)/dev.stamp  ## format, lint, types, import contracts, fast tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) -q -m 'not slow'

test: $(VENV)/dev.stamp  ## install and run everything: `check`'s linters and all tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) --durations 30

coverage: $(VENV)/dev.stamp  ## run the fast tests and tell which lines of the package none of them runs
	$(PYTEST) -q -m 'not slow' --cov --cov-report term

chaos: $(VENV)/dev.stamp  ## kill, cut off and overload runs at full size: hours
	$(BIN)/pytest tests/chaos tests/sequences --chaos full

fuzz: $(VENV)/dev.stamp  ## take mutated images through for half an hour, findings into fuzz-findings/; then 2,000 changed documents
	$(BIN)/python -m tests.fuzz --minutes 30
	$(BIN)/python -m tests.fuzz.documents --count 2000

bench: $(VENV)/demo.stamp  ## measure subnets, the pipeline against its parts, and one giant (50 GB of disk)
	$(BIN)/python benchmarks/pipeline.py
	$(BIN)/python benchmarks/large_images.py

clean:  ## remove the virtual environment, caches and demo output
	rm -rf $(VENV) demo-output fuzz-findings .coverage .coverage.* build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
