# Everything here works on a fresh machine with Python 3.11 or newer; nothing is installed outside .venv.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
export OMP_NUM_THREADS ?= 1

.PHONY: setup demo test check format bench docs clean

setup: $(READY)

$(READY): pyproject.toml setup.py constraints.txt gyropilot/gyropilot.pth
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; try make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --upgrade pip setuptools wheel
	@# setuptools warns at length of every editable installation
	PYTHONWARNINGS=ignore $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-build-isolation --editable '.[dev,postgres]'
	@touch $(READY)

demo: setup  ## plan for a simulated cluster; writes demo-report/report.html and plan.json
	$(VENV)/bin/gyropilot demo --out demo-report

test: setup  ## all tests; those that need servers that are not installed skip and say so
	$(VENV)/bin/python -m pytest

check: setup  ## what must hold before each commit
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/python -m pytest

format: setup
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

bench: setup  ## side-by-side measurements; each prints one table and one ratio
	$(VENV)/bin/python -m benchmarks.ingest

docs: setup  ## the pages and pictures that are made from the code
	$(VENV)/bin/gyropilot config docs > docs/settings.md
	$(VENV)/bin/gyropilot demo --out demo-report >/dev/null
	cp demo-report/demand.svg docs/demand.svg

clean:
	rm -rf $(VENV) build dist *.egg-info demo-report .pytest_cache .mypy_cache .ruff_cache .hypothesis
