"""May I upgrade? One planted difference at a time: the answer, and the line that shows the difference."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any

import pytest

from matrix.errors import ConfigError
from reports.evidence import types as record
from reports.evidence.types import Record
from reports.upgrade.cells import parse_maps
from reports.upgrade.comparison import RunComparison, compare_evidence
from reports.upgrade.forms import FORMS, render_text
from tests.reports import world
from tests.reports.world import PLAIN, WITH_MTP, Json

Change = Callable[[list[Json]], list[Json]]
LATER = world.BEGUN + timedelta(days=1)
WAVE = "wave_output_throughput"
ITEMS = 8
WHO: Json = {"cell": PLAIN, "fingerprint": "f0", "nodeid": world.nodeid("needle", PLAIN)}


def evidence() -> list[Json]:
    """Two cells with speed, launch versions and answers."""
    fields = world.green()
    for f in fields:
        if f["kind"] == "cell":
            f |= {"script": "exec engine --tp 1\n"}
        if f["kind"] == "launch":
            f |= {"versions": {"sglang": "0.5.17"}}
    for cell in (PLAIN, WITH_MTP):
        who = {"cell": cell, "fingerprint": "f0" if cell == PLAIN else "f1", "nodeid": world.nodeid("needle", cell)}
        fields.append({"kind": "measurement", **who, "name": WAVE, "value": 100.0, "unit": "tok/s"})
    answer = {"kind": "finding", **WHO, "check": "needle.found", "ok": True, "expected": "a", "got": "a"}
    return [*fields, *({**answer, "item": f"i{n}"} for n in range(ITEMS))]


@cache
def _base() -> list[Record]:
    return world.seal(evidence())


def compare(change: Change = lambda f: f, before: Change | None = None, **more: Any) -> RunComparison:
    old, new = world.seal(before(evidence())) if before else _base(), world.seal(change(evidence()), "r2", LATER)
    return compare_evidence(old, new, more.pop("maps", {}), **more)


def each(kind: str, cell: str = "", /, **changes: Any) -> Change:
    """Change the fields of all records of a kind (of a cell)."""
    return lambda fields: [{**f, **changes} if f["kind"] == kind and cell in ("", f.get("cell")) else f for f in fields]


def drop(wanted: Callable[[Json], bool]) -> Change:
    return lambda fields: [f for f in fields if not wanted(f)]


def suite(name: str, cell: str, **changes: Any) -> Change:
    return lambda fields: [
        {**f, **changes} if f["kind"] == "result" and f.get("nodeid") == world.nodeid(name, cell) else f for f in fields
    ]


def lose(count: int) -> Change:
    lost = {f"i{n}" for n in range(count)}
    return lambda fields: [{**f, "ok": False} if f.get("item") in lost and f["cell"] == PLAIN else f for f in fields]


def rename(fields: list[Json], before: str = "llamacpp", after: str = "llamacpp_next") -> list[Json]:
    return [json.loads(json.dumps(f).replace(before, after)) for f in fields]


def unproven(outcome: str) -> Change:
    return each("proof", WITH_MTP, outcome=outcome, detail="seen")


PLANTED: list[tuple[str, Change, str, str]] = [
    ("a failure", suite("needle", PLAIN, status="FAIL", message="no code"), "NO", "broken           test_finds_the_"),
    ("a known failure", suite("needle", PLAIN, status="XFAIL", **world.FITS), "NO", "PASS -> XFAIL"),
    ("a flake", suite("needle", PLAIN, status="FLAKE"), "NO", "flaky"),
    ("a hang", suite("needle", PLAIN, status="HANG"), "NO", "PASS -> HANG"),
    ("a host error", suite("needle", PLAIN, status="HOST_ERROR"), "UNKNOWN", "PASS -> HOST_ERROR"),
    ("a skip", suite("needle", PLAIN, status="SKIP_NO_HW"), "UNKNOWN", "PASS -> SKIP_NO_HW"),
    ("nothing seen", suite("needle", PLAIN, status="NOT_EVIDENCE"), "UNKNOWN", "PASS -> NOT_EVIDENCE"),
    ("an unexpected pass", suite("needle", PLAIN, status="XPASS"), "YES", "2 the same"),
    ("no result", drop(lambda f: f["kind"] == "result" and "needle" in f["nodeid"]), "UNKNOWN", "PASS -> MISSING"),
    ("no cell", drop(lambda f: f.get("cell") == PLAIN), "UNKNOWN", "no later evidence"),
    ("only selected", drop(lambda f: f.get("cell") == PLAIN and f["kind"] != "cell"), "UNKNOWN", "no later evidence"),
    ("nothing", lambda f: f[:1], "UNKNOWN", "NEW holds no cell"),
    ("a refutation", unproven("refuted"), "NO", "mtp: proven -> refuted"),
    ("a lost proof", unproven("unproven"), "NO", "proof lost"),
    ("no proof", drop(lambda f: f["kind"] == "proof"), "UNKNOWN", "mtp: proven -> not looked at"),
    ("three times slower", each("measurement", value=33.0), "NO", "speed slower"),
    ("twice as fast", each("measurement", value=250.0), "YES", "speed faster"),
    ("a bit slower, once", each("measurement", value=80.0), "YES", "speed not judged"),
    ("speed not measured", drop(lambda f: f["kind"] == "measurement"), "UNKNOWN", "speed missing"),
    ("a slow launch", each("launch", launch_s=600.0), "YES", "1 s -> 600 s (480.0 x)"),
    ("another version", each("launch", versions={"sglang": "0.5.23"}), "YES", "sglang 0.5.17 -> 0.5.23 (2 cells)"),
    ("another plan", each("cell", PLAIN, fingerprint="f9"), "UNKNOWN", "the plan now is not known"),
    ("a stub", each("launch", stub=True), "UNKNOWN", "a stub engine answered now"),
    ("no launch", drop(lambda f: f["kind"] == "launch"), "UNKNOWN", "no launch was recorded now"),
    ("another depth", each("run", depth="full"), "UNKNOWN", "asked at another depth: quick before, full now"),
    ("no depth", each("run", depth=""), "UNKNOWN", "quick before, unknown now"),
    # A pass beside a finding that is not ok is a FAIL: one lost answer says NO, and the line what luck would explain.
    ("answers within luck", lose(3), "NO", "3 of 8 lost, 0 won, exact McNemar p = 0.12, within luck: i0, i1, i2"),
    ("answers beyond luck", lose(7), "NO", "7 of 8 lost, 0 won, exact McNemar p = 0.0078, beyond luck"),
    (
        "answers, and what would be seen",
        lose(3),
        "NO",
        "0 of 1 cells answer worse (exact McNemar, Holm over the cells",
    ),
    ("items not asked", drop(lambda f: f.get("item") == "i0"), "UNKNOWN", "1 item of the earlier run not asked"),
]


@pytest.mark.parametrize(("change", "answer", "said"), [p[1:] for p in PLANTED], ids=[p[0] for p in PLANTED])
def test_a_planted_difference_decides_and_is_shown(change: Change, answer: str, said: str) -> None:
    found = compare(change)
    text = render_text(found)
    assert text.startswith(f"{answer}: ") and said in text


def test_equal_evidence_changed_nothing() -> None:
    found = compare()
    assert render_text(found) == "YES: nothing changed: 2 cells compared, 4 tests"


def test_equal_evidence_under_a_new_name_changed_nothing() -> None:
    found = compare(rename, maps={"llamacpp": "llamacpp_next"})
    assert render_text(found) == "YES: nothing changed: 2 cells compared, 4 tests"


def test_a_failure_under_a_new_name_is_paired_with_its_cell() -> None:
    found = compare(lambda f: rename(suite("needle", PLAIN, status="FAIL")(f)), maps={"llamacpp": "llamacpp_next"})
    text = render_text(found)
    assert found.counts == {"worse": 1, "unknown": 0, "better": 0, "same": 1}
    assert "WORSE   cpu.llamacpp.canary.baseline -> cpu.llamacpp_next.canary.baseline" in text


def test_a_cell_without_evidence_under_the_new_name_is_unknown() -> None:
    found = compare(lambda f: rename(drop(lambda r: r.get("cell") == PLAIN)(f)), maps={"llamacpp": "llamacpp_next"})
    assert (found.answer, found.missing) == ("UNKNOWN", 1)
    assert "cpu.llamacpp.canary.baseline -> cpu.llamacpp_next.canary.baseline" in render_text(found)


def test_cells_that_no_map_renames_are_counted_and_not_compared() -> None:
    old = [*evidence(), *rename(evidence()[1:], "llamacpp", "vllm")]
    new = rename(suite("needle", PLAIN, status="FAIL")(evidence()), "llamacpp", "vllm")
    found = compare_evidence(
        world.seal(old), world.seal([*evidence(), *new[1:]], "r2", LATER), {"llamacpp": "llamacpp"}
    )
    assert found.answer == "YES" and "2 cells of OLD that no --map renames: not compared" in render_text(found)


@pytest.mark.parametrize(
    ("maps", "said"),
    [
        ({"llamacp": "llamacpp"}, "of OLD is 'llamacp'; did you mean 'llamacpp'?"),
        ({"llamacpp": "lamacpp"}, "of NEW is 'lamacpp'; did you mean 'llamacpp'?"),
        ({"mtp": "indexcache"}, "of OLD is 'mtp'"),
    ],
)
def test_a_map_that_names_nothing_is_refused(maps: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compare(maps=maps)
    assert said in str(caught.value)


def test_a_map_that_would_pair_the_cells_is_named_where_none_was_given() -> None:
    text = render_text(compare(rename))
    assert text.startswith("UNKNOWN") and "compare again with --map llamacpp=llamacpp_next" in text
    assert "--map" not in render_text(compare()) + render_text(compare(drop(lambda f: f.get("cell") == PLAIN)))


def test_an_environment_that_is_called_after_its_release_is_no_other_version() -> None:
    """Of our own environments; an engine that was installed otherwise still tells its own."""
    old, new = each("launch", versions={"environment": "llamacpp"}), each("launch", versions={"environment": "other"})
    named = lambda fields: rename(old(fields))  # noqa: E731
    assert render_text(compare(named, old, maps={"llamacpp": "llamacpp_next"})).startswith("YES: nothing changed")
    assert "environment llamacpp -> other" in render_text(compare(new, old))


@pytest.mark.parametrize("words", [["a"], ["=b"], ["a="], ["a=b", "a=c"]])
def test_a_map_is_two_words_and_names_one_target(words: list[str]) -> None:
    with pytest.raises(ConfigError):
        parse_maps(words)
    assert parse_maps(["a=b", "c=d"]) == {"a": "b", "c": "d"}


def test_two_named_cells_are_compared_and_their_plans_told() -> None:
    found = compare(each("cell", PLAIN, script="exec engine --tp 1\nexec engine --mtp\n"), named=(PLAIN, PLAIN))
    assert found.answer == "YES" and "launch script: +exec engine --mtp" in render_text(found)
    with pytest.raises(ConfigError, match=r"did you mean 'cpu[.]llamacpp[.]canary[.]baseline'"):
        compare(named=(PLAIN[:-1], WITH_MTP))


def test_a_feature_that_the_later_cell_does_not_ask_for_owes_no_proof() -> None:
    assert compare(named=(WITH_MTP, PLAIN)).answer == "YES"


def test_another_plan_of_the_same_cell_is_unknown_unless_both_are_named() -> None:
    def replan(fields: list[Json]) -> list[Json]:
        return [{**f, "fingerprint": "f9"} if f.get("fingerprint") == "f0" else f for f in fields]

    assert "of another plan: f0 before, f9 now" in render_text(compare(replan))
    assert compare(replan).answer == "UNKNOWN"
    assert compare(replan, named=(PLAIN, PLAIN)).answer == "YES"


def damage(records: list[Record], how: str) -> list[Record]:
    match how:
        case "no end":
            return records[:-1]
        case "edited":
            return [*records[:5], *records[6:]]
        case "twice":
            return records[:1] + records
        case _:
            lost = record.Lost(t=LATER, run=records[0].run, file="e.jsonl", line=3, why="torn")
            return [*records[:-1], lost, records[-1]]


@pytest.mark.parametrize("how", ["no end", "edited", "twice", "lost"])
@pytest.mark.parametrize("side", [0, 1])
def test_a_run_that_is_not_whole_is_unknown_on_either_side(how: str, side: int) -> None:
    runs = [_base(), world.seal(evidence(), "r2", LATER)]
    runs[side] = damage(runs[side], how)
    found = compare_evidence(runs[0], runs[1], {})
    assert found.answer == "UNKNOWN" and f"{('OLD', 'NEW')[side]}, run r" in render_text(found)


@pytest.mark.parametrize("end", [{"interrupted": True}, {"exit_code": 3}])
def test_a_run_that_broke_off_is_unknown(end: dict[str, Any]) -> None:
    new = world.seal(evidence(), "r2", LATER, **end)
    assert compare_evidence(_base(), new, {}).answer == "UNKNOWN"


def test_a_regression_is_seen_in_a_run_that_is_not_whole() -> None:
    new = world.seal(suite("needle", PLAIN, status="FAIL")(evidence()), "r2", LATER)[:-1]
    assert compare_evidence(_base(), new, {}).answer == "NO"


def test_a_launch_that_fails_is_one_line_with_all_its_tests() -> None:
    def crash(fields: list[Json]) -> list[Json]:
        dead = {"outcome": "EngineExited", "message": "RuntimeError: sizes of tensors must match"}
        fields = each("launch", PLAIN, **dead)(fields)
        fields = suite("boot", PLAIN, status="CRASH", message="it died", at="before_ready", how="exit")(fields)
        fields = suite("needle", PLAIN, status="NOT_ASKED", message="it died")(fields)
        return drop(lambda f: f["kind"] in ("measurement", "finding") and f.get("cell") == PLAIN)(fields)

    found = compare(crash)
    text = render_text(found)
    assert found.answer == "NO" and "ok -> EngineExited: RuntimeError: sizes of tensors must match" in text
    assert compare(crash, crash).answer == "YES", "still failing is not worse"


@pytest.mark.parametrize(
    ("before", "after", "answer"),
    [
        ("FAIL", "PASS", "YES"),
        ("FAIL", "CRASH", "YES"),
        ("XFAIL", "FAIL", "NO"),
        ("FAIL", "XFAIL", "YES"),
        ("XFAIL", "XPASS", "YES"),
        ("HOST_ERROR", "FAIL", "UNKNOWN"),
        ("HOST_ERROR", "PASS", "YES"),
        ("HOST_ERROR", "HOST_ERROR", "UNKNOWN"),
        ("FLAKE", "FAIL", "NO"),
        ("INVALID_COMBO", "INVALID_COMBO", "YES"),
        ("MEASURED", "PASS", "YES"),
        ("NOT_RUN_AS_KNOWN", "XFAIL", "YES"),  # a canary that is damaged on purpose starts now
        ("NOT_RUN_AS_KNOWN", "FAIL", "NO"),
        ("XFAIL", "NOT_RUN_AS_KNOWN", "NO"),
    ],
)
def test_every_change_of_a_status_has_an_answer(before: str, after: str, answer: str) -> None:
    found = compare(suite("boot", PLAIN, status=after), suite("boot", PLAIN, status=before))
    assert found.answer == answer


@pytest.mark.parametrize("form", FORMS)
def test_every_form_says_the_answer_and_keeps_an_engines_text_harmless(form: str) -> None:
    hostile = "</script><script>alert(1)</script> \x1b[2J @all half \ud83d"
    found = compare(suite("needle", PLAIN, status="FAIL", message=hostile))
    text = FORMS[form](found)
    text.encode()
    assert found.headline in text.replace("&#39;", "'") and "\x1b" not in text
    if form == "json":
        assert json.loads(text)["answer"] == "NO"
    elif form != "text":
        assert "<script>" not in text


def test_noise_of_five_launches_judges_what_one_launch_cannot() -> None:
    def launches(value: float, runs: range) -> list[Record]:
        out: list[Record] = []
        for n in runs:
            fields = each("measurement", value=value * (1 + 0.002 * n))(evidence())
            out += world.seal(fields, f"r{n}", world.BEGUN + timedelta(hours=n))
        return out

    from reports.compare.baselines import collect_baseline

    earlier = collect_baseline(launches(100.0, range(5)))
    new = world.seal(each("measurement", value=80.0)(evidence()), "r9", LATER)
    old = launches(100.0, range(5, 6))
    assert compare_evidence(old, new, {}, earlier=earlier).answer == "NO"
    assert compare_evidence(old, new, {}).answer == "YES"


def test_the_h100_evidence_under_a_new_release_name_changed_nothing() -> None:
    """What filled 1,333 lines: the same cell, renamed and sealed anew."""
    from matrix.checkout import CHECKOUT

    cell = "sm90x1_h100.sglang_0_5_17.canary_bf16.indexcache"
    path = CHECKOUT / "docs/evidence/sm90-h100/canaries.jsonl"
    lines = [line for line in path.read_text("utf-8").splitlines() if f'"cell":"{cell}"' in line]
    fields = [{k: v for k, v in json.loads(line).items() if k not in ("run", "t")} for line in lines]
    fields.insert(0, {"kind": "run", "selection": [cell]})
    new = [json.loads(json.dumps(f).replace("sglang_0_5_17", "sglang_0_5_23")) for f in fields]
    found = compare_evidence(
        world.seal(fields), world.seal(new, "r2", LATER), parse_maps(["sglang_0_5_17=sglang_0_5_23"])
    )
    assert render_text(found) == "YES: nothing changed: 1 cell compared, 27 tests"


def test_numbers_stand_in_the_order_of_the_run() -> None:
    """Out of a set they came in another order at each start of Python, and the one that is shown was another."""
    where = [{"concurrency": n} for n in range(12)]

    def more(fields: list[Json]) -> list[Json]:
        number = {"kind": "measurement", **WHO, "name": WAVE, "value": 1.0, "unit": "tok/s"}
        return [*fields, *({**number, "conditions": w} for w in where)]

    found = compare(more, before=more)
    assert [s.conditions for s in found.cells[0].speed if s.conditions] == where


def test_a_number_that_a_slow_client_measured_is_not_called_unmeasured() -> None:
    text = render_text(compare(each("measurement", conditions={"client_fit": False}), before=each("measurement")))
    assert "speed not judged" in text and "client that was too slow" in text and "not measured now" not in text


def test_an_item_that_three_checks_lost_is_named_once() -> None:
    answer = {"kind": "finding", **WHO, "expected": "a", "got": "a", "item": "same"}

    def asked(ok: bool) -> Change:
        return lambda fields: [*fields, *({**answer, "check": f"tools.{n}", "ok": ok} for n in range(3))]

    text = render_text(compare(asked(ok=False), before=asked(ok=True)))
    assert "same (3 checks)" in text and "same, same" not in text
