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


LINKED = "The above exception was the direct cause of the following exception:"
OPENS = "Traceback (most recent call last):"
VLLM = "(EngineCore pid=7) ERROR 11-29 02:03:25 [core.py:9] "


def read(*lines: str) -> list[tuple[int, str, str, str, bool, int]]:
    return [(f.number, f.text, f.rank, f.level, f.exception, f.chain) for f in read_failures("\n".join(lines))]


def test_tracebacks_of_two_ranks_that_are_mixed_stay_apart() -> None:
    first, second = "[rank0]: ", "[rank1]: "
    assert read(
        f"{first}{OPENS}",
        f"{second}{OPENS}",
        f"{first} File a, indented by one",
        f"{second}  File b",
        f"{first}ValueError: a",
        f"{second}KeyError: b",
        f"{first}{LINKED}",
        f"{first}{OPENS}",
        f"{first}OSError: c",
        f"{first}TypeError: of its own",
    ) == [
        (5, "ValueError: a", "rank 0", "", True, 1),
        (6, "KeyError: b", "rank 1", "", True, 2),
        (9, "OSError: c", "rank 0", "", True, 1),
        (10, "TypeError: of its own", "rank 0", "", True, 0),
    ]


def test_a_link_without_an_exception_before_it_joins_nothing_of_another_rank() -> None:
    lines = [f"[rank0]: {OPENS}", "[rank0]: ValueError: a", f"[rank1]: {LINKED}", f"[rank1]: {OPENS}"]
    assert [f[5] for f in read(*lines, "[rank1]: KeyError: b")] == [1, 2]


def test_bare_lines_belong_to_the_rank_whose_record_opened_them() -> None:
    """SGLang's manner: only the first line of a record says who writes."""
    record = "[2026-11-29 02:03:25 TP0] "
    chained = read(
        f"{record}died: {OPENS}", "  File a", "ValueError: a", "", LINKED, "", OPENS, "  File b", "KeyError: b"
    )
    assert chained == [
        (1, "died", "TP0", "", False, 0),
        (3, "ValueError: a", "TP0", "", True, 1),
        (9, "KeyError: b", "TP0", "", True, 1),
    ]
    ended = read(f"{record}died: {OPENS}", "  File a", f"{record}the next record", "ValueError: later")
    assert ended[1:] == [(3, "the next record", "TP0", "", False, 0), (4, "ValueError: later", "", "", True, 0)]


def test_a_line_of_somebody_else_ends_no_traceback_whose_lines_are_signed() -> None:
    assert read(f"{VLLM}died X: {OPENS}", f"{VLLM}  File a", "a line of nobody", f"{VLLM}ValueError: a") == [
        (1, "died X", "EngineCore", "ERROR", False, 0),
        (3, "a line of nobody", "", "", False, 0),
        (4, "ValueError: a", "EngineCore", "ERROR", True, 1),
    ]


def test_a_traceback_that_comes_to_no_exception_is_told_as_what_ended_it() -> None:
    lines = (f"{VLLM}{OPENS}", f"{VLLM}  File a", f"{VLLM}it was given up here", f"{VLLM}ValueError: another")
    assert read(*lines) == [
        (3, "it was given up here", "EngineCore", "ERROR", False, 0),
        (4, "ValueError: another", "EngineCore", "ERROR", True, 0),
    ]


def test_the_head_of_an_exception_group_is_no_failure() -> None:
    group = ("  + Exception Group Traceback (most recent call last):", "  |   File a", "  | ValueError: a")
    assert [f[1] for f in read(*group)] == ["ValueError: a"]


def test_an_exception_is_told_with_four_lines_of_details_each_time() -> None:
    details = [f"  detail {n}" for n in range(6)]
    told_with = "\n".join(["{}", *(f"detail {n}" for n in range(4))])
    found = [f[1] for f in read("ValueError: a", *details, "KeyError: b", *details) if f[4]]
    assert found == [told_with.format("ValueError: a"), told_with.format("KeyError: b")]
    opened = read("ValueError: a", f"  {OPENS}", "  File a", "KeyError: b")
    assert [f[1] for f in opened if f[4]] == ["ValueError: a", "KeyError: b"]


@pytest.mark.parametrize(
    ("line", "body", "rank"),
    [
        ("\x1b[31mValueError: x\x1b[0m", "ValueError: x", ""),
        ("[rank1] " * 7 + "x", "[rank1] x", "rank 1"),
        ("(Worker pid=7 rank=3) x", "x", "rank 3"),
        ("(EngineCore pid=7) [rank3]: x", "x", "rank 3"),
        ("[rank3]: 2026-11-29 02:03:25,123 - x", "x", "rank 3"),
        ("[rank3]: 1,7<stderr>: x", "x", "rank 3"),
        ("[2026-11-29 02:03:25 TP1 EP0] x", "x", "TP1"),
    ],
)
def test_what_writers_put_in_front_may_stand_behind_one_another(line: str, body: str, rank: str) -> None:
    (seen,) = split_lines(line)
    assert (seen.body, seen.rank) == (body, rank)


def test_of_three_exceptions_the_last_is_what_the_first_became() -> None:
    three = [line for word in ("ValueError: a", "KeyError: b", "TypeError: c") for line in (OPENS, word, LINKED)]
    cause = told(*three[:-1])
    assert cause is not None and (cause.line, cause.became) == ("ValueError: a", "TypeError: c")
    known = told(OPENS, "ValueError: a", LINKED, OPENS, "RuntimeError: out of VRAM")
    assert known is not None and (known.line, known.became) == ("RuntimeError: out of VRAM", "")


def test_a_class_that_only_the_details_show_is_told_with_them_everywhere() -> None:
    lines = [line for rank in (0, 1) for line in (f"[rank{rank}]: RuntimeError: see below", "  out of VRAM")]
    cause = told(*lines)
    whole = "RuntimeError: see below out of VRAM"
    assert cause is not None and (cause.id, cause.line, cause.words) == ("oom", whole, (whole,))
    assert cause.ranks == (f"rank 0 (and 1 more): {whole}",)


@pytest.mark.parametrize(("chars", "cut"), [(400, ""), (401, "...")])
def test_a_long_line_is_cut_at_the_limit(chars: int, cut: str) -> None:
    line = "ValueError: ".ljust(chars, "x")
    cause = told(line)
    assert cause is not None and cause.line == line[:400] + cut
