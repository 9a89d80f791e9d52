"""Evaluate facts for every release: `glm-matrix facts [NAME] [--release ID] [--json]`.

Without a name: every fact in one line, with the releases in which it holds. With one: each release, and what decided.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence

from packaging.utils import canonicalize_name

from matrix.errors import ConfigError, MatrixError, Problem, suggest_nearest
from matrix.facts.evaluate import FactVerdict, evaluate_fact, group_ranges
from matrix.facts.model import Fact, load_facts
from matrix.facts.releases import PACKAGES
from matrix.output.command_line import CommandLine
from matrix.preflight.snapshot import list_releases, snapshot_for

MOST_SHOWN = 12
WORDS = {True: "holds", False: "does not", None: "unknown"}


def make_parser() -> argparse.ArgumentParser:
    own = CommandLine(
        prog="glm-matrix facts", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    own.add_argument("name", nargs="?", help="one fact, release by release")
    own.add_argument("--release", metavar="ID", help="only this release, e.g. vllm_0_33_0 or vllm==0.33.0")
    own.add_argument("--json", action="store_true", help="every verdict as JSON")
    return own


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0, or 2 for a fact that does not exist or a file that does not load."""
    options = make_parser().parse_args(arguments)
    try:
        facts = load_facts()
        if options.name and options.name not in facts:
            raise ConfigError(
                [Problem("facts.yaml", 0, "", f"no fact {options.name!r}{_suggest_facts(options.name, facts)}")]
            )
        release = _find_release(options.release) if options.release else None
        chosen = [facts[options.name]] if options.name else list(facts.values())
        found = {f.id: [v for v in evaluate_fact(f, facts) if release in (None, v.release)] for f in chosen}
    except MatrixError as error:
        print(error, file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps({name: [_row(v) for v in verdicts] for name, verdicts in found.items()}, indent=1))
    elif options.name or options.release:
        # A fact of another engine than the asked release has no verdict there, and no line.
        said = [_whole(facts[name], verdicts) for name, verdicts in found.items() if verdicts]
        print("\n\n".join(said) or f"{release}: no fact is asked of it; facts are about the engines' own text.")
    else:
        print("\n".join(_line(facts[name], verdicts) for name, verdicts in found.items()))
    return 0


def _suggest_facts(text: str, known: Iterable[str]) -> str:
    """Return the facts whose names hold the text, since nobody knows a whole one; else the nearest."""
    held = sorted(name for name in known if text.lower() in name)
    if len(held) < 2:
        return suggest_nearest(held[0] if held else text, known)
    return f"; with this in their names: {', '.join(held[:MOST_SHOWN])}"


def _find_release(text: str) -> str:
    """Return the id of the release that an id, a requirement or a bare version names.

    Raises:
        ConfigError: none, or several; names the nearest, or those.
    """
    known = {s.release: (s.engine, s.version) for r in list_releases() if (s := snapshot_for(r)) is not None}
    name, _, version = text.replace(" ", "").rpartition("==")
    engine = {package: engine for engine, package in PACKAGES.items()}.get(canonicalize_name(name), name)
    found = [r for r, (e, v) in known.items() if r == text or (v == version.removeprefix("v") and engine in ("", e))]
    if len(found) == 1:
        return found[0]
    several = f"names several: {', '.join(found)}" if found else f"is no release{suggest_nearest(text, known)}"
    raise ConfigError([Problem("--release", 0, repr(text), several)])


def _row(verdict: FactVerdict) -> dict[str, object]:
    return {"release": verdict.release, "holds": verdict.answer.holds, "why": verdict.answer.why}


def _line(fact: Fact, verdicts: Sequence[FactVerdict]) -> str:
    """`vllm_sm120_dsa    0.24.0 to 0.25.1, 0.30.0 to 0.33.0; unknown in 0.21.0    expected, not run`."""
    spans = [_span(group) for holds, group in group_ranges(verdicts) if holds]
    unknown = [_span(group) for holds, group in group_ranges(verdicts) if holds is None]
    said = ", ".join(spans) or ("no release" if verdicts else "no snapshot to ask")
    return f"{fact.id:38} {said}{'; unknown in ' + ', '.join(unknown) if unknown else ''}  [{fact.standing}]"


def _span(group: Sequence[FactVerdict]) -> str:
    first, last = group[0].version, group[-1].version
    return str(first) if first == last else f"{first} to {last}"


def _whole(fact: Fact, verdicts: Sequence[FactVerdict]) -> str:
    head = f"{fact.id}: {fact.says}\n  source: {fact.source} ({fact.standing})"
    return "\n".join([head, *(f"  {v.release:24} {WORDS[v.answer.holds]:9} {v.answer.why}" for v in verdicts)])


if __name__ == "__main__":
    sys.exit(main())
