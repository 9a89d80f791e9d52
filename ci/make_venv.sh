#!/usr/bin/env bash
# Make .venv with what requirements/uv.lock names in it (uv, and a pip for `glm-matrix snapshot`), checked by hash. Debian
# ships python3 without venv: install it where we may, else say how.
set -euo pipefail
python=$(command -v python3.11 || command -v python3)
"$python" - <<'PY' || { echo "Python 3.11 or newer is needed, found $("$python" --version)" >&2; exit 2; }
import sys
sys.exit(sys.version_info < (3, 11))
PY
# What is imported is compiled a first time: 2.8 CPU seconds for all of this checkout, here beside a download that uses one
# core. A checkout that nobody may write is compiled in vain, and silently.
if [ -z "${PYTHONDONTWRITEBYTECODE:-}" ]; then
  "$python" -m compileall -q cli fixtures matrix reports suites >/dev/null 2>&1 &
fi
# The files of a fresh clone are as new as git's index, so each run would compare all of them anew, weights included: 0.4 s.
git update-index -q --refresh >/dev/null 2>&1 &
# The pip wheel that Python brings for `venv` installs as it lies there. To install that pip first, only to replace it, was
# half of the time: 9.2 CPU seconds instead of 4.8.
find_wheel() {
  "$python" - <<'PY' 2>/dev/null
import ensurepip, pathlib, sysconfig
places = (sysconfig.get_config_var("WHEEL_PKG_DIR"), pathlib.Path(ensurepip.__file__).parent / "_bundled")
print(next(wheel for place in places if place for wheel in sorted(pathlib.Path(place).glob("pip-*.whl"))))
PY
}
make_venv() {
  if wheel=$(find_wheel); then
    "$python" -m venv --without-pip .venv 2>/dev/null
  else
    wheel=
    "$python" -m venv .venv 2>/dev/null
  fi
}
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
install=(--require-hashes -r requirements/uv.lock)
# A uv of our own fetching installs itself and the rest: 1 CPU second, where every pip takes 4.
fetched() {
  PYTHONPATH=$wheel "$python" ci/fetch_uv.py .venv && .venv/uv pip install -q --python .venv/bin/python --find-links .venv "${install[@]}"
}
if fetched 2>/dev/null; then
  rm .venv/uv .venv/uv-*.whl
  exit
fi
rm -f .venv/uv .venv/uv-*.whl
# A pip that this Python has was compiled when it was installed; that of the wheel is compiled anew each time: 4.7 CPU
# seconds instead of 6.2. Older ones than 22.3 know no --python.
install+=(-q --disable-pip-version-check --no-compile)
has_pip() {
  "$python" - <<'PY' 2>/dev/null
import pip, sys
sys.exit(tuple(map(int, pip.__version__.split(".")[:2])) < (22, 3))
PY
}
if has_pip; then
  "$python" -m pip --python .venv/bin/python install "${install[@]}"
else
  PYTHONPATH=$wheel .venv/bin/python -m pip install --ignore-installed "${install[@]}"
fi
