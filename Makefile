# Two commands to start: `make quickstart` and `make test`. Everything is installed into .venv, at the versions of constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STORE := $(or $(TAILOR_STORE),mlruns)

.PHONY: quickstart test test-slow test-faults test-faults-short soak postgres-check bench bench-searches bench-race bench-defaults \
	bench-first-look bench-promotions lint types types-links docs reference pictures audit package package-check clean install

install: $(VENV)/installed

$(VENV)/installed: setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tailor needs Python 3.11 or later; run: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

quickstart: install
	$(BIN)/tailor search quickstart --store "$(STORE)"
	$(BIN)/tailor promote quickstart --to digits --store "$(STORE)"
	$(BIN)/tailor predict digits docs/pictures/digit.png --store "$(STORE)"
	@echo
	@echo "That was a search, a promotion and a prediction. Next:"
	@echo "  $(BIN)/tailor ui quickstart      compare its trials in MLflow's pages"
	@echo "  $(BIN)/tailor studies            see what else is shipped"
	@echo "  $(BIN)/tailor check fashion-mlp  look at a larger study before you run it"

# Two processes share the files of tests, and each keeps what it has imported, and the process that workers are forked from, warm.
AT_ONCE := --numprocesses 2 --dist loadfile --no-loadscope-reorder

test: install
	$(BIN)/python -m pytest -q -m "not slow and not faults" $(AT_ONCE) --durations=10

test-slow: install
	$(BIN)/python -m pytest -q -m "slow and not faults" --timeout 900 $(AT_ONCE) --durations=10

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The rooms under the one name that they are installed by, for what finds imports by their paths.
types-links: install
	@mkdir -p build/types/tailor && ln -sfn ../../../tailor/__init__.py build/types/tailor/ && ln -sfn ../../../tailor/py.typed build/types/tailor/
	@for room in search models experiments; do ln -sfn ../../../$$room build/types/tailor/$$room; done

types: types-links
	$(BIN)/mypy

# The documentation's site, in build/site.
docs: types-links
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# The tables of docs/study.md, of the declarations in search/study/sections.py.
reference: install
	$(BIN)/python -m tailor.search.study.reference docs/study.md

# The pictures of README and docs, of a real search; needs Debian's chromium and chromium-driver, and TAILOR_DATA.
pictures: install
	$(BIN)/python tests/pictures.py

audit: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pip-audit
	$(BIN)/pip-audit --progress-spinner off --skip-editable

package: install
	rm -rf dist
	$(BIN)/python -m build

package-check: package
	PYTHON="$(PYTHON)" tests/package_check.sh

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache

test-faults: install
	$(BIN)/python -m pytest -q -m faults --durations=10

test-faults-short: install
	TAILOR_FAULTS=short $(BIN)/python -m pytest -q -m faults --durations=10

soak: install
	$(BIN)/python tests/soak.py --minutes $(or $(MINUTES),10)

postgres-check: install
	$(BIN)/python -m pytest -q tests/fault_tests/test_postgres_away.py tests/experiments_tests/test_postgres.py

bench: install
	$(BIN)/python benchmarks/throughput.py --out benchmarks/RESULTS.md
	$(BIN)/python benchmarks/trials.py --out benchmarks/RESULTS.md
	$(MAKE) bench-searches EPOCHS=3
	$(MAKE) bench-searches EPOCHS=15
	$(MAKE) bench-defaults
	$(MAKE) bench-race
	$(MAKE) bench-promotions

bench-defaults: install
	$(BIN)/python benchmarks/defaults.py --out benchmarks/RESULTS.md

bench-first-look: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python benchmarks/first_look.py choose --out benchmarks/RESULTS.md
	$(BIN)/python benchmarks/first_look.py check --looks 1 5 --out benchmarks/RESULTS.md

bench-promotions: install
	$(BIN)/python benchmarks/promotions.py --out benchmarks/RESULTS.md

bench-race: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python benchmarks/race.py --out benchmarks/RESULTS.md

bench-searches: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python benchmarks/searches.py --epochs $(or $(EPOCHS),3) --out benchmarks/RESULTS.md
