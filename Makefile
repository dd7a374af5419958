# make setup: everything that the project needs, into .venv and the system · make demo: the whole way on the embedded
# default · make test: lint, types and tests · make clean: forget the demo's results
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: setup demo test lint clean

setup: $(READY)

# pyctcdecode 0.5.0 asks for numpy below 2 but runs with it: its dependencies are in pyproject.toml, without that bound
$(READY): pyproject.toml constraints.txt scripts/install_system_packages.sh scripts/build_kenlm.sh
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 10) <= v < (3, 13) or sys.exit("Python %d.%d found, 3.10 to 3.12 needed: make PYTHON=python3.12 …" % v)'
	scripts/install_system_packages.sh
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/pip install --quiet --constraint constraints.txt --no-deps pyctcdecode
	scripts/build_kenlm.sh
	touch $@

demo: $(READY)
	$(BIN)/python scripts/demo.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: $(READY) lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

clean:
	rm -rf demo_output
