"""Every clause that allows something names its cells, an owner, a reason and an end; a file without them is refused."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from matrix.errors import ConfigError
from matrix.yaml.load import load_matrix
from reports.gate import policy
from reports.gate.policy import Policy

END = (datetime.now(UTC) + timedelta(days=30)).date()
WHO = f"owner: me, why: seen by hand, until: {END}"
ISSUE = "https://example.org/1"
CLAUSES = {
    "unproven": f"{{cells: '*.mtp', features: [mtp], {WHO}}}",
    "predictions": f"{{cells: '*.mtp', features: [mtp], signature: mtp does not change bytes as predicted, {WHO}}}",
    "attached": f"{{cells: '*.mtp', {WHO}}}",
    "speed_unasked": f"{{cells: '*.mtp', {WHO}}}",
    "shutdown": f"{{cells: '*.mtp', signature: by SIGSEGV when stopped, issue: {ISSUE}, owner: me, until: {END}}}",
    "allow_tags": f"{{image: 'vllm/vllm-openai:*', {WHO}}}",
}
# What they are about, and what bounds them: none of these makes anything red softer.
NO_ALLOWANCES = {"title", "require", "max_age_h", "allow", "depth", "throughput"}


def write(folder: Path, key: str, clause: str) -> Path:
    path = folder / "gate.yaml"
    cells = "[{glob: 'cpu.llamacpp_*.mtp', suites: [boot]}]"
    path.write_text(f"title: t\nrequire: {cells}\nmax_age_h: 1\n{key}:{clause}\n")
    return path


def refuse(folder: Path, key: str, clause: str) -> str:
    with pytest.raises(ConfigError) as caught:
        found, doc = policy.load_policy(write(folder, key, clause))
        policy.expect_cells(found, doc, load_matrix())
    assert "gate.yaml:4" in str(caught.value) or "gate.yaml:5" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("key", CLAUSES)
def test_a_whole_clause_is_read(tmp_path: Path, key: str) -> None:
    found, doc = policy.load_policy(write(tmp_path, key, f" [{CLAUSES[key]}]"))
    assert policy.expect_cells(found, doc, load_matrix())
    assert len(getattr(found, key)) == 1


@pytest.mark.parametrize("key", CLAUSES)
@pytest.mark.parametrize("word", ["allowed", "red", "['*']"])
def test_a_word_for_all_cells_and_all_time_is_refused(tmp_path: Path, key: str, word: str) -> None:
    assert "expected" in refuse(tmp_path, key, f" {word}")


@pytest.mark.parametrize("key", CLAUSES)
@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("owner: me, ", ""), "missing key 'owner'"),
        (("why: seen by hand, ", ""), "missing key 'why'"),
        ((f", until: {END}", ""), "missing key 'until'"),
        (("owner: me", "owner: nobody"), "words are needed"),
        (("why: seen by hand", "why: '.'"), "words are needed"),
        ((str(END), "2099-01-01"), "is no end"),
    ],
)
def test_a_clause_says_who_why_and_until_when(tmp_path: Path, key: str, change: tuple[str, str], why: str) -> None:
    if key == "shutdown" and "why" in change[0]:  # its reason is an issue
        change, why = (f"issue: {ISSUE}", "issue: soon"), "expected a link"
    assert why in refuse(tmp_path, key, f" [{CLAUSES[key].replace(*change)}]")


@pytest.mark.parametrize(
    ("key", "change", "why"),
    [
        ("unproven", ("'*.mtp'", "'*.mpt'"), "matches no required cell"),
        ("predictions", ("'*.mtp'", "'*.mpt'"), "matches no required cell"),
        ("attached", ("'*.mtp'", "'*.mpt'"), "matches no required cell"),
        ("speed_unasked", ("'*.mtp'", "'*.mpt'"), "matches no required cell"),
        ("unproven", ("[mtp]", "[]"), "names no feature"),
        ("predictions", ("[mtp]", "[]"), "names no feature"),
        ("unproven", ("[mtp]", "['*']"), "none of these cells asks for '*'"),
        ("unproven", ("[mtp]", "[mpt]"), "did you mean 'mtp'?"),
        ("predictions", ("[mtp]", "[indexcache]"), "none of these cells asks for 'indexcache'"),
        ("predictions", ("mtp does not change bytes as predicted", "'.*'"), "matches an empty text"),
        ("predictions", ("mtp does not change bytes as predicted", "predicted"), "is one word"),
        ("allow_tags", ("'vllm/vllm-openai:*'", "'*'"), "name its repository"),
    ],
)
def test_a_clause_is_about_something_that_is_asked(tmp_path: Path, key: str, change: tuple[str, str], why: str) -> None:
    assert why in refuse(tmp_path, key, f" [{CLAUSES[key].replace(*change)}]")


def _find_clause_kind(annotation: Any) -> Any:
    return next((a for a in get_args(annotation) if a not in (Ellipsis, type(None))), None)


def test_every_key_that_allows_something_has_an_owner_and_an_end() -> None:
    """A new key of the policy is one of those, or is named above as none that softens."""
    hints = get_type_hints(Policy)
    for name in {f.name for f in fields(Policy)} - NO_ALLOWANCES:
        kind = _find_clause_kind(hints[name])
        keys = {f.name for f in fields(kind)}
        assert {"owner", "until"} <= keys, f"{name} ({kind.__name__}) excuses without an owner or an end"
        assert keys & {"why", "known_failure", "issue"}, f"{name} ({kind.__name__}) excuses without a reason"
