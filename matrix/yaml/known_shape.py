"""What a known failure cannot be: shapes that contradict themselves, and entries that nobody could act on. Pure.

`find_shape_problems` is asked whenever the matrix is loaded, since matching trusts it. `find_entry_problems` is asked
by lint alone: it needs today's date, the suites and the launch commands.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from matrix.errors import Problem, suggest_nearest
from matrix.recorded import Fails, KnownFailure
from matrix.signature import (
    expand_alternatives,
    find_answer_faults,
    find_pattern_problem,
    find_vague_matches,
    split_branches,
)
from matrix.wording import cut_line

if TYPE_CHECKING:
    from matrix.yaml.loaded import Loaded

Found = Iterator[tuple[tuple[str | int, ...], str]]  # where in the entry, and what is wrong
HTTP_ERRORS: Final = range(400, 600)
PLANTED: Final = "planted_"  # ids of defects that we put into a checkpoint ourselves: a page of docs/ may explain them
NAMES_A_CHECK: Final = re.compile(r"\^?[a-z_]+(?:\\\.[a-z_]+)+: NOT OK")  # in a pattern, dots escaped
SHOWN_CHARS: Final = 60  # of a sentence that a signature fits, too
LONGEST: Final = timedelta(days=732)  # that anything is excused before somebody looks again: two years, a choice
# Of an owner, without what is no letter: "n/a" is "n a". A text that begins with one of `STAND_INS` is none either.
PLACEHOLDERS: Final = frozenset(
    {"na", "n a", "nil", "null", "no one", "noone", "anyone", "anybody", "everyone", "everybody"}
    | {"owner", "name", "fixme", "xxx", "who", "whoever"}
)
STAND_INS: Final = ("none", "nobody", "todo", "tbd", "tbc", "unknown", "to be ")
NO_LETTERS: Final = re.compile(r"[\W\d_]+")


def find_shape_problems(known: Iterable[Loaded[KnownFailure]]) -> list[Problem]:
    """Find every `fails:` block that no failure can fit, or that fits any."""
    return [_place_problem(k, loc, message) for k in known for loc, message in _shape_problems(k.value.fails)]


def _shape_problems(fails: Fails) -> Found:
    if fails.at == "test" and not fails.test:
        yield ("fails", "test"), "which test fails? `at: test` needs `test: <function name>`"
    if fails.at != "test" and (fails.test or fails.params):
        yield ("fails", "test"), f"`at: {fails.at}` is about the launch, so no test can be named"
    if fails.how == "rejected" and fails.at != "before_ready":
        yield ("fails", "how"), f"preflight rejects before anything starts: `at: before_ready`, not {fails.at}"
    if fails.how in ("http_status", "wrong_answer") and fails.at == "before_ready":
        yield ("fails", "how"), f"an engine that is not ready has not answered: {fails.how} needs first_request or test"
    if fails.http_status is not None and fails.how != "http_status":
        yield ("fails", "http_status"), f"goes with `how: http_status` only, not {fails.how}"
    if fails.http_status is not None and fails.http_status not in HTTP_ERRORS:
        yield ("fails", "http_status"), f"expected an error status, 400 to 599, got {fails.http_status}"
    for i, param in enumerate(fails.params):
        if not param.strip():
            yield ("fails", "params", i), "an empty text is part of every test id"
    if wrong := find_pattern_problem(fails.signature):
        yield ("fails", "signature"), wrong


@dataclass(frozen=True, kw_only=True)
class KnownSurroundings:
    """What entries are held against. `echoes` are, by entry id, what its engines and our messages repeat anyway."""

    today: date
    tests: Collection[str]  # names of the suites' test functions
    pages: Collection[str]  # of docs/, as paths from the checkout's root
    echoes: Mapping[str, Sequence[str]]
    said: Mapping[str, Sequence[str]] = field(default_factory=dict)  # by check, see matrix.known.said


def says_nothing(text: str) -> bool:
    """Whether a text has no letter and no digit, whatever invisible characters it is made of."""
    return not any(c.isalnum() for c in text)


def names_nobody(owner: str) -> bool:
    """Whether nobody stands behind something: no letters at all, or words that stand for somebody to be found."""
    name = NO_LETTERS.sub(" ", owner.lower()).strip()
    return not name or name in PLACEHOLDERS or f"{name} ".startswith(tuple(f"{word.strip()} " for word in STAND_INS))


def find_entry_problems(known: Iterable[Loaded[KnownFailure]], around: KnownSurroundings) -> list[Problem]:
    """Find every entry that speaks of no test, leads nowhere, has nobody behind it, or is overdue."""
    return [_place_problem(k, loc, message) for k in known for loc, message in _entry_problems(k.value, around)]


def _entry_problems(entry: KnownFailure, around: KnownSurroundings) -> Found:
    fails = entry.fails
    if fails.at == "test" and fails.test not in around.tests:
        yield ("fails", "test"), f"no suite has a test {fails.test!r}{suggest_nearest(fails.test, around.tests)}"
    if entry.review_by < around.today:
        yield ("review_by",), f"was to be reviewed by {entry.review_by}: look again, renew or retire it"
    if entry.review_by > around.today + LONGEST:
        yield ("review_by",), f"{entry.review_by} is no end: an entry is looked at within {LONGEST.days} days"
    if entry.review_by <= entry.added:
        yield ("review_by",), f"lies before the day it was added ({entry.added})"
    if entry.added > around.today:
        yield ("added",), f"{entry.added} is still to come"
    if not _leads_somewhere(entry, around.pages):
        yield (
            ("issue",),
            f"expected a link (https://...), got {entry.issue!r}; {PLANTED}* may name a page of docs/",
        )
    if names_nobody(entry.owner):
        yield ("owner",), "who looks again? a name is needed"
    if says_nothing(entry.symptom):
        yield ("symptom",), "what goes wrong? say it in a sentence"
    if fails.how == "wrong_answer":
        yield from ((("fails", "signature"), why) for why in explain_wrong_answer(fails.signature, around.said))
    for message in find_vague_matches(fails.signature):
        yield ("fails", "signature"), message
    for text in around.echoes.get(entry.id, ()):
        if found := re.search(fails.signature, text):
            message = f"matches {found[0][:60]!r} in what is said anyway: {cut_line(text, 80)}"
            yield ("fails", "signature"), message
            # one echo is enough to refuse the signature, and an engine repeats its words in five spellings
            break


def explain_wrong_answer(signature: str, said: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield why a signature of a wrong answer says too little: no check's name, or words of several of its failures."""
    for branch in split_branches(signature):  # one is enough to match, so each must say as much as a whole one
        yield from _explain_wrong_branch(branch, signature, said)


def explain_any_answer(signature: str, said: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield why a signature that may be of a wrong answer, or of an exception, says too little."""
    for branch in split_branches(signature):
        if NAMES_A_CHECK.match(branch):
            yield from _explain_wrong_branch(branch, signature, said)
        elif fitted := _fit_any_check(branch, said):
            yield f"fits what {fitted} says: begin with the check's name, as in '{re.escape(fitted)}: NOT OK ...'"


def _fit_any_check(branch: str, said: Mapping[str, Sequence[str]]) -> str:
    """Find a check whose words a pattern fits, however they are broken into lines."""
    for check, texts in said.items():
        lines = (f"{check}: NOT OK {text}\n  expected: e\n  got:      g" for text in ("", *texts))
        if any(re.search(branch, each) or re.search(branch, " ".join(each.split())) for each in lines):
            return check
    return ""


def _explain_wrong_branch(branch: str, signature: str, said: Mapping[str, Sequence[str]]) -> Iterator[str]:
    if branch.endswith(r"\n"):
        yield r"waits for a line break behind what the check says, and there is none: end with (?:\n|\Z)"
    named = NAMES_A_CHECK.match(branch)
    if named is None:
        yield r"a wrong answer is told by a check: begin with its name, as in 'needle\.found: NOT OK \[[^]]*\] not in'"
        return
    check = named[0].removeprefix("^").removesuffix(": NOT OK").replace("\\", "")
    if len(kinds := find_answer_faults(signature, check)) > 1:
        yield f"fits whatever {check} finds wrong ({', '.join(kinds)}); go on with what it says of this failure"
        return
    for pattern in expand_alternatives(branch):
        fitted = [text for text in said.get(check, ()) if re.search(pattern, f"{check}: NOT OK {text}")]
        if len(fitted) > 1:
            shown = " and ".join(repr(cut_line(text, SHOWN_CHARS)) for text in fitted[:2])
            yield f"fits {len(fitted)} failures that {check} tells apart ({shown}); say what only one of them says"
            return


def _leads_somewhere(entry: KnownFailure, pages: Collection[str]) -> bool:
    link = urlsplit(entry.issue)
    if link.scheme in ("http", "https"):
        # a host with a dot: https://todo parses, and leads nowhere
        return "." in (link.hostname or "") and " " not in entry.issue
    return entry.id.startswith(PLANTED) and entry.issue in pages


def _place_problem(item: Loaded[KnownFailure], loc: tuple[str | int, ...], message: str) -> Problem:
    line = next((item.lines[loc[:n]] for n in range(len(loc), 0, -1) if loc[:n] in item.lines), item.line)
    return Problem(item.file, line, f"{item.value.id}.{'.'.join(map(str, loc))}", message)
