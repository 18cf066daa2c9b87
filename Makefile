PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test quick lint bench docs clean

$(VENV)/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(VENV)/installed  ## train a small classifier on real data and show the recorded run
	$(BIN)/python examples/digits_torch.py
	$(BIN)/tracklib show --project digits latest

test: lint  ## lint, types and every test
	$(BIN)/python -m pytest -q

quick: $(VENV)/installed  ## the tests that take seconds
	$(BIN)/python -m pytest -q -m 'not slow'

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/installed  ## side by side with the peers, each in an environment of its own
	$(BIN)/python -m tests.benchmarks

docs: $(VENV)/installed  ## write the generated parts of the documentation
	$(BIN)/python docs/generate.py

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
