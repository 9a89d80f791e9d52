"""Runs inside the environment of one release: reads a job from standard input, writes what its parsers answered.

    job:    {"package", "root", "real": [...], "libraries": [...], "tools", "suites": [{"parser", "tool", "reasoning",
            "markers", "cases": [{"id", "reply", "thinks", "finished"}]}]}
    answer: {"standins": [...], "modules": {name: file}, "suites": {parser: {case: {"whole": OUTCOME,
            "streams": [{"n", "how", "outcome"}]}}}}, or {"error"} for a parser that cannot be made

An outcome is {"think", "say", "calls": [[name, arguments as text]]} or {"error"}. Nothing here judges.
"""

from __future__ import annotations

import importlib
import json
import logging
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from lab.parsers import standins
from lab.parsers.deliveries import list_deliveries
from lab.parsers.tokens import MarkerTokenizer

SHOWN = 3  # deliveries named per outcome
KEPT = 8  # different outcomes of one case


def make_pair(suite: Mapping[str, Any], tools: Mapping[str, Any], driver: Any) -> tuple[Any, MarkerTokenizer]:
    """Make a pair of parsers, which loads their modules, or an exception that says why there is none."""
    tokenizer = MarkerTokenizer(suite["markers"], [case["reply"] for case in suite["cases"]])
    try:
        return driver.ParserPair(suite["tool"], suite["reasoning"], tokenizer, tools), tokenizer
    except Exception as error:
        return error, tokenizer


def run_suite(suite: Mapping[str, Any], pair: Any, tokenizer: MarkerTokenizer) -> dict[str, Any]:
    """Run all cases of one pair of parsers."""
    if isinstance(pair, Exception):
        return {"error": _describe_error(pair)}
    return {case["id"]: _run_case(case, pair, tokenizer) for case in suite["cases"]}


def _run_case(case: Mapping[str, Any], pair: Any, tokenizer: MarkerTokenizer) -> dict[str, Any]:
    whole = _catch_errors(partial(pair.whole, case["reply"], case["thinks"], case["finished"]))
    groups: dict[str, dict[str, Any]] = {}
    for name, deltas, ended in list_deliveries(tokenizer.split(case["reply"])):
        outcome = _catch_errors(partial(pair.stream, deltas, case["thinks"], case["finished"], ended))
        # by outcome: hundreds of deliveries mostly give the same, and the record holds each once
        group = groups.setdefault(json.dumps(outcome), {"n": 0, "how": [], "outcome": outcome})
        group["n"] += 1
        if len(group["how"]) < SHOWN:
            group["how"].append(name)
    return {"whole": whole, "streams": _keep_first_outcomes(list(groups.values()))}


def _keep_first_outcomes(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep the first outcomes, those of all tokens at once and in groups; count the deliveries of the rest."""
    rest = groups[KEPT:]
    more = (
        [{"n": sum(group["n"] for group in rest), "how": [f"{len(rest)} other outcomes"], "outcome": None}]
        if rest
        else []
    )
    return groups[:KEPT] + more


def _catch_errors(ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return ask()
    except Exception as error:
        return {"error": _describe_error(error)}


def _describe_error(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200]


def main() -> None:
    """Answer one job."""
    job = json.load(sys.stdin)
    # standard output is the answer, and some releases log there
    logging.disable(logging.CRITICAL)
    finder = standins.install_standins(job["package"], job["root"], job["real"], job["libraries"])
    driver = importlib.import_module(f"lab.parsers.drive_{job['package']}")
    # all pairs before the seal: making them imports their modules, which may call stand-ins
    made = [make_pair(suite, job["tools"], driver) for suite in job["suites"]]
    standins.seal_standins()
    suites = {suite["parser"]: run_suite(suite, *pair) for suite, pair in zip(job["suites"], made, strict=True)}
    own = [(name, module) for name, module in list(sys.modules.items()) if name.startswith(f"{job['package']}.")]
    loaded = {name: module.__file__ for name, module in own if getattr(module, "__file__", None)}
    json.dump({"standins": finder.imported, "modules": loaded, "suites": suites}, sys.stdout)


if __name__ == "__main__":
    main()
