"""Index sharing as a line asks for it: override keys that nothing reads, patterns that are wrong or come too late."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from matrix.checking.conditions import decide_condition
from matrix.checking.finding import CheckFinding, make_finding
from matrix.checking.model_config import Model, read_models
from matrix.checking.rules import read_book
from matrix.checking.settings import UNKNOWN, Settings
from matrix.checking.sharing import KEYS, Sharing, read_sharing
from matrix.preflight import pattern

INDEXER: Final = re.compile(r"layers\.(\d+)\.self_attn\.indexer\.")
UNASKED: Final = ">=0.24,<0.34,!=0.25.*,!=0.26.*,!=0.27.*,!=0.28.*"  # fact vllm_pattern_over_indexer_weights


def judge_sharing(facts: Mapping[str, Any], model: Model, settings: Settings) -> Iterator[CheckFinding]:
    """Judge every key of the override, the pattern, and what both say about the checkpoint's weights."""
    given = facts["overrides"]
    if given is UNKNOWN:
        return
    overrides = given if isinstance(given, dict) else {}
    subject, line = _find_config_place(settings)
    entry = _keys_of(facts)
    for key in overrides:
        yield from _judge_key(str(key), entry, facts, f"{subject} {key}", line)
    if facts.get("dsa"):
        yield from _patterns(facts, overrides, subject, line)
        yield from _too_late(facts, overrides, subject, line)
        yield from _find_unread_sharing(facts, entry, line)
        yield from _against_weights(facts, model, subject, line)


def _find_config_place(settings: Settings) -> tuple[str, int]:
    found = settings.given.get("overrides")
    return (found.written.split()[0], found.line) if found is not None else ("config.json", 0)


def _keys_of(facts: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the entry of checks.yaml that says which sharing keys this release reads; None if nobody looked."""
    entries = read_book().config_keys
    return next((e for e in entries if decide_condition({"engine": e["engine"], "version": e["version"]}, facts)), None)


def _judge_key(
    key: str, entry: Mapping[str, Any] | None, facts: Mapping[str, Any], subject: str, line: int
) -> Iterator[CheckFinding]:
    if key in KEYS:
        if entry is not None and key not in entry["reads"] and facts.get("dsa"):
            reads = ", ".join(entry["reads"]) or "no key of index sharing"
            yield make_finding(
                "config_key_read_by_nobody", facts, subject, line=line, key=key, reads=reads, basis=entry["source"]
            )
        return
    known = {*read_models()["known_keys"].split(), *map(str, facts["file_config"])}
    if key in known or key in facts["keys_read"]:
        return
    close = difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.75)
    hint = f"Did you mean {close[0]}?" if close else "Check the spelling, or drop it."
    yield make_finding(
        "config_key_unknown", facts, subject, line=line, key=key, hint=hint, level="risky" if close else "note"
    )


def _patterns(
    facts: Mapping[str, Any], overrides: Mapping[str, Any], subject: str, line: int
) -> Iterator[CheckFinding]:
    """Return the pattern that counts, and what else the config says about sharing."""
    config, layers, keys = facts["config"], facts["layers"], _keys_read(facts)
    text = config.get("index_topk_pattern")
    if text is not None and "index_topk_pattern" in keys and isinstance(layers, int):
        found = pattern.lint_pattern(text, layers)
        if not found.ok:
            level = "wrong" if _fatal(text, layers, facts) else "risky"
            yield make_finding(
                "pattern_is_wrong",
                facts,
                f"{subject} index_topk_pattern",
                line=line,
                level=level,  # type: ignore[arg-type]
                problems="; ".join(found.problems),
            )
    # a pattern of the line was judged above; without one the checkpoint's own keys may be wrong
    sharing = read_sharing(config, keys) if "index_topk_pattern" not in overrides else None
    if sharing is not None and sharing.problems:
        yield make_finding("sharing_keys_are_wrong", facts, subject, line=line, problems="; ".join(sharing.problems))
    yield from _disagree(facts, config, keys, subject, line)


def _fatal(text: Any, layers: int, facts: Mapping[str, Any]) -> bool:
    """Whether a wrong pattern stops the load or leaves a layer without a selection."""
    if not isinstance(text, str) or text[:1] != pattern.FULL or set(text) - {pattern.FULL, pattern.SHARED}:
        return True
    return (
        facts["engine"] == "sglang"
        and len(text) < layers
        # an unknown version counts as old: the worse case is told where none is excluded
        and decide_condition({"version": "<0.5.17"}, facts) is not False
    )


def _disagree(
    facts: Mapping[str, Any], config: Mapping[str, Any], keys: tuple[str, ...], subject: str, line: int
) -> Iterator[CheckFinding]:
    """Two keys of one config that name other layers."""
    # each key read alone, as if it were the only one: the offset belongs to the frequency and decides nothing by itself
    ways = [w for w in (read_sharing(config, (key, "index_skip_topk_offset")) for key in KEYS[:3]) if w and w.by]
    for other in ways[1:]:
        if ways[0].shared != other.shared:
            # the first layer that they differ in: somebody who compares the keys starts there
            layer = min(ways[0].shared ^ other.shared)
            counted = read_sharing(config, keys)
            decides = counted.by if counted is not None and counted.by else "neither"
            yield make_finding(
                "sharing_keys_disagree",
                facts,
                subject,
                line=line,
                first=ways[0].by,
                second=other.by,
                layer=layer,
                decides=decides,
            )
            return


def _too_late(
    facts: Mapping[str, Any], overrides: Mapping[str, Any], subject: str, line: int
) -> Iterator[CheckFinding]:
    """Report an override that has no effect because the release reads another key first."""
    asked = [key for key in ("index_topk_pattern", "index_topk_freq") if key in overrides]
    if not asked or facts["engine"] != "sglang" or "indexer_types" in overrides:
        return
    in_file = isinstance(facts["file_config"].get("indexer_types"), list)
    if decide_condition({"version": ">=0.5.20"}, facts) is True:  # fact sglang_pattern_override_comes_too_late
        why = "config.json has it" if in_file else "the transformers that it pins fills it in while it reads the config"
        yield make_finding("override_comes_too_late", facts, f"{subject} {asked[0]}", line=line, key=asked[0], why=why)


def _find_unread_sharing(
    facts: Mapping[str, Any], entry: Mapping[str, Any] | None, line: int
) -> Iterator[CheckFinding]:
    """Sharing that the checkpoint's own config states, in a key that this release does not read."""
    stated, read = read_sharing(facts["file_config"]), read_sharing(facts["config"], _keys_read(facts))
    if entry is None or stated is None or read is None or facts["sparse"] is not True:
        return
    # layers that select without having been trained to: their indexers may hold no weights
    unseen = sorted(stated.shared - read.shared)
    if unseen:
        reads = ", ".join(entry["reads"]) or "no key of index sharing"
        more = {"by": stated.by, "layer": unseen[0], "reads": reads, "basis": entry["source"]}
        yield make_finding(
            "sharing_that_the_release_does_not_see", {**facts, **more}, f"config.json {stated.by}", line=line
        )


def _keys_read(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the sharing keys that the release reads; all of them if nobody looked."""
    keys = facts.get("sharing_keys")
    return tuple(keys) if isinstance(keys, list) else KEYS


def _against_weights(facts: Mapping[str, Any], model: Model, subject: str, line: int) -> Iterator[CheckFinding]:
    """Compare the layers that select with the indexer weights that the checkpoint's index lists."""
    sharing = read_sharing(facts["config"], _keys_read(facts))
    having = {int(found[1]) for name in model.tensors if (found := INDEXER.search(name))}
    if sharing is None or facts["sparse"] is not True:
        return
    asks = facts["engine"] == "vllm" and decide_condition({"version": UNASKED}, facts) is True
    if having:
        yield from _missing(facts, sharing, having, subject, line)
    # no tensor names (only a config.json): absence of a name would prove nothing, and neither does its presence
    extra = sorted(sharing.shared & having if having else _newly_shared(facts, sharing))
    if extra and asks:
        told = "sharing_layer_with_weights" if having else "sharing_layer_of_unseen_weights"
        yield make_finding(told, facts, subject, line=line, layer=extra[0], by=sharing.by)


def _newly_shared(facts: Mapping[str, Any], sharing: Sharing) -> frozenset[int]:
    """Layers that share by the line alone, where no name and no axis tells what their checkpoint stores."""
    if facts["indexers_everywhere"] is True:  # told of these checkpoints with more certainty
        return frozenset()
    stated = read_sharing(facts["file_config"])
    return sharing.shared - (stated.shared if stated is not None else frozenset())


def _missing(
    facts: Mapping[str, Any], sharing: Sharing, having: set[int], subject: str, line: int
) -> Iterator[CheckFinding]:
    bare = sorted(set(range(sharing.layers)) - sharing.shared - having)
    if bare:
        by = sharing.by or "no key says that layers share"
        yield make_finding("selecting_layer_without_weights", facts, subject, line=line, layer=bare[0], by=by)
