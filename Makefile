PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A process that crashes ends it all: whoever took its place might crash or hang as well.
PYTEST := $(BIN)/python -m pytest -q --numprocesses 2 --dist loadscope --max-worker-restart 0

.PHONY: help demo test tests slow browser lint bench docs clean

help:  ## list what can be made
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' Makefile

$(VENV)/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(VENV)/installed  ## train a small classifier on real data and show the recorded run
	$(BIN)/python examples/digits_torch.py
	$(BIN)/tracklib show --project digits latest
	$(BIN)/python examples/digits_reload.py
	$(BIN)/tracklib artifacts lineage digits/classifier

test: $(VENV)/installed  ## style, types and every test but the slow ones
	$(MAKE) --jobs 2 lint tests

tests: $(VENV)/installed browser  ## every test but the slow ones
	$(PYTEST) -m 'not slow'

slow: $(VENV)/installed browser  ## the tests that take longer than ten seconds
	$(PYTEST) -m slow

browser:  ## see to it that there is a Chromium, in which tests look at charts and pages
	@command -v chromium chromium-browser google-chrome >/dev/null \
	  || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; } \
	  || echo "Tests of charts and pages will fail: install Chromium, as root with: apt-get install chromium" >&2

lint: $(VENV)/installed  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/installed  ## side by side with the peers, each in an environment of its own
	$(BIN)/python -m tests.benchmarks

docs: $(VENV)/installed  ## write the generated parts of the documentation
	$(BIN)/python docs/generate.py

clean:  ## remove the environment and what tools have left, but no recorded runs
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
