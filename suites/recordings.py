"""What the canary's next tokens are when attention is sparse, shared, destructively shared or dense.

    python -m suites.recordings          record again: after every change of the weights or of the bank (a minute)

The engine's own numbers of an earlier run, one per way it may compute: the *ablation* rung. (The oracle's numbers, by
transformers in float32, are tests/fixtures/canary/reference_logprobs.json.) They are compared only with the launches
they speak about: llama.cpp, the BF16 canary's own weights (a pruned one has others) and the recorded index_topk.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fixtures.banks.bank import Bank
from fixtures.banks.canary_bank import CanaryBank
from fixtures.banks.item import Item
from fixtures.canary.checkpoint import CheckpointDirectory
from fixtures.client import Client
from fixtures.tape import LIVE, Tape
from fixtures.weights import find
from matrix.checkout import CHECKOUT
from matrix.errors import ConfigError, EngineReplyMalformed, Problem
from matrix.logprobs import Logprobs, by_recording, distance, named, unsound
from matrix.model import Cell
from matrix.observation import Rung
from matrix.plan import Plan
from matrix.proof import Proof
from suites.checks import frozen

FILE = CHECKOUT / "suites" / "data" / "canary_recordings.json"
COMMAND = "python -m suites.recordings"
PROMPT_TOKENS = 700  # asked of the bank, which makes 644: beyond index_topk 256 by a factor at which patterns part
TOP = 20
MAX_TOKENS = 24
KEPT_CHARS = 20_000  # of a reply that is no evidence of anything but its engine's fault
ROOM = 2.0  # times the noise must fit into the tolerance: another CPU may round otherwise than the recording one
DENSE = "dense"


def proofs(cell: Cell, plan: Plan, client: Client, bank: Bank, file: Path = FILE) -> Iterator[Proof]:
    """Sparse attention and IndexCache by the numbers, for launches that there are recordings of.

    Raises:
        ConfigError: the recordings are of other weights or of another prompt; the message names the command.
        EngineReplyMalformed: its logprobs are no numbers.
    """
    checkpoint = cell.checkpoint
    if cell.engine.dialect != "llamacpp" or not checkpoint.canary or checkpoint.format != "bf16" or checkpoint.made_by:
        return
    recorded = json.loads(file.read_text(encoding="utf-8"))
    item = prompt(bank)
    require_current(recorded, cell, item, file, client.tape)
    topk = int(plan.settings["index_topk"])
    if topk != recorded["index_topk"]:
        return
    reply = client.ask(item, max_tokens=MAX_TOKENS, top_logprobs=TOP)
    if wrong := unsound(reply.logprobs):
        raise EngineReplyMalformed(f"the engine computes no numbers: {wrong}", received=repr(reply.raw)[:KEPT_CHARS])
    tokens = reply.prompt_tokens or 0
    ways: Mapping[str, Logprobs] = recorded["ways"]
    features = ["dsa", *(["indexcache"] if "indexcache" in cell.features else [])]
    for feature in features:
        yield by_recording(
            feature, named(reply.logprobs), _rivals(ways, way(cell), feature), wanted=way(cell),
            tolerance=recorded["tolerance"], prompt_tokens=tokens, index_topk=topk, rung=Rung.ABLATION,
        )  # fmt: skip


def way(cell: Cell) -> str:
    """How the cell's layers shall select: its pattern, or all of them for themselves."""
    pattern = cell.checkpoint.index_topk_pattern if "indexcache" in cell.features else None
    return pattern or "F" * cell.checkpoint.layers


def prompt(bank: Bank) -> Item:
    """The frozen question: a needle well beyond index_topk."""
    return bank.needle(tokens=PROMPT_TOKENS, depth=0.3)


def _rivals(ways: Mapping[str, Logprobs], wanted: str, feature: str) -> dict[str, Logprobs]:
    """Dense attention for DSA; for IndexCache the other patterns too."""
    return {k: v for k, v in ways.items() if feature != "dsa" or k in (wanted, DENSE)}


def require_current(recorded: Mapping[str, Any], cell: Cell, item: Item, file: Path, tape: Tape = LIVE) -> None:
    """Raises: ConfigError, as `proofs`. Whoever replays this may not have the weights."""
    sha256 = tape.note("weights", {"checkpoint": cell.checkpoint.id}, lambda: _weights(cell))
    now = {"weights_sha256": sha256, "prompt_sha256": frozen.prompt_sha256(item)}
    frozen.require_current(file, frozen.stale(recorded, now), COMMAND)


def _weights(cell: Cell) -> str:
    return CheckpointDirectory(find(cell.checkpoint)).weights_sha256()


def record(launches: Mapping[str, Plan], chunked: Plan) -> dict[str, Any]:
    """Ask the frozen question of each launch, and once more in chunks of another size, which should change nothing.

    The tolerance is half of what the closest two ways are apart, so that at most one can be within it.

    Raises:
        ConfigError: the ways are too close for these weights and this prompt to tell them apart.
    """
    ways = {name: _asked(plan) for name, plan in launches.items()}
    base = next(iter(launches))
    noise = round(distance(_asked(chunked), ways[base]), 5)
    tolerance = round(min(distance(ways[a], ways[b]) for a in ways for b in ways if a < b) / 2, 5)
    if tolerance < ROOM * noise:
        text = f"the ways are {2 * tolerance} apart and noise is {noise}: choose a longer prompt"
        raise ConfigError([Problem(str(FILE), 0, "tolerance", text)])
    return {
        "weights_sha256": _weights(launches[base].cell), "prompt_sha256": frozen.prompt_sha256(prompt(CanaryBank())),
        "index_topk": int(launches[base].settings["index_topk"]), "engine": f"xllamacpp {version('xllamacpp')}",
        "recorded_by": COMMAND, "noise": noise, "tolerance": tolerance, "ways": ways,
    }  # fmt: skip


def _asked(plan: Plan) -> Logprobs:
    from fixtures.process_engine import ProcessLauncher

    with (
        ProcessLauncher().start(plan) as engine,
        Client(engine.base_url, engine.model, engine.api_key, access=engine.access) as client,
    ):
        reply = client.ask(prompt(CanaryBank()), max_tokens=MAX_TOKENS, top_logprobs=TOP)
    return [{t: round(v, 5) for t, v in position.items()} for position in named(reply.logprobs)]


def launches() -> tuple[dict[str, Plan], Plan]:
    """One plan per way (the cpu cells, and the baseline with the config's index_topk, which the prompt fits), and the
    baseline in small chunks."""
    from matrix.expand import expand
    from matrix.load import load
    from matrix.plan import plan
    from matrix.removal import without

    cells = {c.checkpoint.id + "." + "_".join(sorted(c.features)): c for c in _canaries(expand(load()).runnable)}
    base = plan(load(), cells["canary_bf16."])
    chosen = {way(c): plan(load(), c) for c in cells.values() if c.features == {"indexcache"}}
    ways = {way(base.cell): base, **chosen, DENSE: without(base, "config", "index_topk")}
    return ways, plan(load(), cells["canary_bf16.chunked_prefill"])


def _canaries(cells: Iterator[Cell] | tuple[Cell, ...]) -> Iterator[Cell]:
    return (c for c in cells if c.engine.dialect == "llamacpp" and c.checkpoint.format == "bf16")


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(record(*launches()), indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{FILE}\n")
