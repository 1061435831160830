# Everything a newcomer needs. `make help` lists the targets; PORT, HOST and DATA_DIR are honoured.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Debian's package, and the program that we need of it where that has another name.
DEBIAN := chromium pgbouncer wrk nginx prometheus:promtool

# Two processes, each with a database of its own; a file's tests stay together, for what they share,
# and come in the order of their names: by their number, the longest file would be the last.
TESTS_AT_ONCE ?= -n 2 --dist loadfile --no-loadscope-reorder

# Given on the command line or in the environment; devops/run.py and the settings read them.
export PORT HOST DATA_DIR TEST_DATABASE_URL

.DEFAULT_GOAL := help
.PHONY: help run test check fuzz chaos bench looks clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(STAMPS)/runtime ## install, start the database, migrate, seed, serve; Ctrl-C stops all of it
	@$(BIN)/python devops/run.py

test: $(STAMPS)/dev ## install what the tests need and run all of them on a real PostgreSQL
	@$(BIN)/python -m pytest $(TESTS_AT_ONCE)

check: $(STAMPS)/dev ## lint, type check, test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest $(TESTS_AT_ONCE)

fuzz: $(STAMPS)/dev ## requests made up from openapi.json, many more than in `make test`
	@SCHEMA_EXAMPLES=200 $(BIN)/python -m pytest tests/api/test_schema.py -n 2 --dist loadgroup

chaos: $(STAMPS)/dev ## the queue under fire for some minutes; CHAOS="--seed 7 --jobs 1000" to choose
	@$(BIN)/python -m tests.chaos $(CHAOS)

bench: $(STAMPS)/dev $(STAMPS)/bench ## measure what README.md and bench/RESULTS.md quote
	@$(BIN)/python -m bench

looks: $(STAMPS)/looks ## render the look packs in assets/looks; LOOKS="recto" to choose, "--depth" for that alone
	@$(VENV)/looks/bin/python -m devops.looks $(LOOKS)

clean: ## remove what was installed and built, keep the data
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache

$(STAMPS)/runtime: requirements.txt
	@echo "Installing requirements.txt into $(VENV) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) -r requirements.txt
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/dev: $(STAMPS)/runtime $(STAMPS)/debian requirements-dev.txt requirements-gpu.txt
	@echo "Installing requirements-dev.txt and requirements-gpu.txt (5.5 GB) into $(VENV) ..."
	@$(PIP) -r requirements-dev.txt -r requirements-gpu.txt
	@touch $@

# The queues that ours is measured against, apart from our own environment.
$(STAMPS)/bench: bench/requirements.txt
	@echo "Installing bench/requirements.txt into $(VENV)/bench ..."
	@$(PYTHON) -m venv $(VENV)/bench
	@$(VENV)/bench/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@mkdir -p $(STAMPS) && touch $@

# Blender as a Python module, which is built for one Python, apart from our own environment.
$(STAMPS)/looks: devops/looks/requirements.txt
	@echo "Installing devops/looks/requirements.txt (Blender, 1 GB) into $(VENV)/looks ..."
	@python3.11 -m venv $(VENV)/looks
	@$(VENV)/looks/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@mkdir -p $(STAMPS) && touch $@

# Where we may install them. Elsewhere the tests of chromium, pgbouncer and wrk fail, those of nginx and
# promtool are skipped, and both say what is missing. Without systemd nothing of it is started.
$(STAMPS)/debian: Makefile
	@missing=""; PATH="$$PATH:/usr/sbin"; \
	for tool in $(DEBIAN); do \
	  command -v "$${tool#*:}" >/dev/null || missing="$$missing $${tool%:*}"; \
	done; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing$$missing from Debian ..."; export DEBIAN_FRONTEND=noninteractive; \
	  apt-get -qq update && \
	  apt-get -qq install -y --no-install-recommends $$missing </dev/null >/dev/null; \
	fi || true
	@mkdir -p $(STAMPS) && touch $@
