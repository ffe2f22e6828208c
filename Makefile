# The Python of the environment that the README's test command creates; `make check PYTHON=python` uses another one.
PYTHON ?= .venv/bin/python

.PHONY: bench check cluster floors format fuzz lint load offline-wheels picture test torture

check: lint test

lint:
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	PYTHONPATH=. $(PYTHON) -c "from importlinter.cli import lint_imports_command; lint_imports_command()"

test:
	$(PYTHON) -m pytest

# Kills every kind of work, 300 times altogether, lets crowds of processes do it, fills disks under it (as root), and
# compares what it leaves; sends 150 signals to commands and to the explorer. In twenty minutes.
torture:
	$(PYTHON) tests/torture.py --crowds 4 --full 12 --kills 300 --signals 150

# The tests of stores, in an environment of their own: they need the extra `cluster`.
cluster:
	python3 -m venv .venv-cluster
	.venv-cluster/bin/pip install -q -c constraints.txt -e '.[dev,cluster-tests]'
	.venv-cluster/bin/python -m pytest tests/cluster

# Gives each reader of files and texts what nobody would write, for so many seconds; needs the extra `fuzz`.
SECONDS ?= 60

fuzz:
	PYTHONPATH=. $(PYTHON) tests/fuzz.py --seconds $(SECONDS)

# Drives the program for 20,000 random steps and asks it 20,000 queries; in hours, on an idle machine.
load:
	$(PYTHON) tests/load.py --steps 20000 --queries 20000

# Compares speed, memory and quality with the alternatives; needs the extra `bench` and an idle machine for half an hour.
bench:
	$(PYTHON) -m benchmarks all --json

# Draws the pictures in the README and in docs/methods.md.
picture:
	PYTHONPATH=. $(PYTHON) docs/picture.py

format:
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

# Collects the wheels of this project and of the packages in LACKS and ALSO, with their dependencies, for a machine that
# has torch, scipy, pandas and pyarrow but no network. Install there: pip install --no-index --find-links wheels infersent-tui
TARGET_PYTHON ?= 3.12
TARGET_ARCH ?= x86_64
LACKS ?= textual nltk numba diskcache filelock urllib3 bm25s PyStemmer click platformdirs charset-normalizer safetensors
WHEELS ?= wheels

offline-wheels:
	$(PYTHON) -m pip --version
	rm -rf build  # modules of an earlier version would be packed into the wheel
	mkdir -p $(WHEELS) && rm -f $(WHEELS)/*.whl
	$(PYTHON) -m pip wheel -q --no-deps -w $(WHEELS) .
	rm -rf build
	$(PYTHON) -m pip download -q -c constraints.txt -d $(WHEELS) --only-binary=:all: --implementation cp \
		--python-version $(TARGET_PYTHON) \
		$(foreach n,17 27 28 34,--platform manylinux_2_$(n)_$(TARGET_ARCH)) --platform manylinux2014_$(TARGET_ARCH) \
		$(LACKS) $(ALSO)
	@echo "$(WHEELS): $$(ls $(WHEELS) | wc -l) wheels for Python $(TARGET_PYTHON) on $(TARGET_ARCH); copy the folder, then:"
	@echo "  pip install --no-index --find-links $(WHEELS) infersent-tui"

# The tests with the oldest allowed version of every dependency, in an environment of its own. torch's oldest one is a
# CUDA build of gigabytes.
floors:
	python3 -m venv .venv-floors
	sed -n '/^dependencies/,/^]/s/.*"\([A-Za-z0-9-]*\)>=\([0-9.]*\)".*/\1==\2/p' pyproject.toml > .venv-floors/floors.txt
	.venv-floors/bin/pip install -q -c .venv-floors/floors.txt -e '.[dev]'
	.venv-floors/bin/python -m pytest
