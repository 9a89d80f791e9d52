"""Generates docs/reference/parsers.md: what each release's own parsers made of the corpus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ci.reference.markdown import format_code, format_table
from matrix.facts.evaluate import evaluate_fact, group_ranges
from matrix.facts.model import load_facts
from matrix.parsers.corpus import load_corpus
from matrix.parsers.findings import RARE, REACHES, ParserFinding, group_wrongs, list_wrongs, load_notes, notes_of
from matrix.parsers.judge import KINDS
from matrix.parsers.record import load_refusals, load_releases
from matrix.parsers.sources import load_sources
from matrix.parsers.table import count_common, list_pairs, list_topics, name_range, ran_of, topic_rows

HEAD: Final = """# Parsers

The tool-call and reasoning parsers of {releases} releases, run without a GPU: the code of each wheel, unmodified
(its files are held against the wheel's RECORD), over {cases} replies in {formats} formats, whole and cut at every
token. A reply is what the model's chat template makes of an answer, so a parser is right when it is the inverse of the
template. Nothing here was served: what a server does around its parsers (grammars, stop strings) is not in it. Where
the index holds a stub without code, the files are those of the release's source,
[each held against a digest](#read-from-source).

`glm-matrix parsers` prints these tables, `--release vllm==0.33.0` each finding of a release, `--case commit_hash` one
reply and what each release made of it. [Run the parsers](../how-to/run-the-parsers.md) says how it is made and what it
cannot see.
"""
CELLS: Final = """A cell is `whole/streamed/backlog`: cases that are wrong when the reply is parsed whole; when it is
streamed, token by token or in groups of two to five as accepted drafts make them; and only when it arrives in larger
pieces, as a busy server merges them. `-`: all right. A stream is told only where it is wrong in another way than the
whole.
"""
STANDING: Final = """TensorRT-LLM's package on the index has no code, `transformers serve` takes no parser by name. A
release that has none for GLM gives calls to the client as text, markup and all. llama.cpp reads replies by the chat
template (`common_chat_parse`, in C++). The embedded wheel exports it to no caller, its `Server` has
`handle_chat_completions` alone, and the grammar that would make a model write the corpus is refused beside tools
(`Cannot use custom grammar constraints with tools.`): it cannot be asked offline, and the tools suite asks a server.
`glm-matrix facts NAME` tells what decides in each release.
"""
STANDING_FACTS: Final = (
    "trtllm_parses_glm45",
    "trtllm_parses_glm47",
    "transformers_serve_parses_glm",
    "transformers_serve_splits_thinking",
)
ANSWERS: Final = {True: "yes", False: "no", None: "not known"}
OPTIONS: Final = ("--tool-call-parser", "--reasoning-parser")
FLAGS: Final = {"trtllm": ("--tool_parser", "--reasoning_parser")}


def make_page() -> str:
    """Make the page."""
    corpus = load_corpus()
    head = HEAD.format(
        releases=len(load_releases()),
        cases=len(corpus.cases),
        formats=len({case.format for case in corpus.cases.values()}),
    )
    body = (CELLS, *_tables(), *_standing(), *_refusals(), "## What is wrong\n", *_findings())
    body = (*body, *_sources(), "## Words\n", *_words())
    parts = (head, "## Which release\n", *body)
    return "\n".join(parts) + "\n"


def _tables() -> Iterator[str]:
    for engine, pair in list_pairs():
        topics = list_topics(pair)
        header = ("releases", f"all {sum(topics.values())}", *(f"{topic} {count}" for topic, count in topics.items()))
        tool, _, reasoning = pair.partition("+")
        call, thinking = FLAGS.get(engine, OPTIONS)
        yield f"### {engine}: `{call} {tool} {thinking} {reasoning}`\n"
        yield format_table(header, topic_rows(engine, pair))
        counts = count_common(engine, pair)
        best = [release for release, count in counts.items() if count == min(counts.values())]
        common = sum(count for topic, count in topics.items() if topic not in RARE)
        fewest = min(counts.values())
        yield f"Fewest wrong of the {common} common cases, whole or streamed: {fewest}, in {name_range(best)}.\n"


def _refusals() -> Iterator[str]:
    yield "## What a release does not register\n"
    yield "The release's own factory was asked for these names, and has none of them; so its option refuses them.\n"
    rows = [
        [engine, format_code(pair), name_range([r for r in releases if releases[r] == why]), format_code(why)]
        for (engine, pair), releases in load_refusals().items()
        for why in dict.fromkeys(releases.values())
    ]
    yield format_table(("engine", "tool call parser + reasoning parser", "releases", "its answer"), rows)


def _standing() -> Iterator[str]:
    """Tell of engines whose parsers did not all run whether a release has one for GLM at all, and what decides it."""
    yield "## Whether a release has a parser for GLM\n"
    yield STANDING
    rows = []
    for name in STANDING_FACTS:
        fact = load_facts()[name]
        for holds, run in group_ranges(evaluate_fact(fact, load_facts())):
            versions = " to ".join(dict.fromkeys(str(verdict.version) for verdict in (run[0], run[-1])))
            why = run[-1].answer.why.split(" (main,")[0]
            rows.append([fact.engine, format_code(name), versions, ANSWERS[holds], why])
    yield format_table(("engine", "fact", "releases", "answer", "what decides, in the last of them"), rows)
    yield "\n".join(f"- `{name}`: {load_facts()[name].says}" for name in STANDING_FACTS) + "\n"


def _sources() -> Iterator[str]:
    yield "## Read from source\n"
    rows = [[s.release, s.origin, str(len(s.files)), " ".join(s.decides.split())] for s in load_sources().values()]
    yield format_table(("release", "where", "files", "what decides that it is that release"), rows)


def _findings() -> Iterator[str]:
    yield "In order of damage; first what any client meets, then what takes a rare value or a busy server.\n"
    for engine, pair in list_pairs():
        found = group_wrongs(w for w in list_wrongs() if (w.engine, w.pair) == (engine, pair))
        newest = ran_of(engine, pair)[0]
        still = [finding for finding in found if newest in finding.releases]
        past = [finding for finding in found if newest not in finding.releases]
        for title, findings in (
            (f"{engine} {pair}: in its newest release", still),
            (f"{engine} {pair}: no more", past),
        ):
            if findings:
                yield f"### {title}\n"
                yield format_table(
                    ("kind", "reply arrives", "topic", "cases", "releases", "e.g."), [_row(f) for f in findings]
                )


def _row(finding: ParserFinding) -> list[str]:
    cases = ", ".join(format_code(case) for case in finding.cases)
    links = "".join(
        f"; [{note.issue.rpartition('github.com/')[2]}]({note.issue})" for note in notes_of(finding) if note.issue
    )
    example = f"{format_code(finding.what.replace('|', '¦'))}{links}"
    return [finding.kind, finding.reach, finding.topic, cases, name_range(finding.releases), example]


def _words() -> Iterator[str]:
    yield format_table(("kind", "what it means"), [[kind, says] for kind, says in KINDS.items()])
    yield format_table(("reply arrives", "what it means"), [[reach, says] for reach, says in REACHES.items()])
    notes = [[note.id, note.says, f"<{note.issue}>" if note.issue else ""] for note in load_notes()]
    yield "What is known beside the runs:\n"
    yield format_table(("note", "what it says", "public report"), notes)
    yield f"Rare topics: {', '.join(sorted(RARE))}. Rule of the right answer: {load_corpus().source}"
