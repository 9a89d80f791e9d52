"""How an engine ended that was asked to stop: at once, only when killed, or by a crash of its own. Pure.

    clean    it ended by the signal that it was sent, or with exit code 0
    trouble  it ended with another code, or its log tells an exception on the way: told
    hang     it had to be killed: told
    crash    a fatal signal of its own, or the kernel for lack of main memory: red, unless a policy says otherwise

An end before anybody asked for it is a crash of the engine, and none of these.
"""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from typing import Final, Literal

from matrix.judging.launch_log import read_failures
from matrix.wording import cut_line

EndOutcome = Literal["clean", "trouble", "hang", "crash"]
# Signals that only a fault of the process itself sends.
FATAL: Final = frozenset(
    {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGSYS, signal.SIGTRAP}
)
# What a stop by INT or TERM ends with, as a shell reports it; SGLang kills itself (kill_process_tree, 0.5.23).
ASKED: Final = frozenset({0, *(128 + s for s in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM))})
SELF: Final = 128 + signal.SIGKILL
# Exceptions that the interrupt itself raises, and those of ranks whose peers have gone before them.
OF_A_STOP: Final = re.compile(
    r"(?:\w+\.)*(?:KeyboardInterrupt|SystemExit|CancelledError|GeneratorExit|BrokenPipeError|ConnectionResetError"
    r"|ConnectionRefusedError|EOFError|IncompleteReadError|EngineDeadError|ContextTerminated)\b"
)
OURS: Final = re.compile(r"supervisor: ")  # lines of the one that stops it
SAID_CHARS: Final = 400


@dataclass(frozen=True, slots=True)
class EngineEnd:
    """The end of an engine after it was asked to stop."""

    outcome: EndOutcome
    text: str  # a sentence, with the words of its log that tell most
    exit_code: int
    seconds: float


def is_fatal(code: int | None) -> bool:
    """Return whether a process with this exit code (128 + n, or -n) ended by a fatal signal of its own."""
    return code is not None and (code - 128 if code > 128 else -code) in FATAL


def judge_end(code: int, seconds: float, said: str, *, killed: bool = False, epitaph: str = "") -> EngineEnd:
    """Judge the exit `code` (128 + n for signal n) and what the log said since the stop was asked for.

    `killed`: we sent SIGKILL at last. `epitaph`: what no exit code says, such as the kernel's own kill.
    """
    outcome, what = _name_end(code, seconds, said, killed=killed, epitaph=epitaph)
    words = _pick_words(said) if what else ""
    return EngineEnd(outcome, f"{what}{f': {words}' if words else ''}", code, round(seconds, 3))


def _name_end(code: int, seconds: float, said: str, *, killed: bool, epitaph: str) -> tuple[EndOutcome, str]:
    number = code - 128 if code > 128 else 0
    if number in FATAL:
        return "crash", f"it ended by {signal.Signals(number).name} when it was stopped"
    if epitaph and not killed:
        return "crash", f"when it was stopped, {epitaph}"
    if killed:
        return "hang", f"it did not end within {seconds:.0f} s of being asked to stop, and was killed"
    if code not in ASKED and code != SELF:
        return "trouble", f"it ended with exit code {code} when it was stopped"
    if _list_exceptions(said):
        return "trouble", "its log tells an exception while it was being stopped"
    return "clean", ""


def _list_exceptions(said: str) -> list[str]:
    # Without the supervisor's lines, behind which the reader of a launch's log looks for nothing.
    text = "\n".join(line for line in said.splitlines() if not OURS.match(line))
    return [f.text for f in read_failures(text) if f.exception and not OF_A_STOP.match(f.text)]


def _pick_words(said: str) -> str:
    """Pick the first exception since the stop, else the engine's last line."""
    if found := _list_exceptions(said):
        return cut_line(found[0], SAID_CHARS)
    own = [line.strip() for line in said.splitlines() if line.strip() and not OURS.match(line)]
    return cut_line(own[-1], SAID_CHARS) if own else ""
