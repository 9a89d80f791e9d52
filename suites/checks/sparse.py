"""Judges by the crowd prompt whether a launch attends to the selected tokens and to no others.

Thousands of statements match the prompt's question and contradict each other, so the answer depends on how many of them
a layer attends to. Dense attention takes the other code than sparse attention.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from matrix.judging.extremes import find_smallest
from matrix.judging.kl import read_distributions, top_k_kl
from matrix.judging.logprobs import Logprobs, chosen_token, drop_drafted, find_unsound
from matrix.judging.observation import Rung
from matrix.judging.proof import FeatureProof, Outcome
from reports.evidence.finding import Finding, as_json_number
from suites.checks.frozen import prompt_sha256

CHECK: Final = "selection.crowd"
FEATURE: Final = "dsa"
Ways = Mapping[str, Logprobs]


def halve_nearest(ways: Ways, wanted: str) -> float:
    """Return the tolerance in nats per position: half of the distance from the wanted way to the nearest other one."""
    others = [top_k_kl(ways[wanted], other).mean for way, other in ways.items() if way != wanted]
    return find_smallest([float("inf"), *others]) / 2


def check_crowd(item: Item, reply: Reply, ways: Ways, *, wanted: str) -> Finding:
    """Compare the reply with what each way to attend makes of the crowd: it must be within the tolerance of the wanted
    one, and nearer to it than to any other.

    An engine that lists no logprobs of the deciding token (llama.cpp of drafted tokens) is judged by the token alone:
    the wanted one passes, another one decides nothing, because rounding may turn it.
    """
    found = drop_drafted(read_distributions(reply.logprobs))
    told = {way: top_k_kl(reference, found) for way, reference in ways.items()}
    own, wrong, allowed = told[wanted], find_unsound(reply.logprobs), halve_nearest(ways, wanted)
    # Where all of the reference agrees or a token differs; a comparison that ended before that saw no decision.
    decided = own.parted or own.positions == len(ways[wanted])
    near = own.mean <= allowed and all(own.mean < told[way].mean for way in ways if way != wanted)
    least = find_smallest([each.mean for each in told.values()])
    nearest = next((way for way in ways if decided and told[way].mean == least), "")
    return Finding(
        check=CHECK,
        ok=not wrong and (near or not decided),
        expected=f"at most {allowed:.2g} nats a position from {wanted}, and nearer to it than to any other way",
        got=", ".join(f"{way} {each.mean:.2g}" for way, each in told.items()) + f": {reply.content[:80]!r}",
        item=item.id,
        detail=wrong or ("" if near or not decided else f"of all ways to attend {nearest} is nearest"),
        sensitive=bool(wrong) or decided or _says_alone(reply, ways, wanted),
        data={
            "nats": {way: as_json_number(each.mean) for way, each in told.items()},
            "tolerance": as_json_number(allowed),
            "way": wanted,
            "nearest": nearest,
            "positions": own.positions,
            "prompt_sha256": prompt_sha256(item),
            "candidates": [{t: as_json_number(v) for t, v in position.items()} for position in found],
        },
    )


def _says_alone(reply: Reply, ways: Ways, wanted: str) -> bool:
    """Whether the reply is the text of the wanted way, and of no other."""
    texts = {way: "".join(map(chosen_token, reference)) for way, reference in ways.items()}
    same = {way for way, text in texts.items() if reply.content.strip() == text.strip()}
    return wanted in same and all(texts[way] != texts[wanted] for way in ways if way != wanted)


def prove_sparse(found: Finding, *, dense: str) -> FeatureProof | None:
    """Prove sparse attention where the launch is near its sparse reference, refute it where dense attention is nearest;
    None for a dense launch, and where the deciding token was not seen."""
    if found.data["way"] == dense or not found.data["nearest"]:
        return None
    outcome: Outcome
    if found.ok:
        outcome = "proven"
    elif found.data["nearest"] == dense:
        outcome = "refuted"
    else:
        return None
    detail = f"nats a position from transformers in float32: {found.got} (wanted {found.data['way']})"
    return FeatureProof(feature=FEATURE, outcome=outcome, rung=Rung.ORACLE, detail=detail, data=dict(found.data))
