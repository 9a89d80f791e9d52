"""python -m ci.console_script FILE: write the command `glm-matrix` for this checkout. `make env` does so.

The checkout is not installed as a package, so the file names it: the command works from any directory.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from matrix.checkout import CHECKOUT

LONGEST = 120  # characters of an interpreter's path in a first line; Linux cuts at 127 or 255
PLAIN = "#!{python}\n"
QUOTED = "#!/bin/sh\n'''exec' {python} \"$0\" \"$@\"\n' '''\n"  # a path that no first line can hold, as pip does it
TEXT = """\
# Written by `make env` (ci/console_script.py).
import sys

sys.path.insert(0, {checkout!r})

from cli.program import run

sys.exit(run())
"""


def make_script(python: str, checkout: Path) -> str:
    """Make the text: a blank in the interpreter's path would end it in the first line, so a shell starts that one."""
    plain = not set(python) & set(" \t\n'\"\\$`") and len(python) < LONGEST
    first = PLAIN.format(python=python) if plain else QUOTED.format(python=shlex.quote(python))
    return first + TEXT.format(checkout=str(checkout))


def write_console_script(path: Path) -> None:
    """Write an executable file that runs cli.program with this interpreter."""
    path.write_text(make_script(sys.executable, CHECKOUT), encoding="utf-8")
    path.chmod(0o755)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file that the one argument names."""
    [path] = sys.argv[1:] if argv is None else argv
    write_console_script(Path(path))
    return 0


if __name__ == "__main__":
    sys.exit(main())
