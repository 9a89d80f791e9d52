"""Known failures of the matrix that speak of a line like this one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from matrix.checking.conditions import decide_condition
from matrix.checking.finding import CheckFinding
from matrix.checking.model_config import Model
from matrix.checking.releases import AskedRelease
from matrix.checking.rules import Decision
from matrix.checkout import CHECKOUT
from matrix.preflight.snapshot import release_id
from matrix.yaml.load import load_families
from matrix.yaml.structure import require_entries

FILE: Final = CHECKOUT / "matrix" / "known_failures.yaml"
NEEDED: Final = ("id", "when", "fails.at", "fails.signature", "expect", "symptom", "issue", "source.kind", "added")
SPARSE: Final = re.compile(r"DSA|sparse|trtllm|TllmGen|indexer", re.IGNORECASE)


@cache
def read_entries() -> tuple[Mapping[str, Any], ...]:
    """All entries of matrix/known_failures.yaml, as written."""
    return tuple(require_entries(FILE, {"known_failures": NEEDED})["known_failures"])


def find_known(facts: Mapping[str, Any], model: Model, release: AskedRelease) -> Iterator[CheckFinding]:
    """Entries whose condition holds for the line; those about a checkpoint of the axes ask for that checkpoint."""
    asked = _cell_facts(facts, model, release)
    for entry in read_entries():
        when = dict(entry["when"])
        features = when.pop("features", [])
        without, either = _list_names(when.pop("without", [])), _list_names(when.pop("any_of", []))
        wanted = _list_names(features)
        if (
            not wanted <= asked["features"]
            or without & asked["features"]
            or (either and not either & asked["features"])
        ):
            continue
        # an entry about a key that no line has (a canary's trait) is about cells, and an unknown is no yes
        if not set(when) <= set(asked) | {"pins"} or decide_condition(when, asked) is not True:
            continue
        # the axes turn sharing on over a checkpoint with all indexers; one that shares by itself is another case
        if "indexcache" in wanted and not model.indexers_everywhere:
            continue
        if facts["dense"] is True and SPARSE.search(f"{entry['symptom']} {entry['fails']['signature']}"):
            continue  # a line that names a dense backend does not meet what sparse ones do
        yield tell_entry(entry)


@cache
def _family_id(title: str) -> str | None:
    """Find the family of the axes by its title, as models.yaml calls it."""
    return next((family.id for family in load_families().values() if family.title == title), None)


def _list_names(value: Any) -> set[str]:
    return set(value if isinstance(value, list) else [value])


def list_asked_features(facts: Mapping[str, Any]) -> set[str]:
    """List the features of the axes that a line asks for; what is not known of it asks for nothing."""
    spread = {name: _exceeds_one(facts.get(name)) for name in ("pp", "dp", "ep", "dcp", "pcp")}
    on = {
        name: facts.get(name) is True for name in ("expert_parallel", "dp_attention", "radix_off", "hicache", "eager")
    }
    asked = {
        # asked for by an override: a checkpoint whose own config shares asks for nothing
        "indexcache": facts.get("override_keys") and facts.get("shares"),
        "mtp": facts.get("draft_kind") == "mtp",
        **{kind: facts.get("draft_kind") == kind for kind in ("eagle3", "dflash", "dspark")},
        "fp8_kv": str(facts.get("kv", "")).startswith("fp8"),
        "chunked_prefill": True,
        "expert_parallel": on["expert_parallel"] or spread["ep"],
        "dp_attention": on["dp_attention"] or (facts.get("engine") == "vllm" and spread["dp"]),
        "pipeline_parallel": spread["pp"],
        "decode_context_parallel": spread["dcp"],
        "decode_context_parallel_4": facts.get("dcp") == 4,
        "prefill_context_parallel": spread["pcp"] or facts.get("prefill_cp") is True,
        "no_prefix_cache": on["radix_off"],
        "host_kv_tier": on["hicache"],
        "eager": on["eager"],
    }
    return {name for name, yes in asked.items() if yes}


def _exceeds_one(size: Any) -> bool:
    return isinstance(size, int) and size > 1


def _cell_facts(facts: Mapping[str, Any], model: Model, release: AskedRelease) -> dict[str, Any]:
    return {
        "engine": facts["engine"],
        "version": facts["version"],
        "sm": facts["sm"],
        "gpus": facts["gpus"],
        "fork": facts["fork"],
        "format": facts["format"],
        "family": _family_id(model.family),
        "release": release.id or release_id(release.engine, release.version),
        "checkpoint": model.checkpoint or None,
        # nobody serves our canaries: entries about them would be told of strangers' models
        "canary": False,
        "pins": facts["pins"],
        "features": list_asked_features(facts),
        "mtp_layer": bool(facts["mtp_layers"]) if isinstance(facts["mtp_layers"], int) else None,
    }


def tell_entry(entry: Mapping[str, Any]) -> CheckFinding:
    """Tell an entry of matrix/known_failures.yaml as a finding."""
    source = entry["source"]
    return CheckFinding(
        id=str(entry["id"]),
        # never wrong: the condition is as narrow as what was seen, and a line is seldom exactly that cell
        level="risky" if entry["expect"] == "always" else "note",
        subject=(f"known failure {entry['id']}",),
        cause=str(entry["symptom"]),
        consequence=f"Seen {_stage(entry['fails'])}.",
        remedy=f"Affected: {entry.get('affected', 'see the entry')}. Fixed: {entry.get('fixed', 'not known')}.",
        decided_by=Decision(
            kind=source["kind"] if source["kind"] in ("wheel", "run", "report") else "report",
            fact=f"matrix/known_failures.yaml {entry['id']}",
            read=str(entry["added"]),
        ),
        sources=(str(entry["issue"]),),
    )


def _stage(fails: Mapping[str, Any]) -> str:
    where = {"before_ready": "before the engine is ready", "first_request": "at the first request"}
    return where.get(str(fails["at"]), f"by {fails.get('test', 'a test')}")
