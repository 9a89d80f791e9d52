"""Show what the tool-call and reasoning parsers of each release make of a corpus of replies."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from matrix.errors import HostError, suggest_nearest
from matrix.output.columns import format_table
from matrix.output.command_line import CommandLine
from matrix.parsers.corpus import load_corpus
from matrix.parsers.findings import REACHES, ParserFinding, format_of, group_wrongs, list_wrongs
from matrix.parsers.record import Answers, load_answers, load_releases
from matrix.parsers.table import count_cell, list_pairs, name_range, ran_of, tell_finding


def make_parser() -> argparse.ArgumentParser:
    """Return the verb's parser."""
    made = CommandLine(prog="glm-matrix parsers", description=__doc__)
    made.add_argument(
        "--release", metavar="RELEASE", help="only this one: vllm==0.33.0, vllm_0_33_0 or an engine's name"
    )
    made.add_argument("--parser", metavar="PARSER", help="only pairs with this value of --tool-call-parser, e.g. glm47")
    made.add_argument(
        "--case", metavar="CASE", help="one reply of the corpus: its text, and what each release made of it"
    )
    made.add_argument("--json", action="store_true", help="everything as JSON")
    return made


def main(words: Sequence[str] | None = None) -> int:
    """Exit codes: 0 nothing is wrong, 1 a parser is, 2 bad input."""
    options = make_parser().parse_args(words)
    try:
        engine, release = _find_release(options.release)
        pairs = _find_pairs(options.parser, engine)
        if options.case:
            return _show_case(_find_case(options.case), release, pairs, options.json)
        return _show_faults(release, pairs, options.json)
    except HostError as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _write_lines(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")


def _find_release(text: str | None) -> tuple[str | None, str | None]:
    """Return (engine, release id), each None for all."""
    known = load_releases()
    engines = {about["engine"] for about in known.values()}
    # an engine's name is no release: it narrows the table, and every release of it stays
    if text is None or text in engines:
        return text, None
    names = {name: name for name in known} | {
        f"{about['engine']}=={about['version']}": name for name, about in known.items()
    }
    if text not in names:
        raise HostError(f"--release: no parsers of {text!r} have run{suggest_nearest(text, [*names, *engines])}")
    return known[names[text]]["engine"], names[text]


def _find_pairs(text: str | None, engine: str | None) -> list[tuple[str, str]]:
    pairs = [pair for pair in list_pairs() if engine in (None, pair[0])]
    words = {word for _, pair in pairs for word in (pair, pair.partition("+")[0])}
    if text is not None and text not in words:
        raise HostError(f"--parser: {text!r} has not run{suggest_nearest(text, sorted(words))}")
    return [(own, pair) for own, pair in pairs if text in (None, pair, pair.partition("+")[0])]


def _find_case(text: str) -> str:
    ids = {case.id for case in load_corpus().cases.values()}
    if text not in ids:
        raise HostError(f"--case: no such reply {text!r}{suggest_nearest(text, sorted(ids))}")
    return text


def _show_faults(release: str | None, pairs: Sequence[tuple[str, str]], as_json: bool) -> int:
    wrongs = [w for w in list_wrongs() if (w.engine, w.pair) in pairs and release in (None, w.release)]
    findings = group_wrongs(wrongs)
    if as_json:
        _write_lines(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=1))
    elif release is None:
        rows = [[*row] for engine, pair in pairs for row in _summary(engine, pair)]
        _write_lines(format_table(rows, ("release", "parsers", "cases", "wrong whole/streamed/backlog")), _legend())
    else:
        _write_lines(*_tell_all(findings, release))
    # of what was asked about alone: another pair's fault is no answer to a question about this one
    return 1 if wrongs else 0


def _summary(engine: str, pair: str) -> Iterator[tuple[str, str, str, str]]:
    cases = len(load_corpus().list_cases(format_of(pair)))
    for release in ran_of(engine, pair):
        own = [w for w in list_wrongs() if (w.pair, w.release) == (pair, release)]
        yield release, pair, str(cases), count_cell(own)


def _tell_all(findings: Iterable[ParserFinding], release: str) -> Iterator[str]:
    about = load_releases()[release]
    yield f"{about['engine']} {about['version']}: the code of {about['wheel']}, run on {about['ran']}"
    pair = ""
    for finding in sorted(findings, key=lambda f: f.pair):
        if finding.pair != pair:
            pair = finding.pair
            yield f"\n{pair}"
        yield f"  {tell_finding(finding)}"


def _legend() -> str:
    lines = "\n".join(f"  {reach}: {says}" for reach, says in REACHES.items())
    return f"\nhow a reply arrives:\n{lines}\nglm-matrix parsers --release NAME==VERSION tells each finding."


def _show_case(case: str, release: str | None, pairs: Sequence[tuple[str, str]], as_json: bool) -> int:
    found = [
        a for a in load_answers() if a.case == case and (a.engine, a.pair) in pairs and release in (None, *a.releases)
    ]
    if as_json:
        _write_lines(json.dumps([asdict(answers) for answers in found], ensure_ascii=False, indent=1))
        return 0
    corpus = load_corpus()
    for pair in sorted({answers.pair for answers in found}):
        own = corpus.cases[format_of(pair), case]
        _write_lines(pair, f"  reply     {own.reply!r}", f"  expected  {_expected(own)}")
        for answers in (a for a in found if a.pair == pair):
            _write_lines(*_tell_answers(answers))
    return (
        1
        if any(w.case == case and (w.engine, w.pair) in pairs and release in (None, w.release) for w in list_wrongs())
        else 0
    )


def _expected(case: Any) -> str:
    parts = {"thinking": case.expected.think, "answer": case.expected.say, "calls": case.expected.calls}
    told = ", ".join(
        f"{name} {'(left open)' if value is None else json.dumps(value, ensure_ascii=False)}"
        for name, value in parts.items()
    )
    return f"{told}{f' ({case.why})' if case.why else ''}"


def _tell_answers(answers: Answers) -> Iterator[str]:
    yield f"  {answers.engine} {name_range(answers.releases)}"
    yield f"    whole     {_outcome(answers.whole)}"
    for stream in answers.streams:
        if stream["outcome"] != answers.whole:
            told = _outcome(stream["outcome"]) if stream["outcome"] else "not kept"
            yield f"    streamed  {told} in {stream['n']} deliveries: {', '.join(stream['how'])}"


def _outcome(outcome: Any) -> str:
    if "error" in outcome:
        return str(outcome["error"])
    return f"thinking {outcome['think']!r}, answer {outcome['say']!r}, calls {outcome['calls']}"
