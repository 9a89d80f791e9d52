"""python -m ci.console_script FILE: write the command `glm-matrix` for this checkout. `make env` does so.

The checkout is not installed as a package, so the file names it: the command works from any directory.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from matrix.checkout import CHECKOUT

TEXT = """#!{python}
# Written by `make env` (ci/console_script.py).
import sys

sys.path.insert(0, {checkout!r})

from cli.program import run

sys.exit(run())
"""


def write_console_script(path: Path) -> None:
    """Write an executable file that runs cli.program with this interpreter."""
    path.write_text(TEXT.format(python=sys.executable, checkout=str(CHECKOUT)), encoding="utf-8")
    path.chmod(0o755)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file that the one argument names."""
    [path] = sys.argv[1:] if argv is None else argv
    write_console_script(Path(path))
    return 0


if __name__ == "__main__":
    sys.exit(main())
