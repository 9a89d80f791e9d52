# Two commands on a fresh machine (Debian 12, Python 3.11, make): `make matrix` and `make test`.
# Everything else is pytest or `.venv/bin/glm-matrix` (`glm-matrix --help`).
SHELL := /bin/bash
.DEFAULT_GOAL := help
PY := .venv/bin/python
OUT ?= reports/out
# Extra pytest arguments: make matrix ARGS="--depth full" (the last --depth counts)
ARGS ?=
# Of `make test`, which steal tests from each other to the end: in shares one of them was alone with the slow tests of
# tests/suites. One worker more than two cores took 8.4 to 9.8 min where these take 10.7, and requests that must meet
# inside the stub met less surely.
WORKERS ?= $(shell getconf _NPROCESSORS_ONLN)
# The tests start Python hundreds of times. Where the environment forbids bytecode (many container images do), each of
# them would compile pytest and this project again, for two thirds of its time. Empty means: not forbidden.
export PYTHONDONTWRITEBYTECODE :=

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.venv/bin/uv:
	@ci/make_venv.sh

# One stamp per lock: the environment is rebuilt when, and only when, a lock changes.
.venv/run.stamp: requirements/run.lock | .venv/bin/uv
	@echo "environment: installing $< (hash-checked)"
	@.venv/bin/uv pip install -q --python $(PY) --require-hashes -r $<
	@touch $@
# What the first engine and the first report import is compiled here, beside what follows: 1.5 s of a first run.
	@$(PY) -c 'import gguf, reports.__main__' >/dev/null 2>&1 &

.venv/dev.stamp: requirements/dev.lock .venv/run.stamp | .venv/bin/uv
	@echo "environment: installing $< (hash-checked)"
	@.venv/bin/uv pip install -q --python $(PY) --require-hashes -r $<
	@touch $@

.venv/mutants.stamp: requirements/mutants.lock .venv/dev.stamp | .venv/bin/uv
	@echo "environment: installing $< (hash-checked)"
	@.venv/bin/uv pip install -q --python $(PY) --require-hashes -r $<
	@touch $@

# The one command, as a file that knows this checkout: it works from any directory.
.venv/bin/glm-matrix: ci/console_script.py ci/elsewhere.py .venv/run.stamp
	@$(PY) -m ci.console_script $@

# Of the suites alone, whose tests need neither: Hypothesis takes 0.3 s to say nothing at the end, and the search for errors
# in finalisers as long.
LEAN := -p no:hypothesispytest -p no:unraisableexception

env: .venv/bin/glm-matrix ## the environment that `pytest` and `glm-matrix` need

# An earlier run's evidence must not answer for a run that did not begin: a wrong option, a module that cannot be imported.
begin = mkdir -p $(OUT) && touch $(OUT)/.began || { echo "$(OUT) cannot be written; another folder: make $@ OUT=FOLDER" >&2; exit 2; }
require_begun = [ $(OUT)/$(1) -nt $(OUT)/.began ] || { echo "no test began, so there is nothing to judge: $(OUT)/$(1) is not of this run" >&2; exit 2; }

try: .venv/bin/glm-matrix ## one cell on the real embedded engine: from nothing to a verdict in about 30 s on two free cores
	@$(begin)
	@$(PY) -m pytest --cells 'cpu.llamacpp_*.canary_bf16.baseline' --depth first --evidence=$(OUT)/try.jsonl --no-header $(LEAN) $(ARGS) || true
	@$(call require_begun,try.jsonl)
	@.venv/bin/glm-matrix report --policy ci/gates/try.yaml --evidence $(OUT)/try.jsonl --out $(OUT)/try
	@echo "Next: docs/tutorial/first-run.md reads this; glm-matrix recommend names launches for your GPUs; make matrix runs every CPU cell."

matrix: .venv/bin/glm-matrix ## run every cpu cell on the real embedded engine, write reports/out/, print the gate's verdict
	@$(begin)
	@OMP_THREAD_LIMIT=$${OMP_THREAD_LIMIT:-1} $(PY) -m pytest -m cpu -n logical --depth first --evidence=$(OUT)/evidence.jsonl --junitxml=$(OUT)/junit.xml -q $(LEAN) $(ARGS) || true
	@$(call require_begun,evidence.jsonl)
	@.venv/bin/glm-matrix report --policy ci/gates/cpu.yaml --evidence $(OUT)/evidence.jsonl --out $(OUT)

test: .venv/page.stamp .venv/bin/glm-matrix ## the project's own tests, linters and types
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@.venv/bin/lint-imports
	@.venv/bin/glm-matrix lint
	@$(PY) -m pytest tests -n $(WORKERS) --dist worksteal $(ARGS)

registry: .venv/bin/glm-matrix ## derive our own certificates (docs/registry) again from their raw replies
	@.venv/bin/glm-matrix registry check docs/registry

test-docker: .venv/dev.stamp ## install and start a Docker daemon (Debian, root), then serve engines in it
	@ci/docker/daemon.sh install
	@$(PY) -m pytest tests/fixtures -m docker $(ARGS)

test-slurm: .venv/dev.stamp ## a real Slurm of three nodes on this host (Debian, root to install it): nodes lost, jobs preempted
	@ci/slurm/cluster.sh install
	@$(PY) -m pytest tests/fixtures/fleet -m slurm -n logical $(ARGS)

.cache/ray/stamp: requirements/ray.lock | .venv/bin/uv
	@test -x .cache/ray/bin/python || .venv/bin/uv venv -q --python $(PY) .cache/ray
	@.venv/bin/uv pip install -q --python .cache/ray/bin/python --require-hashes -r $<
	@touch $@

test-ray: .venv/dev.stamp .cache/ray/stamp ## a real Ray of four made-up nodes on this host: a node lost, a worker killed, a run cancelled
	@$(PY) -m pytest tests/fixtures/fleet -m ray $(ARGS)

test-kubernetes: .venv/dev.stamp ## a real control plane on loopback, of the programs in KUBEBUILDER_ASSETS: manifests taken, placed, run again
	@$(PY) -m pytest tests/fixtures/fleet -m kubernetes $(ARGS)

.venv/page.stamp: requirements/page.lock .venv/dev.stamp
	@.venv/bin/uv pip install -q --python $(PY) --no-deps --require-hashes -r $<
	@touch $@

test-page: .venv/page.stamp ## install Chromium (Debian, root), then open the report's pages in it, with axe-core
	@ci/page/chromium.sh
	@$(PY) -m pytest tests/reports/page/test_chromium.py $(ARGS)

test-junit: .venv/dev.stamp ## programs of the npm registry that read JUnit read ours (needs node and npm)
	@mkdir -p .cache/junit && cp tests/reports/evidence/consumers/package*.json .cache/junit
	@cd .cache/junit && npm ci --silent --ignore-scripts --no-audit --no-fund
	@$(PY) -m pytest tests/reports/evidence/test_junit_consumers.py $(ARGS)

mutation: .venv/dev.stamp ## every suite against every injected fault, and healthy engines: the kill table
	@$(PY) -m tests.mutation $(ARGS)

mutants: .venv/mutants.stamp ## change matrix/, reports/ and the checks in thousands of places: which change does no test notice?
	@.venv/bin/mutmut run $(ARGS)

parsers: .venv/dev.stamp ## run the parsers of every release with a snapshot that has not run (AGAIN=--again: of all)
	@$(PY) -m lab.parsers --snapshots $(AGAIN)

bench: .venv/dev.stamp ## timings: environment, planning, launch, conversion, load client (ratios in one run)
	@$(PY) -m tests.bench $(ARGS)

generate: .venv/dev.stamp ## rewrite what is generated from axes and code: docs/reference, .github/workflows, matrix/*.json
	@$(PY) -m tests.suites.reaching
	@$(PY) -m tests.suites.owing
	@$(PY) -m tests.suites.saying
	@$(PY) -m ci.workflows
	@$(PY) -m ci.reference
	@$(PY) -m ci.recipes
	@$(PY) -m tests.faults.page

lock: .venv/bin/uv ## re-resolve requirements/*.in into hashed locks
	@cd requirements && for f in uv run dev mutants ray; do ../.venv/bin/uv pip compile -q --python-version 3.11 --generate-hashes \
		--no-header --no-emit-index-url --no-annotate $$f.in -o $$f.lock; done
	@cd requirements && ../.venv/bin/uv pip compile -q --no-deps --python-version 3.11 --generate-hashes --no-header \
		--no-emit-index-url --no-annotate page.in -o page.lock
	@$(PY) -m ci.sbom

clean: ## remove everything that was built
	rm -rf .venv .cache $(OUT)

.PHONY: help env try matrix test registry test-docker test-slurm test-ray test-kubernetes test-page test-junit mutation mutants parsers bench generate lock clean
