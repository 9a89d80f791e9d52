"""python -m ci.console_script FILE: write the command `glm-matrix` for this checkout. `make env` does so.

The checkout is not installed as a package, so the file names it: the command works from any directory. The environment
also gets ci/elsewhere.py, by which pytest names the suites where it was started without them.
"""

from __future__ import annotations

import shlex
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from ci import elsewhere
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


NAME, VERSION = "glm_serving_matrix", "0"  # of the distribution that pytest finds the plugin by
PLUGIN = "glm_matrix_elsewhere"
FOUND = "Path(__file__).resolve().parents[1]"  # what the copy cannot compute


def write_plugin(packages: Path, checkout: Path) -> None:
    """Write ci/elsewhere.py into an environment's `site-packages`, with the entry point by which pytest loads it."""
    text = Path(elsewhere.__file__).read_text(encoding="utf-8").replace(FOUND, f"Path({str(checkout)!r})")
    info = f"{NAME}-{VERSION}.dist-info"
    files = {
        f"{PLUGIN}.py": text,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {NAME.replace('_', '-')}\nVersion: {VERSION}\n",
        f"{info}/INSTALLER": "make env\n",
        f"{info}/entry_points.txt": f"[pytest11]\nglm-matrix = {PLUGIN}\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])  # so that pip can remove it
    (packages / info).mkdir(exist_ok=True)
    for name, content in files.items():
        (packages / name).write_text(content, encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file that the one argument names, and the plugin into this interpreter's environment."""
    [path] = sys.argv[1:] if argv is None else argv
    write_console_script(Path(path))
    write_plugin(Path(sysconfig.get_path("purelib")), CHECKOUT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
