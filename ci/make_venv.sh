#!/usr/bin/env bash
# Make .venv with the uv of requirements/uv.lock in it, checked by hash. Debian ships python3 without venv: install it
# where we may, else say how.
set -euo pipefail
python=$(command -v python3.11 || command -v python3)
"$python" - <<'PY' || { echo "Python 3.11 or newer is needed, found $("$python" --version)" >&2; exit 2; }
import sys
sys.exit(sys.version_info < (3, 11))
PY
make_venv() { "$python" -m venv .venv 2>/dev/null; }
if ! make_venv; then
  rm -rf .venv
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "environment: installing python3-venv from the distribution"
    apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
    make_venv
  else
    echo "python3 has no venv module. Run: sudo apt-get install python3-venv" >&2
    exit 2
  fi
fi
.venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.lock
