"""Record the embedded engine's numbers for each way of attending: rewrite suites/data/canary_recordings.json.

glm-matrix record-recordings          after every change of the weights or of the bank (a minute)
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from fixtures.banks.canary_bank import CanaryBank
from fixtures.banks.item import Item
from fixtures.client.client import Client
from fixtures.launch.process.engine import ProcessLauncher
from matrix.errors import ConfigError, Problem
from matrix.judging.logprobs import Logprobs, measure_distance, read_logprobs
from matrix.judging.plan_without import without_setting
from matrix.model import Cell
from matrix.output.command_line import CommandLine
from matrix.planning.expand import expand_matrix
from matrix.planning.plan import Plan, make_plan
from matrix.planning.ranks import read_pattern
from matrix.yaml.load import load_matrix
from suites.checks import frozen
from suites.measure.recordings import (
    COMMAND,
    DENSE,
    FILE,
    MAX_TOKENS,
    TOP,
    make_prompt,
    weights_sha256,
)

ROOM = 2.0  # times the noise must fit into the tolerance: another CPU may round otherwise than the recording one


def record_ways(launches: Mapping[str, Plan], chunked: Plan) -> dict[str, Any]:
    """Ask the frozen question of each launch, and once more in chunks of another size, which should change nothing.

    The tolerance is half of what the closest two ways are apart, so that at most one can be within it.

    Raises:
        ConfigError: the ways are too close for these weights and this prompt to tell them apart.
    """
    ways = {name: _ask_launch(plan) for name, plan in launches.items()}
    base = next(iter(launches))
    noise = round(measure_distance(_ask_launch(chunked), ways[base]), 5)
    # each pair once: the distance is symmetric
    tolerance = round(min(measure_distance(ways[a], ways[b]) for a in ways for b in ways if a < b) / 2, 5)
    if tolerance < ROOM * noise:
        text = f"the ways are {2 * tolerance} apart and noise is {noise}: choose a longer prompt"
        raise ConfigError([Problem(str(FILE), 0, "tolerance", text)])
    return {
        "weights_sha256": weights_sha256(launches[base].cell),
        "prompt_sha256": frozen.prompt_sha256(_make_prompt()),
        "index_topk": int(launches[base].settings["index_topk"]),
        "engine": f"xllamacpp {version('xllamacpp')}",
        "recorded_by": COMMAND,
        "noise": noise,
        "tolerance": tolerance,
        "ways": ways,
    }


def _make_prompt() -> Item:
    item = make_prompt(CanaryBank())
    assert item is not None, "the canary's bank has such texts"
    return item


def _ask_launch(plan: Plan) -> Logprobs:
    with (
        ProcessLauncher().start(plan) as engine,
        Client(engine.base_url, engine.model, engine.api_key, access=engine.access) as client,
    ):
        reply = client.ask(_make_prompt(), max_tokens=MAX_TOKENS, top_logprobs=TOP)
    return [{t: round(v, 5) for t, v in position.items()} for position in read_logprobs(reply.logprobs)]


def list_launches() -> tuple[dict[str, Plan], Plan]:
    """Return one plan per way (the cpu cells, and the baseline with the config's index_topk, which the prompt fits),
    and the baseline in small chunks."""
    cells = {
        c.checkpoint.id + "." + "_".join(sorted(c.features)): c
        for c in _filter_canaries(expand_matrix(load_matrix()).runnable)
    }
    base = make_plan(load_matrix(), cells["canary_bf16."])
    chosen = {read_pattern(c): make_plan(load_matrix(), c) for c in cells.values() if c.features == {"indexcache"}}
    ways = {read_pattern(base.cell): base, **chosen, DENSE: without_setting(base, "config", "index_topk")}
    return ways, make_plan(load_matrix(), cells["canary_bf16.chunked_prefill"])


def _filter_canaries(cells: Iterator[Cell] | tuple[Cell, ...]) -> Iterator[Cell]:
    return (c for c in cells if c.engine.dialect == "llamacpp" and c.checkpoint.format == "bf16")


def make_parser() -> argparse.ArgumentParser:
    return CommandLine(prog="glm-matrix record-recordings", description=(__doc__ or "").splitlines()[0])


def main(argv: Sequence[str] | None = None) -> int:
    """Launch the embedded engine once a way, rewrite the file and print its path."""
    make_parser().parse_args(argv)
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(record_ways(*list_launches()), indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{FILE}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
