# make run: install and open the page.  make test: install and run the tests.
PYTHON ?= python3
VENV := .venv/bin/python

.PHONY: run install dev test check format bench clean

run: install
	$(VENV) app.py serve $(ARGS)

install:
	@$(PYTHON) scripts/install.py

dev:
	@$(PYTHON) scripts/install.py --dev

test: dev
	$(VENV) -m pytest

check: dev
	$(VENV) -m ruff format --check .
	$(VENV) -m ruff check .
	$(VENV) -m mypy
	.venv/bin/lint-imports
	$(VENV) -m pytest

format: dev
	$(VENV) -m ruff format .
	$(VENV) -m ruff check --fix .

bench: dev
	$(VENV) -m tests.bench.engine

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
