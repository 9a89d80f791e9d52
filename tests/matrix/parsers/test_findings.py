"""What is recorded is judged again here; what was seen once in a wheel's code stays seen."""

from __future__ import annotations

import pytest

from matrix.parsers.corpus import load_corpus
from matrix.parsers.findings import (
    RARE,
    REACHES,
    ParserFault,
    format_of,
    group_wrongs,
    list_wrongs,
    load_notes,
    reach_of,
)
from matrix.parsers.record import load_answers, load_releases
from matrix.parsers.summarise import dump_summary, make_summary
from matrix.parsers.summary import SUMMARY
from matrix.parsers.table import count_common, list_pairs, name_range


def test_the_plainest_delivery_counts() -> None:
    assert reach_of(["at once", "at once, ended", "by 1"]) == "token"
    assert reach_of(["at once", "by 3"]) == reach_of(["by 1, ended"]) == "drafts"
    assert reach_of(["at once", "cut at 3"]) == "backlog"


def test_every_recorded_case_is_in_the_corpus() -> None:
    cases = load_corpus().cases
    assert not {(a.pair, a.case) for a in load_answers() if (format_of(a.pair), a.case) not in cases}


def test_every_release_ran_every_case_of_a_pair() -> None:
    for engine, pair in list_pairs():
        ran = [a for a in load_answers() if (a.engine, a.pair) == (engine, pair)]
        wanted = {case.id for case in load_corpus().list_cases(format_of(pair))}
        for release in {name for a in ran for name in a.releases}:
            assert {a.case for a in ran if release in a.releases} == wanted, (release, pair)


@pytest.mark.parametrize(
    ("pair", "release", "case", "reach", "kind"),
    [
        ("deepseek_v32+deepseek-r1", "trtllm_1_3_0rc3", "off_call", "whole", "lost_call"),
        ("deepseek_v32+deepseek-r1", "trtllm_1_3_0rc3", "answer_angles", "token", "lost_text"),
        ("deepseek_v32+deepseek-r1", "trtllm_1_3_0rc3", "two_calls", "", ""),
        ("glm45+glm45", "sglang_0_5_23", "commit_hash", "whole", "wrong_value"),
        ("glm47+glm45", "sglang_0_5_23", "lone_angle", "token", "broken_json"),
        ("glm47+glm45", "vllm_0_33_0", "reference", "whole", "wrong_type"),
        ("glm47+glm45", "vllm_0_33_0", "newline_between_calls", "", ""),
        ("glm47+glm45", "vllm_0_33_0", "leading_zeros", "", ""),
    ],
)
def test_what_was_seen_stays_seen(pair: str, release: str, case: str, reach: str, kind: str) -> None:
    found = {(w.reach, w.kind) for w in list_wrongs() if (w.pair, w.release, w.case) == (pair, release, case)}
    assert (reach, kind) in found if kind else not found


def _wrong(release: str, case: str, kind: str = "lost_call", reach: str = "token", topic: str = "calls") -> ParserFault:
    return ParserFault("vllm", "glm47+glm45", release, case, topic, reach, kind, "0 of 1")  # type: ignore[arg-type]


def test_cases_that_are_wrong_alike_in_the_same_releases_are_one_finding() -> None:
    first, second = list(load_releases())[:2]
    found = group_wrongs(
        [_wrong(first, "a"), _wrong(second, "a"), _wrong(first, "b"), _wrong(second, "b"), _wrong(first, "c")]
    )
    assert {(f.releases, f.cases) for f in found} == {((first, second), ("a", "b")), ((first,), ("c",))}


def test_the_worst_comes_first_and_what_is_rare_last() -> None:
    name = next(iter(load_releases()))
    wrongs = [
        _wrong(name, "rare", topic="markup_in_value"),
        _wrong(name, "busy", reach="backlog"),
        _wrong(name, "text", kind="lost_text"),
        _wrong(name, "call"),
    ]
    assert [f.cases[0] for f in group_wrongs(wrongs)] == ["call", "text", "busy", "rare"]
    assert set(REACHES) >= {w.reach for w in wrongs}


def test_neighbouring_releases_are_a_range() -> None:
    for engine in ("sglang", "vllm"):
        names = [name for name, about in load_releases().items() if about["engine"] == engine]
        versions = [load_releases()[name]["version"] for name in names]
        assert name_range(names[:1]) == versions[0]
        assert name_range(names) == (f"{versions[0]} to {versions[-1]}" if len(names) > 2 else ", ".join(versions))
        if len(names) > 2:
            assert name_range([names[2], names[0]]) == f"{versions[0]}, {versions[2]}"


def test_every_note_is_about_something_that_is_found() -> None:
    findings = group_wrongs(list_wrongs())
    for note in load_notes():
        assert any(note.is_about(finding) for finding in findings), note.id


def test_the_summary_is_what_the_records_are_judged_to() -> None:
    assert SUMMARY.read_text(encoding="utf-8") == dump_summary(make_summary())


def test_the_releases_with_the_fewest_faults_of_common_cases_are_known() -> None:
    counts = count_common("sglang", "glm47+glm45")
    assert counts["sglang_0_5_23"] < counts["sglang_0_5_17"]
    assert next(iter(counts)) == "sglang_0_5_23"
    # Of this engine and pair alone, and without what is rare or was never asked of a release.
    own = [w for w in list_wrongs() if (w.engine, w.pair) == ("sglang", "glm47+glm45")]
    common = {(w.release, w.case) for w in own if w.topic not in RARE and w.reach != "backlog"}
    assert counts == {release: len({case for name, case in common if name == release}) for release in counts}
    assert sum(counts.values()) == len(common) < len({(w.release, w.case) for w in own})
