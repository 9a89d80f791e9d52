"""Lines of a log: who wrote them, what they count, and what a failure is told with."""

from __future__ import annotations

import pytest

from matrix.judging.launch_causes import HANG_UNDER_LOAD, UNKNOWN, LaunchCause, find_launch_cause
from matrix.judging.launch_log import read_failures, split_lines
from matrix.model import Cause
from tests.matrix.judging.test_launch_causes import FRAMES, traceback

OWN = (
    Cause(id="oom", any=("out of (?P<memory>VRAM)",), remedy="free {what}", source="a note", fault="host"),
    Cause(id="bad_flag", any=("no such flag",), remedy="drop it", source="a page"),
    Cause(id="child_gone", any=("child is gone",), remedy="look above", source="a line", role="consequence"),
    Cause(id="hang", any=("stands still",), remedy="wait", source="a line", role="symptom"),
)


def told(*lines: str) -> LaunchCause | None:
    return find_launch_cause("\n".join(lines), OWN)


def test_a_cause_carries_everything_that_its_class_says() -> None:
    assert told("loading", "[rank3]: RuntimeError: out of VRAM") == LaunchCause(
        id="oom",
        line="RuntimeError: out of VRAM",
        number=2,
        rank="rank 3",
        remedy="free VRAM",
        source="a note",
        what="VRAM",
        fault="host",
        ranks=("rank 3: RuntimeError: out of VRAM",),
        words=("RuntimeError: out of VRAM",),
    )
    assert told("ValueError: x") == LaunchCause(
        id=UNKNOWN, line="ValueError: x", number=1, ranks=("ValueError: x",), words=("ValueError: x",)
    )


def test_a_cause_is_described_with_its_class_and_its_next_step() -> None:
    known, unknown = told("[rank3]: RuntimeError: out of VRAM"), told("ValueError: x")
    assert known is not None and unknown is not None
    assert known.describe() == "RuntimeError: out of VRAM [rank 3, class oom]. Next: free VRAM"
    assert unknown.describe() == "ValueError: x [class unknown]"
    quiet = told("WARNING 11-29 02:09:15 [utils.py:2] out of VRAM")
    assert quiet is not None and quiet.describe().startswith("out of VRAM [class oom, told as a warning]")


@pytest.mark.parametrize(
    ("line", "role", "quiet"),
    [
        ("WARNING 11-29 02:09:15 [utils.py:2] out of VRAM", "cause", True),
        ("WARNING 11-29 02:09:15 [utils.py:2] the frobnicator failed", "", False),
        ("WARNING 11-29 02:09:15 [utils.py:2] the child is gone", "", False),
        ("INFO 11-29 02:09:15 [utils.py:2] out of VRAM", "", False),
        ("DEBUG 11-29 02:09:15 [utils.py:2] out of VRAM", "", False),
        ("ERROR 11-29 02:09:15 [utils.py:2] frobnicate", "complaint", False),
        ("CRITICAL 11-29 02:09:15 [utils.py:2] frobnicate", "complaint", False),
        ("FATAL 11-29 02:09:15 [utils.py:2] frobnicate", "complaint", False),
        ("[E1129 02:09:15.1 a.cc:1] frobnicate", "complaint", False),
        ("the frobnicator failed", "murmur", False),
        ("[TP3] the frobnicator failed", "complaint", False),
        ("frobnicate", "", False),
        ("loader: RuntimeError: x inside", "cause", False),
        ("the child is gone", "consequence", False),
        ("it stands still", "symptom", False),
    ],
)
def test_how_a_line_is_said_decides_what_it_counts(line: str, role: str, quiet: bool) -> None:
    cause = told(line)
    assert (cause.role, cause.quiet) == (role, quiet) if cause else role == ""


def test_only_an_engine_that_had_answered_hangs_under_load() -> None:
    cause = told("it stands still")
    assert cause is not None and cause.id == "hang" and cause.words == ()
    served = find_launch_cause("it stands still", OWN, serving=True)
    assert served is not None and served.id == HANG_UNDER_LOAD


def test_each_rank_says_its_first_words_and_a_later_class_is_a_part_of_its_own() -> None:
    """What a known failure's signature is compared with: nothing of another rank or of an earlier, survived failure
    may be taken for the reason."""
    handled = "\nDuring handling of the above exception, another exception occurred:\n"
    cause = told(
        "[rank0]: ValueError: tried",  # survived
        "[rank0]: TypeError: another, of no class",
        "[rank0]: RuntimeError: no such flag",
        "[rank1]: RuntimeError: out of VRAM",
        "[rank1]: RuntimeError: out of VRAM again",
        traceback("KeyError: a") + handled + traceback("RuntimeError: no such flag --b"),
    )
    assert cause is not None
    assert cause.words == (
        "ValueError: tried",
        "RuntimeError: no such flag",
        "RuntimeError: out of VRAM",
        "KeyError: a\nRuntimeError: no such flag --b",
    )


@pytest.mark.parametrize(
    ("first", "line"),
    [
        ("RuntimeError: Error(s) in loading:", "RuntimeError: Error(s) in loading: size mismatch"),
        ("ValidationError: 1 validation error for X", "ValidationError: 1 validation error for X size mismatch"),
        ("RuntimeError: enough said", "RuntimeError: enough said"),
        ("RuntimeError: out of VRAM", "RuntimeError: out of VRAM"),
    ],
)
def test_details_are_told_where_the_first_line_says_too_little(first: str, line: str) -> None:
    cause = told(first, "  size mismatch")
    assert cause is not None and cause.line == line


def test_what_stands_in_front_of_a_line_is_its_writer_rank_and_level() -> None:
    text = [
        "(EngineCore pid=7) ERROR 11-29 02:03:25 [core.py:9] one",
        "[2026-11-29 02:03:25 TP0] two",
        "[2026-11-29 02:03:25 TP0 PP0 EP1] three",
        "[rank3]: four",
        "[E1129 02:03:25.1 a.cc:1] five",
        "2026-11-29 02:03:25,123 - six",
        "1,7<stderr>: seven",
        "eight",
    ]
    assert [(x.number, x.body, x.rank, x.level, x.prefixed) for x in split_lines("\n".join(text))] == [
        (1, "one", "EngineCore", "ERROR", True),
        (2, "two", "TP0", "", True),
        (3, "three", "TP0 EP1", "", True),
        (4, "four", "rank 3", "", True),
        (5, "five", "", "ERROR", True),
        (6, "six", "", "", True),
        (7, "seven", "", "", True),
        (8, "eight", "", "", False),
    ]


def test_failures_keep_line_rank_level_and_what_they_were_raised_with() -> None:
    prefix = "(EngineCore pid=7) ERROR 11-29 02:03:25 [core.py:9] "
    linked = "The above exception was the direct cause of the following exception:"
    text = [
        *traceback("ValueError: a", prefix).split("\n"),
        prefix + linked,
        *traceback("KeyError: b", prefix).split("\n"),
        "[rank3]: OSError: c",
        "  detail",
        "worker died: Traceback (most recent call last):",
        FRAMES[0],
        "TypeError: d",
        "[TP1] plain",
    ]
    found = [(f.number, f.text, f.rank, f.level, f.exception, f.chain) for f in read_failures("\n".join(text))]
    assert found == [
        (5, "ValueError: a", "EngineCore", "ERROR", True, 1),
        (11, "KeyError: b", "EngineCore", "ERROR", True, 1),
        (12, "OSError: c\ndetail", "rank 3", "", True, 0),
        (14, "worker died", "", "", False, 0),
        (16, "TypeError: d", "", "", True, 2),
        (17, "plain", "TP1", "", False, 0),
    ]
