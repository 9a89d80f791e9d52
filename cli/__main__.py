"""`python -m cli`: the same as `glm-matrix`, where no environment was made."""

from __future__ import annotations

import sys

from cli.program import run

if __name__ == "__main__":
    sys.exit(run())
