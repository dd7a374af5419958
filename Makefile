# make demo    every step of the pipeline on speech that the project synthesises; installs only what it runs
# make setup   everything for work on your own data: demo's packages, export, LoRA, number grammars, server, pyctcdecode
# make serve   the demo's model as a server on this machine, with the contract of OpenAI's transcription API
# make test    lint, types and all tests; installs the test tools, with a browser for the pages
# make check   lint, types and the tests that are not slow: the loop while you change code
# make clean   removes the demo's results
#
# The virtual environment is .venv. Each level below installs its packages once and then writes a stamp file; a changed
# pyproject.toml or constraints.txt installs them again. Another interpreter: make PYTHON=python3.12 demo
PYTHON ?= python3
VENV_PYTHON := .venv/bin/python
INSTALL := $(VENV_PYTHON) -m pip install --quiet --constraint constraints.txt
PYTEST := $(VENV_PYTHON) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo setup serve test check lint style types clean

demo: .venv/.demo
	$(VENV_PYTHON) scripts/demo.py

setup: .venv/.setup

serve: .venv/.setup
	@[ -f demo_output/lm.nemo ] || $(VENV_PYTHON) scripts/demo.py
	$(VENV_PYTHON) scripts/serve.py model_path=demo_output/exp/xlsr_tiny_hi/checkpoints/xlsr_tiny_hi.nemo \
	    ctc_decoding.beam.ngram_lm_model=demo_output/lm.nemo

test: lint
	$(PYTEST) --durations=25

check: style
	$(VENV_PYTHON) -m mypy & types=$$!; $(PYTEST) -m "not slow"; tests=$$?; wait $$types && exit $$tests

lint: style types

style: .venv/.test
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m codespell_lib

types: .venv/.test
	$(VENV_PYTHON) -m mypy

clean:
	rm -rf demo_output

# Folders may have spaces in their names, hence `python -m pip` and no absolute path.
.venv/.demo: pyproject.toml constraints.txt scripts/install_system_packages.sh scripts/build_kenlm.sh
	@[ -w . ] || { echo "$$PWD: found a read-only folder, expected one that can be written; copy the project and run make there" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; v = sys.version_info[:2]; (3, 10) <= v < (3, 13) or sys.exit("PYTHON=$(PYTHON): found Python %d.%d, expected 3.10 to 3.12; run make PYTHON=python3.12 …" % v)'
	scripts/install_system_packages.sh
	"$(PYTHON)" -m venv .venv
	$(INSTALL) --editable .
	scripts/build_kenlm.sh
	@touch $@

# pyctcdecode 0.5.0 declares numpy<2 but works with numpy 2: its other dependencies are in pyproject.toml.
.venv/.setup: .venv/.demo
	$(INSTALL) --editable '.[export,lora,numbers,serve]'
	$(INSTALL) --no-deps pyctcdecode
	@touch $@

.venv/.test: .venv/.setup
	scripts/install_system_packages.sh tests
	$(INSTALL) --editable '.[dev]'
	@touch $@
