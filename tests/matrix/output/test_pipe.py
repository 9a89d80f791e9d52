"""`| head` ends a command without a traceback, and what no encoding holds is printed as its escape."""

from __future__ import annotations

import subprocess
import sys

from matrix.checkout import CHECKOUT

PRINTS = "import sys; from matrix.output.pipe import run_for_a_pipe; sys.exit(run_for_a_pipe(lambda: {} or 7))"


def python(code: str, reader: str = "cat") -> subprocess.CompletedProcess[str]:
    command = ["bash", "-c", f'"$0" -c "$1" | {reader}; exit ${{PIPESTATUS[0]}}', sys.executable, code]
    return subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT, check=False)


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    done = python(PRINTS.format("[print('x' * 999) for _ in range(9999)] and 0"), "head -n 1")
    assert done.returncode == 141
    assert done.stderr == ""
    assert done.stdout == "x" * 999 + "\n"


def test_half_a_character_is_printed_as_its_escape() -> None:
    done = python(PRINTS.format("print(chr(0xD83D))"))
    assert (done.returncode, done.stdout, done.stderr) == (7, "\\ud83d\n", "")
