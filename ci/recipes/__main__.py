"""Runs `python -m ci.recipes`: writes ci/nightly, or with --check says which file is stale."""

from __future__ import annotations

import sys

from ci.recipes.command import write_samples

if __name__ == "__main__":
    sys.exit(write_samples())
