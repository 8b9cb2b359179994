# Everything here sets itself up: a Python >= 3.11, make and a package index are all it needs.
#   PYTHON=/path/to/python3.12   which interpreter to use (else the first suitable one is found)
#   VENV=.venv                   where the virtual environment goes

VENV ?= .venv
BIN := $(VENV)/bin
export PYTHON VENV

.PHONY: help setup demo test check docs studio studio-types pictures bench bench-peers soak lock test-all clean

help:  ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

setup: $(VENV)/.dev  ## the virtual environment with all development tools

demo: $(VENV)/.runtime  ## train an agent on support tickets by textual gradients (simulated LM unless there is a key)
	@$(BIN)/python tutorials/quickstart.py $(ARGS)
	@$(BIN)/python -m scripts.studio hint

test: check  ## check, then every test
	@PYTHON=$(BIN)/python sh scripts/find-chromium >/dev/null
	@$(BIN)/python -m pytest -n 2 -q

check: $(VENV)/.dev  ## format, lint, types, layers, docs; the page built, its types, its logic
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m scripts.studio check
	$(BIN)/python -m pytest -q tests/test_layers.py tests/test_docs.py tests/test_exports.py

docs: $(VENV)/.dev  ## docs/api.md, docs/cli.md and the tutorials' notebooks, written anew from the code
	@$(BIN)/python -m scripts.docs
	@$(BIN)/python -m scripts.notebooks

studio: $(VENV)/.dev  ## the web page, unless it is up to date
	@$(BIN)/python -m scripts.studio build

studio-types: $(VENV)/.dev  ## the page's types of the server's API, written anew
	@$(BIN)/python -m scripts.studio types

pictures: $(VENV)/.dev studio  ## docs/images: the page as it looks, photographed
	@$(BIN)/python -m scripts.pictures $(ARGS)

bench: $(VENV)/.dev  ## the figures of benchmarks/RESULTS.md, measured again here
	@$(BIN)/python -m benchmarks $(ARGS)

bench-peers: $(VENV)/.dev  ## the same job by textgrad, gepa and dspy beside ours, each in its own environment under .venvs/
	@$(BIN)/python -m benchmarks --only peers $(ARGS)

soak: $(VENV)/.dev  ## the long tests
	@$(BIN)/python -m pytest -q -m soak

lock: $(VENV)/.dev  ## write requirements/*.txt anew from pyproject.toml
	@sh scripts/lock

test-all:  ## test on every Python from 3.11 to 3.13 that is installed
	@sh scripts/test-all

clean:  ## remove everything that was made
	rm -rf $(VENV) .venvs build dist studio/node_modules tellurio/server/static .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps: made once, made again when what they were made from changes.
$(VENV)/.runtime: requirements/runtime.txt requirements/page.txt pyproject.toml scripts/setup
	@sh scripts/setup runtime

$(VENV)/.dev: requirements/dev.txt requirements/page.txt pyproject.toml scripts/setup
	@sh scripts/setup dev
