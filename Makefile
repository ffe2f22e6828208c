# The tools of the environment that the README's test command makes; `make check PYTHON=python` uses another.
PYTHON ?= .venv/bin/python

# Speed, memory and quality beside the alternatives; wants the extra `bench` and a quiet machine for half an hour.
.PHONY: bench check format lint test

check: lint test

lint:
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	PYTHONPATH=. $(PYTHON) -c "from importlinter.cli import lint_imports_command; lint_imports_command()"

test:
	$(PYTHON) -m pytest

bench:
	$(PYTHON) -m benchmarks all --json

format:
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .
