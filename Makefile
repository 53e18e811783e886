# Two commands to start: `make quickstart` and `make test`. Everything is installed into .venv, at the versions of constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STORE := $(or $(TAILOR_STORE),mlruns)

.PHONY: quickstart test test-slow bench bench-searches lint types clean install

install: $(VENV)/installed

$(VENV)/installed: setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tailor needs Python 3.11 or later; run: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

quickstart: install
	$(BIN)/tailor search quickstart --store $(STORE)
	$(BIN)/tailor promote quickstart --to digits --store $(STORE)
	$(BIN)/tailor predict digits docs/pictures/digit.png --store $(STORE)
	@echo
	@echo "That was a search, a promotion and a prediction. Next:"
	@echo "  $(BIN)/tailor ui quickstart      compare its trials in MLflow's pages"
	@echo "  $(BIN)/tailor studies            see what else is shipped"
	@echo "  $(BIN)/tailor check fashion-mlp  look at a larger study before you run it"

test: install
	$(BIN)/python -m pytest -q -m "not slow" --durations=10

test-slow: install
	$(BIN)/python -m pytest -q -m slow --durations=10

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache

bench: install
	$(BIN)/python benchmarks/throughput.py --out benchmarks/RESULTS.md
	$(BIN)/python benchmarks/trials.py --out benchmarks/RESULTS.md

bench-searches: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python benchmarks/searches.py --epochs $(or $(EPOCHS),3) --out benchmarks/RESULTS.md
