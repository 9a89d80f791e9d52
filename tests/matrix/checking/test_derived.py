"""What checks.yaml says that SGLang chooses by itself, against what the deciding functions of each release come to."""

from __future__ import annotations

from typing import Any

import pytest

from matrix.checking.rules import derive, read_book
from matrix.facts.evaluate import releases_of
from matrix.preflight.snapshot import Snapshot

GLM = "GlmMoeDsaForCausalLM"
ASKED = [(sm, kv) for sm in (90, 100, 120) for kv in ("auto", "bfloat16", "fp8_e4m3")]
# The KV dtype of this one depends on the quantisation and on data parallelism, which the table does not ask.
PRERELEASE = "0.5.10rc0"
RELEASES = [s for s in releases_of("sglang") if s.version != PRERELEASE]


def by_hand(snapshot: Snapshot, sm: int, kv: str) -> str:
    facts: dict[str, Any] = {
        "engine": "sglang", "version": snapshot.version, "architecture": GLM, "sparse": True, "dsa": True, "sm": sm,
        "sm_family": sm // 10, "kv_given": kv, "dsa_prefill_given": None, "dsa_decode_given": None, "fork": False,
    }  # fmt: skip
    derive(facts, read_book().derived)
    return f"{facts.get('dsa_prefill')}, {facts.get('dsa_decode')}"


@pytest.mark.parametrize("snapshot", RELEASES, ids=lambda s: s.release)
def test_what_is_written_by_hand_is_what_the_release_comes_to(snapshot: Snapshot) -> None:
    told = {key: snapshot.chosen[f"{GLM} sm{key[0]} {key[1]}"].partition(" (")[0] for key in ASKED}
    assert {key: by_hand(snapshot, *key) for key in ASKED} == told
