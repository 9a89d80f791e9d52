"""Commands whose output goes into a pipe: a reader that has seen enough (`| head`), and text that has no UTF-8."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from io import TextIOWrapper
from typing import Final

CLOSED: Final = 141  # 128 + SIGPIPE, as a shell says it


def run_for_a_pipe(main: Callable[[], int]) -> int:
    """Run a command and return its exit code; `CLOSED`, without a traceback, where its reader closed the pipe."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # half a character kills a report otherwise
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more at its end
        return CLOSED
    return code
