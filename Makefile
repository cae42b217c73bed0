# make run: install and open the page.  make test: the tests a change is tried with, in minutes.
# make check: everything a change must pass.
PYTHON ?= python3
VENV := .venv/bin/python
# What the tests start is compiled once, not by each of a hundred processes.
export PYTHONDONTWRITEBYTECODE =
# A file stays in one process, and with it its servers and workers.
PYTEST := $(VENV) -m pytest -n 2 --dist loadfile

.PHONY: run install dev test thorough real lint check format bench model embedder clean

run: install
	$(VENV) app.py serve $(ARGS)

install:
	@$(PYTHON) scripts/install.py

dev:
	@$(PYTHON) scripts/install.py --dev

test: dev
	$(PYTEST) -m "not thorough"

thorough: dev
	$(PYTEST) -m "thorough or hypothesis" --hypothesis-profile thorough

# On real weights, which are fetched into REAL (1.6 GB) unless they are there.
REAL ?= build/real
REAL_TESTS ?= real
real: dev
	$(VENV) -m tests.real.fetch $(REAL)
	KAJOGAKI_REAL_MODELS=$(abspath $(REAL)) $(VENV) -m pytest -m "$(REAL_TESTS)"

lint: dev
	$(VENV) -m ruff format --check .
	$(VENV) -m ruff check .
	$(VENV) -m mypy
	.venv/bin/lint-imports

check: lint test thorough

format: dev
	$(VENV) -m ruff format .
	$(VENV) -m ruff check --fix .

bench: dev
	$(VENV) -m tests.bench.engine

# The built-in language model, from CORPUS (ja-docs.jsonl.xz, jaquad-train.jsonl.xz); goes on where
# it was stopped. Minutes on a GPU, days without.
CORPUS ?= corpus
model: dev
	$(VENV) -m training.language_model.train --corpus $(CORPUS) --out build/model --resume
	$(VENV) -m training.language_model.train --corpus $(CORPUS) --out build/talk --resume \
	  --talk build/model/model.safetensors --length 512 --rows 4 --steps 260
	$(VENV) -m training.language_model.export --weights build/talk/model.safetensors
	$(VENV) -m training.language_model.evaluate --corpus $(CORPUS)

# The built-in embedder, from CORPUS (jaquad-train.jsonl.xz, ja-docs.jsonl.xz) and EDICT.
EDICT ?= /usr/share/edict/edict
embedder: dev
	nice -n 10 $(VENV) -m training.embedder.train --corpus "$(CORPUS)" --edict "$(EDICT)"
	nice -n 10 $(VENV) -m training.embedder.evaluate --corpus "$(CORPUS)" --edict "$(EDICT)" --choose

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
