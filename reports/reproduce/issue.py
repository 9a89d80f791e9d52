"""Writes a failure as a text for the engine's maintainers. It posts nothing; a person reads and sends the text.

It states what evidence shows and what is not known: a reply that was not kept is not quoted, and a release that nobody
asked is in no range.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from matrix.judging.status import Status
from matrix.recorded import KnownFailure
from matrix.wording import cut_words
from reports.evidence import redact
from reports.evidence.cause_line import find_cause, find_first_line
from reports.evidence.defuse import defuse_for_code, defuse_for_terminal, defuse_line
from reports.evidence.kept import Unreadable
from reports.evidence.types import CellFacts, Record, Result
from reports.reproduce.failures import FAILED, ReproducedFailure
from reports.reproduce.requests import AskedRequest, choose_request, list_requests, read_tape_of

LOG_BYTES: Final = 64 << 10  # read from the end of a log
LOG_LINES: Final = 40
BODY_CHARS: Final = 6_000  # of a request; longer ones go into a file
REPLY_CHARS: Final = 2_000
TITLE_CHARS: Final = 160
SYMPTOM_CHARS: Final = 300  # of a known failure
PLAIN: Final = re.compile(
    r"(?!.*(?:://|\bwww\.))[^`<>@#&|*~!\\]*", re.IGNORECASE
)  # what renders as itself, links left out
NUMBERS: Final = ("signature", "candidates", "distance", "kl")  # of a finding's data
ENGINE: Final = frozenset({"engine", "version"})
GOOD: Final = frozenset({Status.PASS, Status.MEASURED, Status.XPASS})
Json = Any
Files = Sequence[tuple[Path, Sequence[Record]]]


def make_issue(
    failure: ReproducedFailure, files: Files, failures: Sequence[ReproducedFailure], known: Iterable[KnownFailure]
) -> str:
    """Make the text, in Markdown, without secrets. `failures` are all of the evidence; `known` those of the matrix."""
    text = "\n".join(_iterate_issue(failure, files, failures, list(known)))
    return redact.redact_text(f"{text}\n")


def _iterate_issue(
    failure: ReproducedFailure, files: Files, failures: Sequence[ReproducedFailure], known: Sequence[KnownFailure]
) -> Iterator[str]:
    facts = failure.facts.facts if failure.facts else {}
    yield f"# {_title(failure, facts)}\n"
    yield "## What happens\n"
    yield from _say_failure(failure)
    yield "\n## Environment\n"
    yield from _say_environment(failure, facts)
    yield "\n## How it is started\n"
    yield from _say_launch(failure, failures)
    yield "\n## Request and reply\n"
    yield from _say_request(failure)
    yield "\n## Log\n"
    yield from _say_log(failure)
    yield "\n## Releases\n"
    yield from _say_releases(failure, files)
    yield "\n## Similar reports\n"
    yield from _say_similar(failure, facts, known)


def _title(failure: ReproducedFailure, facts: Mapping[str, Json]) -> str:
    engine = _name_engine(failure, facts, str(facts.get("release", "engine")))
    found = failure.finding
    # A name of our test tells a maintainer nothing, so the check and what it got stand where a finding has no words.
    said = (found.detail or f"{found.check}: {found.got}") if found else find_cause(failure.result.message)
    start = "does not start: " if failure.at_launch else ""
    line = defuse_line(said, TITLE_CHARS * 2) or failure.result.test
    return _show_inline(cut_words(f"[{engine}] {start}{line}", TITLE_CHARS))


def _name_engine(failure: ReproducedFailure, facts: Mapping[str, Json], unknown: str) -> str:
    """Name engine and version. A version that was accepted, and not told by the server, is no fact for a maintainer."""
    version = "of unknown version" if failure.version_is_claimed else facts.get("version", "")
    return f"{facts.get('engine', unknown)} {version}".strip()


def _say_failure(failure: ReproducedFailure) -> Iterator[str]:
    found, result = failure.finding, failure.result
    yield f"The test {defuse_for_code(result.test or result.nodeid)} came to {result.status}."
    if result.known_failure:
        yield f"It fails as the known failure {defuse_for_code(result.known_failure)} says."
    if found is None:
        words = dict.fromkeys((find_first_line(result.message), find_cause(result.message)))
        yield from _quote_block("\n".join(words) if failure.at_launch else result.message, REPLY_CHARS)
        return
    item = f", item {defuse_for_code(found.item)}" if found.item else ""
    yield f"\n- check: {defuse_for_code(found.check)}{item}"
    yield f"- what is wrong: {_show_inline(found.detail) or 'see expected and got'}"
    yield "\nExpected:"
    yield from _quote_block(found.expected, REPLY_CHARS)
    yield "\nGot:"
    yield from _quote_block(found.got, REPLY_CHARS)
    if numbers := {
        name: found.data[name] for name in ("signature", "candidates", "distance", "kl") if name in found.data
    }:
        yield "\nLogprobs of this launch (nats):"
        yield from _quote_block("\n".join(_iterate_numbers(numbers)), REPLY_CHARS)


def _iterate_numbers(numbers: Mapping[str, Json]) -> Iterator[str]:
    """Yield one line for each number, and one for each position: the value before its token."""
    for name, value in numbers.items():
        if not isinstance(value, list):
            yield f"{name} {value}"
        for place, candidates in enumerate(value if isinstance(value, list) else ()):
            if isinstance(candidates, Mapping):
                yield f"{place:>3}  " + "  ".join(f"{v} {token!r}" for token, v in candidates.items())


def _say_environment(failure: ReproducedFailure, facts: Mapping[str, Json]) -> Iterator[str]:
    # of a server that was attached to nobody saw the host: the run's is the one that asked
    host = failure.run.host if failure.run and not failure.unseen else {}
    launch = failure.launch
    rows: list[tuple[str, Json]] = [
        *(("NOTE", said) for said in failure.notes),
        ("engine", _name_engine(failure, facts, "not recorded")),
        ("GPU", host.get("description") or "not recorded"),
        ("driver", host.get("driver") or "not recorded"),
        ("CUDA", host.get("cuda") or "not recorded"),
        *((name, value) for name, value in (launch.versions.items() if launch else ())),
        ("weights", f"{facts.get('checkpoint', 'not recorded')} ({facts.get('format', 'format not recorded')})"),
        ("features", ", ".join(facts.get("features", ())) or "none"),
        ("seen", f"{failure.result.t:%Y-%m-%d}"),
    ]
    if launch is not None and launch.stub:
        rows.insert(0, ("NOTE", "a stub engine answered: this is no report about a real one"))
    yield from (f"- {_show_inline(name)}: {_show_inline(str(value))}" for name, value in rows)


def _say_launch(failure: ReproducedFailure, failures: Sequence[ReproducedFailure]) -> Iterator[str]:
    smaller = find_small_cell(failure, failures)
    if smaller is None:
        yield "Whether it fails on one GPU with the small canary checkpoint, too, was not seen in this evidence.\n"
    elif smaller.cell == failure.cell:
        yield "One GPU, and a small canary checkpoint of the same architecture:\n"
    else:
        yield f"It fails the same way on one GPU with a small canary checkpoint ({defuse_for_code(smaller.cell)}):\n"
    if failure.unseen:
        yield "Not known: it was attached to. The cell that it was asked as is started like this:\n"
    # Maintainers can start a canary on one GPU; few have eight of them and 700 GB of weights at hand.
    facts = (smaller or failure).facts
    if facts is None or not facts.script.strip():
        yield "The launch script was not recorded."
    else:
        yield from _quote_block(facts.script, BODY_CHARS, "bash")


def find_small_cell(failure: ReproducedFailure, failures: Sequence[ReproducedFailure]) -> ReproducedFailure | None:
    """Find the same failure on one GPU with a canary: the same test, check, release and kind of end."""
    alike = [
        f
        for f in (failure, *failures)
        if (f.result.test, _check_of(f), f.result.how) == (failure.result.test, _check_of(failure), failure.result.how)
        and _release_of(f.facts) == _release_of(failure.facts)
    ]
    return next((f for f in alike if f.facts and f.facts.facts.get("canary") and f.facts.facts.get("gpus") == 1), None)


def _check_of(failure: ReproducedFailure) -> str:
    return failure.finding.check if failure.finding else ""


def _release_of(facts: CellFacts | None) -> str:
    return str(facts.facts.get("release", "")) if facts else ""


def _say_request(failure: ReproducedFailure) -> Iterator[str]:
    if failure.at_launch:
        yield "None: the engine did not start."
        return
    try:
        tape = read_tape_of(failure)
    except Unreadable as error:
        yield f"The request and the raw reply are not known: {error}."
        if failure.finding and (sha := failure.finding.data.get("prompt_sha256")):
            yield f"The sha256 of messages and tools is {defuse_for_code(str(sha))}."
        return
    asked = choose_request(list_requests(tape), failure.finding, failure.alike)
    if asked is None:
        yield "Its test sent no request."
        return
    yield f"Chosen among the requests of its test: {asked.why}."
    yield from _say_asked(asked)


def _say_asked(asked: AskedRequest) -> Iterator[str]:
    body = json.dumps(redact.redact_data(asked.body), ensure_ascii=False)
    if len(body) > BODY_CHARS:
        yield f"\n`{asked.method} {asked.path}`, {len(body):,} characters: attach `request.body.json`. Its beginning:"
    else:
        yield f"\n`curl $URL{asked.path} -H 'Content-Type: application/json' -d @body.json` with this body:"
    yield from _quote_block(body, BODY_CHARS, "json")
    yield f"\nThe reply (HTTP {asked.status or 'none'}):"
    yield from _quote_block(asked.reply.decode("utf-8", "replace"), REPLY_CHARS)


def _say_log(failure: ReproducedFailure) -> Iterator[str]:
    launch, result = failure.launch, failure.result
    # The log itself where this is its host; elsewhere what evidence kept of it, the words of a signature first.
    lines = _read_log(Path(launch.log)) if launch and launch.log else []
    if lines:
        yield from _quote_block("\n".join(lines), REPLY_CHARS * 2)
    elif result.matched:
        yield "The lines that the known failure's signature matches:"
        yield from _quote_block(result.matched, REPLY_CHARS)
    elif launch and launch.outcome != "ok" and launch.message:
        yield "What the log said when the launch failed:"
        yield from _quote_block(launch.message, REPLY_CHARS)
    else:
        yield "The engine's log is not on this host."


def _read_log(path: Path) -> list[str]:
    """Read the last lines of a log that lies on this host."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - LOG_BYTES))
            return file.read(LOG_BYTES).decode("utf-8", "replace").splitlines()[-LOG_LINES:]
    except OSError:
        return []


def _say_releases(failure: ReproducedFailure, files: Files) -> Iterator[str]:
    seen = gather_releases(failure, files)
    for release, statuses in sorted(seen.items()):
        # One failure makes a release bad whatever else it answered: "good" ends a search for the change that broke it.
        bad = sorted({str(s) for s in statuses if s in FAILED})
        word = f"bad ({', '.join(bad)})" if bad else "good" if statuses & GOOD else "not known"
        yield f"- {_show_inline(release)}: {word}, by this evidence"
    if len(seen) < 2:
        yield "- other releases: not asked in this evidence"
    if failure.version_is_claimed:
        yield "- the version is that of the cell that was named; the server did not tell it"


def gather_releases(failure: ReproducedFailure, files: Files) -> Mapping[str, set[Status]]:
    """Gather the statuses of the same test by release: same engine, checkpoint and features."""
    found: dict[str, set[Status]] = {}
    place = _read_launch_kind(failure.facts)  # without the rig, which the name of a release tells
    for _, records in files:
        facts = {(r.run, r.cell): r for r in records if isinstance(r, CellFacts)}
        for r in records:
            own = facts.get((r.run, r.cell))
            if isinstance(r, Result) and r.test == failure.result.test and own and _read_launch_kind(own) == place:
                release = own.facts.get("release") or "a release that was not recorded"
                named = f"{own.facts['engine']} {own.facts['version']}" if own.facts.keys() >= ENGINE else release
                name = f"{named} ({own.facts.get('rig', 'rig not recorded')})"
                found.setdefault(name, set()).add(r.status)
    return found


def _read_launch_kind(facts: CellFacts | None) -> tuple[str, str, tuple[str, ...]]:
    own = facts.facts if facts else {}
    return str(own.get("engine")), str(own.get("checkpoint")), tuple(sorted(own.get("features", ())))


def _say_similar(failure: ReproducedFailure, facts: Mapping[str, Json], known: Sequence[KnownFailure]) -> Iterator[str]:
    similar = find_similar(failure, str(facts.get("engine", "")), known)
    for entry in similar:
        own = " (this failure)" if entry.id == failure.result.known_failure else ""
        affected = f"; affected: {entry.affected}" if entry.affected else ""
        fixed = f"; fixed: {entry.fixed}" if entry.fixed else ""
        yield f"- {entry.issue}{own}: {cut_words(entry.symptom, SYMPTOM_CHARS)}{affected}{fixed}"
    if not similar:
        yield "None in this project's list of known failures; search the engine's issues before sending this."


def find_similar(failure: ReproducedFailure, engine: str, known: Sequence[KnownFailure]) -> list[KnownFailure]:
    """Find known failures of the same test and engine; the one that this failure matches comes first."""
    # An entry that this failure matched is cited whatever it names; the others must be of its engine.
    own = [k for k in known if k.id == failure.result.known_failure]
    at_launch = failure.at_launch
    same = [
        k
        for k in known
        if k not in own
        and str(k.when.get("engine", engine)) == engine
        and (k.fails.test == failure.result.test or (at_launch and k.fails.at == "before_ready"))
    ]
    return [*own, *same]


def _quote_block(text: str, most: int, language: str = "") -> Iterator[str]:
    """Quote a text as a code block that nothing in it can end."""
    shown = _show_text(text, most)
    fence = "```"
    while fence in shown:
        fence += "`"
    yield f"{fence}{language}\n{shown.rstrip()}\n{fence}"


def _show_inline(text: str, most: int = REPLY_CHARS) -> str:
    """Show a text within a line: as it is where it is plain words, else as code, in which nothing is a mention, a link
    or HTML when the text is posted."""
    line = defuse_line(text, most)
    return line if PLAIN.fullmatch(line) else defuse_for_code(line, most)


def _show_text(text: str, most: int = REPLY_CHARS) -> str:
    return defuse_for_terminal(text, most)
