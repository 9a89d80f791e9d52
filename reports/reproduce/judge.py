"""Runs the check of a failed test again, on new replies: is it right now?

The new replies are put into the test's tape in place of the recorded ones, and the test is replayed (`reports.replay`):
the same test judges, with the same bank item, and every other answer is the recorded one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal

from matrix.errors import ConfigError, HostError, Problem
from matrix.judging.status import Status
from reports.evidence import kept
from reports.evidence import types as record
from reports.evidence.files import format_line, read_records
from reports.evidence.kept import Exchange, KeptTape, Unreadable
from reports.evidence.types import Found, Kept, Record, Result, Run
from reports.replay.run import run_replay

Json = Any
Word = Literal["right now", "same", "differs"]
FOLDER: Final = "judge"
EVIDENCE: Final = "evidence.jsonl"
FACTS: Final = "reproduction.json"
PASSED: Final = frozenset({Status.PASS, Status.MEASURED, Status.XPASS})
EVENTS: Final = "text/event-stream"
CANNOT: Final = "the check cannot be run again"
# What differs between two failures of one kind: the answer that is quoted, and numbers. A shortened prompt gets another
# wrong answer, and is to count as the same failure all the same.
_VARIABLE: Final = re.compile(r"'[^']*'|\"[^\"]*\"|[\d.]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReply:
    """A reply to the recorded request of one exchange."""

    status: int
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedReplies:
    """What the check says of the new replies. `kind` is the failure without its variable parts."""

    word: Word
    why: str
    kind: str = ""


def read_replies(path: Path) -> Mapping[int, NewReply]:
    """Read the replies that `ask.py` saved.

    Raises:
        ConfigError: the file is not of that form.
    """
    try:
        data = json.loads(path.read_text("utf-8"))
        return {int(n): NewReply(status=int(r["status"]), body=str(r["body"])) for n, r in data.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"expected the replies that ask.py saves: {error}"
        raise ConfigError([Problem(str(path), 0, "", why)]) from None


def judge_replies(folder: Path, replies: Mapping[int, NewReply]) -> JudgedReplies:
    """Judge new replies to the requests of a reproduction folder.

    Raises:
        ConfigError: the folder has no tape, or is no reproduction.
        HostError: the check cannot be run again.
    """
    facts = read_facts(folder)
    source = folder / FOLDER / EVIDENCE
    records = read_records(source)
    own = next((r for r in records if isinstance(r, Kept)), None)
    if own is None:
        raise ConfigError([Problem(str(source), 0, "", "it holds no `kept` record")])
    try:
        tape = kept.read_tape(kept.folder_of(source), own.sha256)
    except Unreadable as error:
        raise ConfigError([Problem(str(source), 0, "", str(error))]) from None
    with TemporaryDirectory(prefix="glm-repro-") as place:
        path, target = Path(place) / EVIDENCE, Path(place) / "derived.jsonl"
        write_test(path, records, replace_answers(tape, replies))
        done = run_replay(path, own.run, target)
        try:
            derived = read_records(target)
        except ConfigError:
            raise HostError(f"{CANNOT}: {(done.stdout + done.stderr).strip()[-400:]}") from None
    return decide_word(facts, derived)


def read_facts(folder: Path) -> Mapping[str, Json]:
    """Read what a reproduction folder is about.

    Raises:
        ConfigError: it is no such folder.
    """
    try:
        found = json.loads((folder / FACTS).read_text("utf-8"))
        if not isinstance(found, dict):
            raise ValueError("expected a JSON object")
    except (OSError, ValueError) as error:
        why = f"this is no folder that `glm-matrix repro` wrote: {error}"
        raise ConfigError([Problem(str(folder / FACTS), 0, "", why)]) from None
    return found


def write_test(path: Path, records: Sequence[Record], tape: KeptTape) -> None:
    """Write the evidence of one test that can be replayed: its run, and its tape beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = kept.write_tape(kept.folder_of(path), tape)
    run = next(r for r in records if isinstance(r, Run))
    own = next(r for r in records if isinstance(r, Kept) and r.nodeid == tape.nodeid)
    renewed = replace(own, sha256=stored.sha256, bytes=stored.bytes)
    path.write_bytes(b"".join(format_line(record.dump_record(r)) for r in (run, renewed)))


def replace_answers(tape: KeptTape, replies: Mapping[int, NewReply]) -> KeptTape:
    """Put new replies in place of the recorded answers of these exchanges."""
    made = [_replace_answer(e, replies[n]) if n in replies else e for n, e in enumerate(tape.exchanges)]
    return replace(tape, exchanges=tuple(made))


def _replace_answer(each: Exchange, reply: NewReply) -> Exchange:
    question = each.question if isinstance(each.question, Mapping) else {}
    body = _rename_model(reply.body, question.get("body"))
    events = body.lstrip().startswith("data:")
    answer = {
        "status": reply.status,
        "headers": {"content-type": EVENTS if events else "application/json"},
        "body": body,
        "at_s": [0.001],  # as one piece: `ask.py` does not record when the parts of a stream came
        "sizes": [len(body.encode("utf-8", "surrogatepass"))],
        "whole": True,
    }
    return replace(each, answer=answer, dropped="")


def _rename_model(text: str, asked: Json) -> str:
    """Rename the model in a reply as the recorded request names it: the other server may use another name."""
    try:
        wanted = (json.loads(asked) if isinstance(asked, str) else asked or {}).get("model")
    except (ValueError, AttributeError):
        return text
    lines = text.splitlines(keepends=True) if text.lstrip().startswith("data:") else [text]
    return "".join(_rename_line(line, wanted) for line in lines) if wanted else text


def _rename_line(line: str, model: str) -> str:
    prefix = "data: " if line.startswith("data:") else ""
    try:
        data = json.loads(line.removeprefix("data:"))
    except ValueError:
        return line
    if not isinstance(data, dict) or "model" not in data or data["model"] == model:
        return line
    return f"{prefix}{json.dumps({**data, 'model': model})}{line[len(line.rstrip()) :]}"


def decide_word(facts: Mapping[str, Json], derived: Sequence[Record]) -> JudgedReplies:
    """Compare the derived records of the test with the recorded failure.

    Raises:
        HostError: the test did not judge the reply.
    """
    own = [r for r in derived if r.nodeid == facts["nodeid"]]
    result = next((r for r in own if isinstance(r, Result)), None)
    # An error of ours or of this machine is no word about the reply; "differs" would be taken for one.
    if result is None or result.status in (Status.TEST_ERROR, Status.HOST_ERROR):
        raise HostError(f"{CANNOT}: {result.message if result else 'there is no such test today'}")
    # A test may ask one item several times with one check, so a finding is known by its place among its equals, too.
    alike = [r for r in own if isinstance(r, Found) and (r.check, r.item) == (facts["check"], facts["item"])]
    if facts["check"] and len(alike) > facts["nth"]:
        return _decide_finding(facts, alike[facts["nth"]])
    # The finding is not there: the test ended before it, and how it ended is all that can be compared.
    if facts["check"] or result.status not in PASSED:
        return _decide_result(facts, result)
    return JudgedReplies(word="right now", why=f"{facts['nodeid']} passes with the new reply\n")


def _decide_finding(facts: Mapping[str, Json], found: Found) -> JudgedReplies:
    if found.ok:
        return JudgedReplies(word="right now", why=f"{found.check} is ok now\n")
    same = (found.expected, found.got, found.detail) == (facts["expected"], facts["got"], facts["detail"])
    why = f"{found.check} is still not ok: {found.detail}\n"
    return JudgedReplies(word="same" if same else "differs", why=why, kind=strip_variable(found.detail))


def _decide_result(facts: Mapping[str, Json], result: Result) -> JudgedReplies:
    same = result.message == facts["message"] and result.status not in PASSED
    why = f"the test came to {result.status}: {result.message}\n"
    return JudgedReplies(word="same" if same else "differs", why=why, kind=strip_variable(result.message))


def strip_variable(text: str) -> str:
    """Strip what differs between two failures of one kind: quoted text and numbers."""
    return _VARIABLE.sub("_", text)
