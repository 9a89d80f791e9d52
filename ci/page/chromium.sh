#!/usr/bin/env bash
# The distribution's Chromium, for the tests that open the report's pages in a real browser (Debian, root).
set -euo pipefail

say() { echo "page: $*" >&2; }

for name in chromium chromium-browser google-chrome; do
  if command -v "$name" >/dev/null; then
    say "$name is here"
    exit
  fi
done
[ "$(id -u)" = 0 ] || { say "not root. Run: sudo apt-get install chromium"; exit 2; }
say "installing chromium from the distribution"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
