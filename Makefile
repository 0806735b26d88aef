# The verbs of the project. `make demo` and `make test` need nothing before them but python3.

PYTHON ?= python3
DATA ?= mnist
MODEL ?= data/mnist.keras
STORE ?= data/mnist.h5
# Another store, which `make soak` makes, puts in the place of STORE and removes.
OTHER := data/soak.h5
# The same network after one epoch, which pictures of Compare show beside STORE.
EARLY := data/mnist-1-epoch.h5
OUT ?= data/export
FIGURES ?= data/figures
PORT ?= 8050
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_DEV := $(VENV)/.ready-dev
# The newest h5py, which TensorFlow does not allow yet, and no TensorFlow: as a viewer has it.
VIEWER := .venv-viewer
READY_VIEWER := $(VIEWER)/.ready
VIEWER_H5PY := 3.16.0
# What lints and tests the dashboard's scripts; without npm, `make check` says that it did not.
SCRIPTS := tests/js
# A module of tests stays in one process, because its tests share models and stores.
JOBS ?= auto
PYTEST = $(BIN)/pytest --numprocesses=$(JOBS) --maxprocesses=4 --dist=loadfile --no-loadscope-reorder
# `make check COVERAGE=1` measures what the tests reach, but for slow ones and those in a browser. A
# total that fails would be met by tests that look at nothing, so none does: the ten files that are
# reached least are printed. Measured tests take 1.26 (Keras) to 1.34 (fast ones) times the CPU, so
# CI does not.
ifdef COVERAGE
MEASURED := --cov --cov-report=
endif
# What writes and audits locks/: no other verb needs it.
TOOLS := .venv-tools
READY_TOOLS := $(TOOLS)/.ready
READY_SCRIPTS := $(SCRIPTS)/node_modules/.ready
NPM := $(shell command -v npm)

# What is imported is compiled then; to compile all there is took half of the time.
INSTALL := install --quiet --no-compile
# Every file that is fetched has a SHA-256 in locks/, and none of them runs code to be installed.
LOCKED := $(INSTALL) --require-hashes --no-deps --only-binary=:all:
# The project itself, built with what locks/ brought.
ITSELF := $(INSTALL) --no-deps --no-build-isolation -e .
# Python 3.11 brings pip 23 and setuptools 65, for which there are advisories.
PIPS := pip>=26,<27 setuptools>=84,<85
BUILD := hatchling>=1.27,<2 editables>=0.5,<1
LOCK = $(TOOLS)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-annotate --no-header --no-emit-index-url
each_line = printf '%s\n' $(foreach word,$(1),'$(word)')

.DEFAULT_GOAL := help
.PHONY: help setup demo train capture export serve figures test quick check lint scripts bench soak docs docs-pictures lock audit clean

help: ## say what each verb does
	@echo "Feature Map Dashboard: make VERB [DATA=mnist|FILE.npz] [MODEL=…] [STORE=…] [OUT=…] [ARGS=…]"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 16

setup: $(READY) ## make .venv with all that the other verbs need

demo: $(STORE) ## train, capture, verify and open the dashboard (HEADLESS=1: see that it answers)
ifdef HEADLESS
	$(BIN)/fmdash serve $(STORE) --check --port 0
	$(BIN)/fmcore verify $(STORE) --model $(MODEL) --data $(DATA)
else
	@$(BIN)/fmcore verify $(STORE) --model $(MODEL) --data $(DATA)
	$(BIN)/fmdash serve $(STORE) --port $(PORT)
endif

train: $(READY) ## train the tutorial's network on DATA and save it as MODEL
	$(BIN)/fmcore train --data $(DATA) --out $(MODEL) $(ARGS)

capture: $(READY) ## run the test set of DATA through MODEL and write STORE
	$(BIN)/fmcore capture $(MODEL) --data $(DATA) --out $(STORE) $(ARGS)

export: $(READY) ## write the arrays of STORE to OUT, with a manifest
	$(BIN)/fmcore export $(STORE) --out $(OUT) $(ARGS)

serve: $(READY) ## open the dashboard of STORE
	$(BIN)/fmdash serve $(STORE) --port $(PORT) $(ARGS)

figures: $(READY) ## draw the feature maps of one sample with matplotlib into FIGURES
	$(BIN)/fmcore figure $(STORE) --out $(FIGURES) --force $(ARGS)

test: $(READY_DEV) $(READY_VIEWER) ## run the tests, some at the same time (JOBS=0: one after the other)
	$(PYTEST) $(ARGS)

quick: lint ## lint, and the tests without Keras, a browser or a second environment: a minute
	$(PYTEST) -m 'not (keras or browser or viewer or slow)' $(ARGS)

check: scripts lint $(READY_VIEWER) ## format, lint, types, import contracts, tests: what CI runs
	$(PYTEST) $(MEASURED)
ifdef COVERAGE
	@$(BIN)/coverage report --sort=cover | sed -n '1,12p;$$p'
endif
ifndef NPM
	@$(NO_NPM)
endif

lint: $(READY_DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

ifdef NPM
scripts: $(READY_SCRIPTS)
	npm --prefix $(SCRIPTS) run --silent lint
	npm --prefix $(SCRIPTS) run --silent test
else
NO_NPM := { echo "*** The dashboard's scripts were NOT linted or tested: npm is missing." \
  "Node.js 18.18 or newer is needed; on Debian and Ubuntu: apt install npm" >&2; \
  test "$$CI" != true; }
scripts:
	@$(NO_NPM)
endif

bench: $(READY_DEV) ## measure capture, images of files, chunks, memory, deep stores, the server and its pages on this machine (ARGS=--quick: try that it runs)
	$(BIN)/python tests/benchmarks $(ARGS)

ifeq ($(filter --quick,$(ARGS)),)
soak: $(READY_DEV) $(READY_VIEWER) $(STORE) ## kill captures, fill disks, flip bits, many people at a server (two hours; ARGS=--quick: one minute)
	$(BIN)/fmcore capture $(MODEL) --data $(DATA) --out $(OTHER) --policy '*=float16' --force
	status=0; \
	$(BIN)/python tests/soak --store $(STORE) --other $(OTHER) $(ARGS) || status=1; \
	rm $(OTHER); \
	SOAK=1 $(PYTEST) -o faulthandler_timeout=0 -m 'slow or hypothesis or browser or share' || status=1; \
	SOAK=1 $(MAKE) scripts || status=1; \
	exit $$status
else
soak: $(READY_DEV) $(READY_VIEWER)
	$(BIN)/python tests/soak $(ARGS)
endif

docs: $(READY) ## write the pages that repeat the code: docs/statistics.md, the lists of FORMAT.md and the tutorial
	$(BIN)/python -m tools.docs

docs-pictures: $(READY_DEV) $(STORE) $(EARLY) ## take the pictures of README and docs anew, of STORE, in Chromium
	$(BIN)/python -m tools.pictures $(STORE) $(EARLY)

lock: $(READY_TOOLS) ## write locks/ anew, from pyproject.toml and constraints.txt
	@$(call each_line,$(PIPS)) | $(LOCK) - --upgrade -o locks/pip.txt
	@printf 'uv\npip-audit\n' | $(LOCK) - --upgrade -o locks/tools.txt
	@$(call each_line,$(BUILD)) > $(TOOLS)/build.in
	@{ grep -v '^h5py==' constraints.txt; echo "h5py==$(VIEWER_H5PY)"; } > $(TOOLS)/viewer.in
	$(LOCK) pyproject.toml $(TOOLS)/build.in -c constraints.txt --extra train --extra dashboard \
	  --extra figures -o locks/setup.txt
	$(LOCK) pyproject.toml $(TOOLS)/build.in -c constraints.txt --extra dev -o locks/dev.txt
	$(LOCK) pyproject.toml $(TOOLS)/build.in -c $(TOOLS)/viewer.in --extra dashboard \
	  -o locks/viewer.txt

audit: $(READY_TOOLS) ## ask OSV, the service of advisories, about every library in locks/
	@rm -f $(TOOLS)/audit.txt
	@$(TOOLS)/bin/pip-audit --vulnerability-service osv --disable-pip --require-hashes \
	  --progress-spinner off --output $(TOOLS)/audit.txt -r locks/dev.txt -r locks/pip.txt \
	  2> $(TOOLS)/audit.log; status=$$?; \
	if [ -s $(TOOLS)/audit.txt ]; then cat $(TOOLS)/audit.txt; exit $$status; fi; \
	tail -n 1 $(TOOLS)/audit.log >&2; \
	if grep -qiE 'connect|resolve|timed out|proxy|403' $(TOOLS)/audit.log; then \
	  echo "*** NOTHING WAS AUDITED: the service of advisories cannot be reached" >&2; \
	else exit $$status; fi

clean: ## remove the environments and caches; models, stores and exports stay
	rm -rf $(VENV) $(VIEWER) $(TOOLS) $(SCRIPTS)/node_modules .coverage .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find fmcore dashboard tests -name __pycache__ -prune -exec rm -rf {} +

# What the demo makes is made once, and never over what is there; `make train ARGS=--force`, then
# `make capture ARGS=--force`, make it anew.
$(MODEL): | $(READY)
	$(BIN)/fmcore train --data $(DATA) --out $(MODEL)

$(EARLY): | $(READY)
	$(BIN)/fmcore train --data $(DATA) --epochs 1 --out $(EARLY:.h5=.keras)
	$(BIN)/fmcore capture $(EARLY:.h5=.keras) --data $(DATA) --out $(EARLY)

$(STORE): | $(MODEL) $(READY)
	$(BIN)/fmcore capture $(MODEL) --data $(DATA) --out $(STORE)

$(READY): pyproject.toml locks/setup.txt locks/pip.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
	  echo "Python 3.11, 3.12 or 3.13 is needed; $(PYTHON) is $$($(PYTHON) --version)." \
	    "Name another one: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "Python's venv module is missing; on Debian and Ubuntu: apt install python3-venv" >&2; \
	  exit 1; }
	@echo "Installing into $(VENV): about 1 GB to fetch with TensorFlow, some minutes at most"
	@$(BIN)/python -m pip $(LOCKED) -r locks/pip.txt
	@$(BIN)/python -m pip $(LOCKED) -r locks/setup.txt
	@$(BIN)/python -m pip $(ITSELF)
	@touch $@

$(READY_DEV): $(READY) locks/dev.txt
	@echo "Installing what tests and checks need into $(VENV)"
	@$(BIN)/python -m pip $(LOCKED) -r locks/dev.txt
	@touch $@

$(READY_VIEWER): pyproject.toml locks/viewer.txt locks/pip.txt
	@echo "Installing the dashboard alone, without TensorFlow, into $(VIEWER)"
	@$(PYTHON) -m venv $(VIEWER)
	@$(VIEWER)/bin/python -m pip $(LOCKED) -r locks/pip.txt
	@$(VIEWER)/bin/python -m pip $(LOCKED) -r locks/viewer.txt
	@$(VIEWER)/bin/python -m pip $(ITSELF)
	@touch $@

$(READY_TOOLS): locks/tools.txt locks/pip.txt
	@echo "Installing what locks and audits libraries into $(TOOLS)"
	@$(PYTHON) -m venv $(TOOLS)
	@$(TOOLS)/bin/python -m pip $(LOCKED) -r locks/pip.txt
	@$(TOOLS)/bin/python -m pip $(LOCKED) -r locks/tools.txt
	@touch $@

$(READY_SCRIPTS): $(SCRIPTS)/package.json $(SCRIPTS)/package-lock.json
	@echo "Installing what lints and tests the dashboard's scripts into $(SCRIPTS)/node_modules"
	@npm --prefix $(SCRIPTS) ci --loglevel=error >/dev/null
	@touch $@
