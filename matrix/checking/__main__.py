"""`python -m matrix.checking`: the verb `check` as a program of its own."""

from __future__ import annotations

import sys

from matrix.checking.command import main

if __name__ == "__main__":
    sys.exit(main())
