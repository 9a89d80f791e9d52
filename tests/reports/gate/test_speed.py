"""Throughput as a clause: told without a baseline, judged with one, and never judged by what is no baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.errors import ConfigError
from reports.compare.baselines import Baseline, collect_baseline, read_baseline
from reports.compare.slower import WATCHED, WAVE
from reports.evidence import types as record
from reports.evidence.types import Measured, Record
from reports.gate import gate, policy
from reports.gate import speed as gate_speed
from reports.gate.clauses import Throughput
from reports.gate.gate import Verdict
from tests.reports import world
from tests.reports.retried import MINUTES, again, stated
from tests.reports.world import BEGUN, EXPECTED, LAW, NOW, PLAIN, POLICY, WITH_MTP, Json

HOST: Json = {"gpus": [{"name": "NVIDIA H100 80GB HBM3"}]}
WHERE: Json = {"concurrency": 8, "output_len": 128, "depth": "quick", "client_fit": True}
HELD = replace(POLICY, throughput=Throughput(baseline="b"))
USUAL = {WAVE: 100.0, "median_ttft_ms": 50.0, "median_tpot_ms": 10.0}


def measured(value: float, name: str = WAVE, cell: str = PLAIN, fingerprint: str = "f0", **where: Any) -> Json:
    number = {"kind": "measurement", "name": name, "value": value, "unit": "u", "conditions": {**WHERE, **where}}
    return {**number, "cell": cell, "fingerprint": fingerprint}


def usual(factor: float = 1.0, **more: Any) -> list[Json]:
    return [measured(value * factor, name, **more) for name, value in USUAL.items()]


def before(
    numbers: Sequence[Json] | None = None, launches: int = 5, host: Json = HOST, run: str = "b", scatter: float = 0.001
) -> list[Record]:
    """Evidence of so many earlier launches."""
    found: list[Record] = []
    for n in range(launches):
        given = [{**m, "value": m["value"] * (1 + scatter * n)} for m in (usual() if numbers is None else numbers)]
        launch = {"kind": "launch", "cell": PLAIN, "fingerprint": "f0", "outcome": "ok"}
        fields: list[Json] = [{"kind": "run", "host": host}, launch, *given]
        found += world.seal(fields, f"{run}{n}", BEGUN - (n + 1) * MINUTES)
    return found


def run(*numbers: Json, host: Json = HOST, **more: Any) -> list[Record]:
    """Return the green run with these numbers of PLAIN."""
    return world.seal([*stated(world.green(), host=host), *numbers], **more)


def judge(records: Sequence[Record], earlier: Sequence[Record] | None = None, clause: Any = HELD) -> Verdict:
    held = None if earlier is None else collect_baseline(earlier)
    return gate.judge_evidence(clause, EXPECTED, records, now=NOW, earlier=held)


def said(verdict: Verdict) -> str:
    assert {r.rule for r in verdict.reasons} <= {gate_speed.RULE}
    return "\n".join(map(str, verdict.reasons))


def test_without_a_clause_every_verdict_says_that_speed_is_not_judged() -> None:
    verdict = judge(run(*usual(0.1)), clause=POLICY)
    assert verdict.green and verdict.told == (
        "Throughput is told and not judged: the policy has no clause `throughput`.",
    )


def test_as_fast_as_before_is_green_and_slower_is_red_with_the_numbers() -> None:
    assert said(judge(run(*usual()), before())) == ""
    found = said(judge(run(measured(80.0), *usual()[1:]), before()))
    assert f"{PLAIN}: {WAVE} (concurrency 8, depth quick, output_len 128) was 100 within 5.0% (5 launches)" in found
    assert "80 (0.798 of the baseline) in run r1" in found and "`--baseline`" in found


@pytest.mark.parametrize(("name", "slow"), [(WAVE, 90.0), ("median_ttft_ms", 56.0), ("median_tpot_ms", 11.0)])
def test_each_watched_number_is_judged_in_its_own_direction(name: str, slow: float) -> None:
    def verdict(value: float) -> Verdict:
        return judge(run(*[m | {"value": value} if m["name"] == name else m for m in usual()]), before())

    assert name in said(verdict(slow))
    assert verdict(2 * USUAL[name] - slow).green


def test_slow_on_one_launch_of_two_is_told_and_on_both_red() -> None:
    launch = next(f for f in world.green() if f["kind"] == "launch")
    once = judge(run(measured(80.0), *usual()[1:], launch, measured(100.0, attempt=2)), before())
    assert once.green and any("80 (0.798 of the baseline) in run r1; 100" in line for line in once.told)
    twice = judge(run(measured(80.0), *usual()[1:], launch, measured(81.0, attempt=2)), before())
    assert "81 (0.808 of the baseline)" in said(twice)


def retry(value: float, of: str) -> list[Record]:
    fields = [record.dump_record(r) for r in again("PASS", of=of)[:-1]]
    kept = [{k: v for k, v in f.items() if k not in ("t", "run")} for f in fields]
    numbers = [measured(value), *usual()[1:]]
    return world.seal(
        [{**f, "host": HOST} if f["kind"] == "run" else f for f in [*kept, *numbers]], "r2", BEGUN + MINUTES
    )


def test_a_retry_is_a_second_launch_and_another_run_is_none() -> None:
    slow = run(measured(80.0), *usual()[1:])
    asked = judge([*slow, *retry(100.0, "r1")], before())
    assert asked.green and any("in run r1; 100" in line and "in run r2" in line for line in asked.told)
    assert "81 (0.808" in said(judge([*slow, *retry(81.0, "r1")], before()))
    unasked = [f for f in (judge([*slow, *retry(100.0, "")], before())).reasons if f.rule == gate_speed.RULE]
    assert unasked


def test_few_earlier_launches_are_told_unless_the_clause_wants_more() -> None:
    verdict = judge(run(*usual(0.1)), before(launches=4))
    assert verdict.green and any("3 numbers have 4 earlier launches at most, 5 are wanted" in t for t in verdict.told)
    strict = replace(POLICY, throughput=Throughput(baseline="b", unjudged="red"))
    assert "5 are wanted" in said(judge(run(*usual(0.1)), before(launches=4), strict))


def test_a_folder_without_a_launch_yet_is_told_once() -> None:
    assert judge(run(*usual()), []).told == ("The baseline b holds no launch yet, so speed is told and not judged.",)
    strict = replace(POLICY, throughput=Throughput(baseline="b", unjudged="red"))
    assert "holds no launch yet" in said(judge(run(*usual()), [], strict))


def test_a_folder_may_be_of_other_cells_and_then_nothing_is_judged(tmp_path: Path) -> None:
    other = before(usual(cell="sm90x1_h100.vllm.canary.baseline"))
    (tmp_path / "sm90.jsonl").write_bytes(world.write(other))
    verdict = gate.judge_evidence(HELD, EXPECTED, run(*usual()), now=NOW, earlier=read_baseline([tmp_path]))
    assert verdict.green and any("3 numbers have 0 earlier launches at most" in line for line in verdict.told)


def test_a_policy_names_its_baseline_as_seen_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "gates").mkdir()
    file = tmp_path / "gates" / "g.yaml"
    text = "title: t\nrequire: [{glob: '*'}]\nmax_age_h: 1\nthroughput: {baseline: ../b.jsonl}\n"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"g\.yaml:4 throughput\.baseline: there is no file or folder .*b\.jsonl"):
        policy.read_baseline(*policy.load_policy(file), file.parent)
    (tmp_path / "b.jsonl").write_bytes(world.write(before()))
    earlier = policy.read_baseline(*policy.load_policy(file), file.parent)
    assert earlier is not None and earlier.cells == {PLAIN}
    file.write_text(text.partition("throughput")[0])
    assert policy.read_baseline(*policy.load_policy(file), file.parent) is None


def test_a_cell_of_which_the_baseline_has_nothing_is_told() -> None:
    assert any(
        line.startswith(f"{WITH_MTP}: its speed was not measured") for line in judge(run(*usual()), before()).told
    )


@pytest.mark.parametrize(
    ("earlier", "why"),
    [
        (before(usual(cell="sm90x1_h100.vllm.canary.baseline")), "holds no launch of a required cell: it is"),
        (before(usual(fingerprint="f7")), "refused: 5 launches of another plan (f7, and not f0)"),
        (before(usual(fingerprint="")), "refused: 5 launches of which the plan was not recorded"),
        (before(host={}), "refused: 5 launches of which the host was not recorded"),
        (before(host={"gpus": [{"name": "NVIDIA B200"}]}), "on other hardware (NVIDIA B200, and not NVIDIA H100"),
        (before(host={"cpu_count": 8, "machine": "x86_64"}), "on other hardware (8 CPU cores, x86_64, and not NVIDIA"),
    ],
)
def test_a_baseline_of_something_else_is_refused_with_its_cause(earlier: list[Record], why: str) -> None:
    assert why in said(judge(run(*usual()), earlier))


def test_what_does_not_fit_is_left_out_and_told_where_enough_does() -> None:
    mixed = [*before(), *before(usual(fingerprint="f7"), launches=2, run="old")]
    verdict = judge(run(*usual()), mixed)
    assert verdict.green and any("left out: 2 launches of another plan (f7, and not f0)" in t for t in verdict.told)


def test_evidence_is_not_its_own_baseline() -> None:
    slow = run(*usual(0.5))
    verdict = judge(slow, [*slow, *before(launches=4)])
    assert verdict.green and any("r1 is this evidence itself" in line for line in verdict.told)


def test_what_was_measured_before_and_not_now_is_red() -> None:
    found = said(judge(run(*usual()[1:]), before()))
    assert f"1 numbers that its earlier launches measured were not measured now: {WAVE}" in found
    assert "3 numbers that its earlier launches measured" in said(judge(run(), before()))
    deeper = before([*usual(), measured(7.0, depth="full")])
    assert judge(run(*usual()), deeper).green  # another depth asks other loads


def test_a_client_that_was_not_fit_judges_nothing_and_says_so() -> None:
    verdict = judge(run(measured(10.0, client_fit=False), *usual()[1:]), before())
    assert verdict.green and any("1 were measured by a client that was not fit to" in line for line in verdict.told)


def test_launches_that_scatter_are_no_baseline_and_that_is_told() -> None:
    verdict = judge(run(*usual(0.9)), before(scatter=0.3))
    assert any("is not judged: the launches before scatter so much" in line for line in verdict.told)


def test_a_baseline_that_nobody_read_is_red() -> None:
    assert "was not read" in said(judge(run(*usual())))


def test_numbers_of_two_kinds_of_hardware_are_red() -> None:
    other = run(*usual(), host={"gpus": [{"name": "NVIDIA B200"}]}, run="r2")
    found = judge([*run(*usual()), *other], before())
    assert any("different hardware" in r.text for r in found.reasons)


@LAW
@given(st.lists(st.floats(0.5, 1.5), min_size=3, max_size=3), st.data())
def test_not_measuring_is_never_as_good_as_being_fast(factors: list[float], data: st.DataObject) -> None:
    numbers = [m | {"value": m["value"] * f} for m, f in zip(usual(), factors, strict=True)]
    at = data.draw(st.integers(0, 2))
    held, less = judge(run(*numbers), before()), judge(run(*numbers[:at], *numbers[at + 1 :]), before())
    assert held.green or not less.green


@LAW
@given(st.floats(0.5, 1.5), st.floats(0.5, 1.5))
def test_a_run_that_nobody_asked_to_retry_never_makes_speed_green(first: float, second: float) -> None:
    alone = judge(run(*usual(first)), before())
    both = judge([*run(*usual(first)), *run(*usual(second), run="r2")], before())
    assert alone.green or not both.green


def test_what_is_watched_is_what_pytest_watches() -> None:
    assert set(USUAL) == set(WATCHED)
    assert all(isinstance(r, Measured) for r in before() if getattr(r, "name", ""))
    assert Baseline().cells == frozenset()


# --- against an earlier release -------------------------------------------------------------------------------------

OLD = "cpu.llamacpp_old.canary.baseline"
UPGRADED = Throughput(baseline="b", release="llamacpp_old")
WITH_SIBLING = tuple(replace(c, sibling=OLD if c.id == PLAIN else "") for c in EXPECTED)


def judge_upgrade(now: Sequence[Json], earlier: Sequence[Json], launches: int = 1, **clause: Any) -> Verdict:
    held = collect_baseline(before(earlier, launches=launches))
    wanted = replace(POLICY, throughput=replace(UPGRADED, **clause))
    return gate.judge_evidence(wanted, WITH_SIBLING, run(*now), now=NOW, earlier=held)


def usual_of_old(factor: float = 1.0) -> list[Json]:
    return [measured(value * factor, name, OLD, "another plan") for name, value in USUAL.items()]


def test_a_third_of_the_earlier_releases_speed_is_red_on_one_launch() -> None:
    found = said(judge_upgrade([measured(33.0), *usual()[1:]], usual_of_old()))
    assert f"{PLAIN}: {WAVE}" in found
    assert "was 100 of llamacpp_old (1 launches) within a factor of 2 before and is 33" in found


def test_as_fast_as_the_earlier_release_is_green_whatever_its_plan() -> None:
    verdict = judge_upgrade(usual(), usual_of_old())
    assert verdict.green, said(verdict)
    assert any("llamacpp_old is no other release of its engine" in line for line in verdict.told), "the other cells"


def test_a_tenth_less_needs_five_launches_of_the_earlier_release() -> None:
    slower = [measured(88.0), *usual()[1:]]
    assert judge_upgrade(slower, usual_of_old()).green
    assert WAVE in said(judge_upgrade(slower, usual_of_old(), launches=5))


def test_the_cells_own_launches_are_no_baseline_then() -> None:
    verdict = judge_upgrade([measured(33.0), *usual()[1:]], [*usual_of_old()[1:], measured(30.0, WAVE, OLD), *usual()])
    assert verdict.green, "33 is held against 30 of the earlier release, and not against its own 100"


def test_what_the_earlier_release_measured_must_be_measured_again() -> None:
    found = said(judge_upgrade(usual()[1:], usual_of_old()))
    assert "1 numbers that its earlier launches measured were not measured now" in found


def test_no_launch_of_the_earlier_release_is_told_and_red_on_request() -> None:
    other = [measured(1.0, WAVE, OLD, where="elsewhere")]
    assert not judge_upgrade(usual()[:1], other, unjudged="red").green


def test_a_baseline_of_other_cells_names_the_one_that_is_wanted() -> None:
    assert f"and {OLD} is required" in said(judge_upgrade(usual(), usual()))
