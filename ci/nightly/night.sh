#!/bin/sh
# A night of sm120x4, from `glm-matrix recipe script --policy ci/gates/starter/sm120x4.yaml`. Its place: ci/nightly/night.sh
export POLICY="${POLICY:-ci/gates/starter/sm120x4.yaml}"
export BUDGET="${BUDGET:-8h}"
keep() {
  code=$?
  [ ! -d reports/out/logs ] || .venv/bin/glm-matrix redact reports/out/logs
  mkdir -p nights
  cp -R reports/out "nights/$(date -u +%Y%m%dT%H%M%SZ)"
  exit "$code"
}
trap keep EXIT
set -eu
make env
.venv/bin/glm-matrix plan --policy "$POLICY" --budget "$BUDGET"
rm -rf reports/out
mkdir -p reports/out
words=$(.venv/bin/glm-matrix plan --policy "$POLICY" --budget "$BUDGET" --words)
# shellcheck disable=SC2086 # a word for each cell
.venv/bin/python -m pytest $words --evidence reports/out/evidence.jsonl --junitxml reports/out/junit.xml || echo "pytest: exit $?"
.venv/bin/glm-matrix report --policy "$POLICY" --evidence reports/out/evidence.jsonl --out reports/out
