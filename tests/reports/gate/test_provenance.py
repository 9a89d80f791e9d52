"""Where evidence comes from: another source, host, cell or version is red unless the policy accepts it by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from matrix.model import Cell
from matrix.planning.expand import expand_matrix
from matrix.yaml.load import load_matrix
from matrix.yaml.loaded import Matrix
from reports.evidence.files import digest_value
from reports.expected import ExpectedCell
from reports.gate import gate
from reports.gate.accepted import Deviation, add_deviations, is_accepted
from reports.gate.allowances import Unpredicted
from reports.gate.gate import Verdict
from reports.gate.policy import Policy, make_expected
from reports.gate.policy_accepted import Acceptable, Accepted
from reports.gate.provenance import add_provenance
from reports.gate.requirement import Requirement
from tests.matrix import world as matrix_world
from tests.reports import origin, world
from tests.reports.origin import COMMIT
from tests.reports.world import NOW, Json

# These records are of single cells: what a feature must change beside another one is not in them.
ALONE = Unpredicted(
    cells="*",
    features=("chunked_prefill", "indexcache", "mtp"),
    signature="cannot be judged",
    owner="me",
    why="no pairs here",
    until=date(2099, 1, 1),
)
POLICY = Policy(title="All", require=(Requirement(glob="*"),), max_age_h=24, predictions=(ALONE,))
OTHER = "0ddba11" * 5 + "0ddba"
Edit = Callable[[Json], Json]


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    return load_matrix(matrix_world.write(tmp_path_factory.mktemp("m")))


def cell_on(matrix: Matrix, rig: str, release: str = "toy_1") -> Cell:
    found = (c for c in expand_matrix(matrix).runnable if (c.rig.id, c.release.id) == (rig, release) and not c.features)
    return next(iter(found))


def edit(kind: str, **change: Any) -> Callable[[list[Json]], list[Json]]:
    return lambda fields: [f | change if f["kind"] == kind else f for f in fields]


def forge(**facts: Any) -> Callable[[list[Json]], list[Json]]:
    """Facts that were edited and hashed again."""

    def forged(f: Json) -> Json:
        if f["kind"] != "cell":
            return f
        content = {"facts": f["facts"] | facts, "script": f["script"]}
        return f | content | {"sha256": digest_value(content)}

    return lambda fields: list(map(forged, fields))


def judge(
    matrix: Matrix, cells: Sequence[Cell], runs: Sequence[list[Json]], *accepted: Accepted, commit: str = COMMIT
) -> Verdict:
    policy = replace(POLICY, accepted=accepted)
    wanted: list[ExpectedCell] = [make_expected(matrix, c) for c in cells]
    records = [r for n, fields in enumerate(runs) for r in world.seal(fields, run=f"r{n}")]
    verdict = gate.judge_evidence(policy, wanted, records, now=NOW)
    return add_provenance(verdict, wanted, records, origin.today(matrix, commit), NOW.date())


def rules(verdict: Verdict) -> list[str]:
    return [r.rule for r in verdict.reasons]


def clause(what: Acceptable, of: str = "*", until: date = date(2099, 1, 1)) -> Accepted:
    return Accepted(what=what, of=of, owner="somebody", why="known to us", until=until)


@pytest.mark.parametrize("rig", ["cpu", "sm120x4"])
def test_a_run_of_today_is_green(matrix: Matrix, rig: str) -> None:
    cell = cell_on(matrix, rig)
    verdict = judge(matrix, [cell], [origin.green(matrix, [cell])])
    assert verdict.green, verdict.reasons


GPU = {"name": "NVIDIA Big", "sm": 120}
CASES: dict[str, tuple[Callable[[list[Json]], list[Json]], str, str]] = {
    "commit": (edit("run", commit=OTHER), "another_commit", "commit (0ddba110ddba) than today's (c0ffeec0ffee)"),
    "no commit": (edit("run", commit=""), "unknown_commit", "does not say of which commit"),
    "dirty": (edit("run", dirty=True, diff_sha256="d1ff" * 16), "dirty_tree", "dirty tree"),
    "dirty, no digest": (edit("run", dirty=True), "dirty_tree", "dirty tree"),
    "a diff of a clean tree": (edit("run", diff_sha256="d1ff" * 16), "dirty_tree", "dirty tree"),
    "no tree": (edit("run", dirty=None), "unknown_tree", "does not say whether files differed"),
    "matrix": (edit("run", matrix_sha256="ab" * 32), "another_matrix", "another matrix (abababababab)"),
    "no matrix": (edit("run", matrix_sha256=""), "unknown_matrix", "does not say of which matrix"),
    "no host": (edit("run", host={}), "unknown_host", "was not recorded"),
    "another GPU under the rig's name": (
        edit("run", host={"description": "4 x Big (sm120)", "rig": "sm120x4", "gpus": [{**GPU, "name": "H100"}] * 4}),
        "another_host",
        "it ran on 4 x H100 (sm120), and sm120x4 is 4 x Big GPU (sm120)",
    ),
    "another SM": (edit("run", host={"gpus": [{**GPU, "sm": 90}] * 4}), "another_host", "4 x NVIDIA Big (sm90)"),
    "too few": (edit("run", host={"gpus": [GPU] * 3}), "another_host", "it ran on 3 x NVIDIA Big"),
    "one cut up": (edit("run", host={"gpus": [GPU] * 3 + [{**GPU, "mig": True}]}), "another_host", "3 x NVIDIA Big"),
    "no GPU": (edit("run", host={"gpus": []}), "another_host", "it ran on no GPU"),
    "no list": (edit("run", host={"cpu_count": 8}), "unknown_host", "which GPUs"),
    "nonsense": (edit("run", host={"gpus": ["Big", None]}), "unknown_host", "which GPUs"),
    "attached": (edit("launch", attached=True), "unknown_host", "the one that asked"),
    "another version": (edit("launch", versions={"xllamacpp": "2.0"}), "another_version", "2.0, and toy_1 is 1.0"),
    "no version": (edit("launch", versions={}), "unknown_version", "told no version"),
    "a version of nothing": (edit("launch", versions={"xllamacpp": "git"}), "another_version", "version git"),
    "facts, not hashed again": (edit("cell", facts={"sm": 120}), "digest", "they were edited"),
    "facts, hashed again": (forge(sm=90), "facts", "sm is 90, today 120"),
    "a fact more": (forge(extra=1), "facts", "extra is 1, today absent"),
    "script": (edit("cell", script="echo other"), "script", "not the one that launches this cell today"),
    "no digest": (edit("cell", sha256=""), "digest", "have no digest"),
}


@pytest.mark.parametrize(("change", "rule", "text"), CASES.values(), ids=CASES)
def test_what_is_not_of_today_is_red_and_named(
    matrix: Matrix, change: Callable[[list[Json]], list[Json]], rule: str, text: str
) -> None:
    cell = cell_on(matrix, "sm120x4")
    verdict = judge(matrix, [cell], [change(origin.green(matrix, [cell]))])
    assert rule in rules(verdict) and text in "\n".join(map(str, verdict.reasons))


@pytest.mark.parametrize(
    "name", [n for n, (_, rule, _) in CASES.items() if rule in ("another_host", "another_version")]
)
def test_another_host_or_version_cannot_be_accepted(matrix: Matrix, name: str) -> None:
    cell = cell_on(matrix, "sm120x4")
    clauses = [clause(what) for what in ("unknown_host", "unknown_version", "another_commit", "another_pin")]
    assert not judge(matrix, [cell], [CASES[name][0](origin.green(matrix, [cell]))], *clauses).green


ACCEPTED = {
    "commit": OTHER[:7] + "*",
    "no commit": "r0",
    "dirty": "d1ff*",
    "no tree": "r0",
    "matrix": "ab*",
    "no matrix": "r0",
    "no host": "sm120x4.*",
    "no version": "sm120x4.*",
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_clause_that_names_it_makes_it_told(matrix: Matrix, name: str) -> None:
    cell = cell_on(matrix, "sm120x4")
    change, rule, text = CASES[name]
    fields = change(origin.green(matrix, [cell]))

    def verdict(*clauses: Accepted) -> Verdict:
        return judge(matrix, [cell], [fields], *clauses)

    good = clause(rule, ACCEPTED[name])  # type: ignore[arg-type]
    found = verdict(good)
    assert found.green, found.reasons
    (told,) = (line for line in found.told if text in line)
    assert "Accepted until 2099-01-01 by somebody: known to us" in told
    assert rules(verdict(replace(good, of="another*"))) == [rule]
    late = verdict(replace(good, until=date(2026, 1, 1)))
    assert "somebody accepted that until 2026-01-01 only" in str(late.reasons[0])


def forget(name: str) -> Callable[[list[Json]], list[Json]]:
    """Take a fact out, and hash the rest again."""

    def forgotten(f: Json) -> Json:
        if f["kind"] != "cell":
            return f
        content = {"facts": {k: v for k, v in f["facts"].items() if k != name}, "script": f["script"]}
        return f | content | {"sha256": digest_value(content)}

    return lambda fields: list(map(forgotten, fields))


def test_a_fact_that_only_todays_code_knows_is_no_other_cell(matrix: Matrix) -> None:
    """A new fact made the committed evidence of every GPU red. What an older commit did know is compared as ever."""
    cell, older = cell_on(matrix, "sm120x4"), clause("another_commit", OTHER)
    then = edit("run", commit=OTHER)(forget("experts")(origin.green(matrix, [cell])))
    assert judge(matrix, [cell], [then], older).green
    assert rules(judge(matrix, [cell], [then])) == ["another_commit"]
    assert rules(judge(matrix, [cell], [forge(sm=90)(then)], older)) == ["facts"]
    now = forget("experts")(origin.green(matrix, [cell]))
    assert rules(judge(matrix, [cell], [now], older)) == ["facts"]


def test_a_cpu_rig_needs_no_gpu_but_a_host(matrix: Matrix) -> None:
    cell = cell_on(matrix, "cpu")
    fields = origin.green(matrix, [cell])
    assert judge(matrix, [cell], [edit("run", host={"cpu_count": 1, "gpus": []})(fields)]).green
    assert rules(judge(matrix, [cell], [edit("run", host={})(fields)])) == ["unknown_host"]


def test_more_gpus_than_the_rig_do_no_harm(matrix: Matrix) -> None:
    cell = cell_on(matrix, "sm120x1")
    host = origin.host_of(matrix.rigs["sm120x4"])
    host["gpus"].append({"name": "Another", "sm": 75})
    assert judge(matrix, [cell], [edit("run", host=host)(origin.green(matrix, [cell]))]).green


def test_two_runs_of_different_commits_are_red_even_where_each_is_accepted(matrix: Matrix) -> None:
    cells = [cell_on(matrix, "cpu"), cell_on(matrix, "sm120x4")]
    runs = [origin.green(matrix, [cells[0]]), origin.green(matrix, [cells[1]], OTHER)]
    assert rules(judge(matrix, cells, runs)) == ["another_commit", "several_sources"]
    assert rules(judge(matrix, cells, runs, clause("another_commit"))) == ["several_sources"]
    both = clause("several_sources", f"{OTHER[:12]}, {COMMIT[:12]}")
    assert judge(matrix, cells, runs, clause("another_commit"), both).green


def test_a_tree_that_changed_while_a_run_went_on_is_red_until_somebody_answers_for_it(matrix: Matrix) -> None:
    cell = cell_on(matrix, "sm120x4")
    wanted = [make_expected(matrix, cell)]

    def rules_of(changed: bool | None, *accepted: Accepted) -> list[str]:
        policy = replace(POLICY, accepted=accepted)
        records = world.seal(origin.green(matrix, [cell]), changed=changed, source="c0ffee+ab")
        verdict = gate.judge_evidence(policy, wanted, records, now=NOW)
        return rules(add_provenance(verdict, wanted, records, origin.today(matrix), NOW.date()))

    assert rules_of(True) == ["changed_tree"]
    assert rules_of(False) == rules_of(None) == rules_of(True, clause("changed_tree", "c0ffee+*")) == []
    assert rules_of(True, clause("dirty_tree")) == ["changed_tree"]


def test_two_runs_of_different_dirty_trees_are_two_sources(matrix: Matrix) -> None:
    cells = [cell_on(matrix, "cpu"), cell_on(matrix, "sm120x4")]
    runs = [
        edit("run", dirty=True, diff_sha256=d * 64)(origin.green(matrix, [c])) for d, c in zip("ab", cells, strict=True)
    ]
    assert rules(judge(matrix, cells, runs, clause("dirty_tree"))) == ["several_sources"]


def test_without_git_at_the_gate_no_commit_is_todays(matrix: Matrix) -> None:
    cell = cell_on(matrix, "cpu")
    assert rules(judge(matrix, [cell], [origin.green(matrix, [cell])], commit="")) == ["unknown_commit"]


def test_a_second_launch_of_another_version_is_red(matrix: Matrix) -> None:
    cell = cell_on(matrix, "cpu")
    fields = origin.green(matrix, [cell])
    second = next(f for f in fields if f["kind"] == "launch") | {"versions": {"xllamacpp": "0.9"}}
    assert rules(judge(matrix, [cell], [[fields[0], second, *fields[1:]]])) == ["another_version"]


def test_the_launch_of_another_run_says_nothing_of_the_engine_that_this_one_asked(matrix: Matrix) -> None:
    cell = cell_on(matrix, "sm120x4")
    fields = origin.green(matrix, [cell])
    asked = [f for f in fields if f["kind"] != "launch"]
    launched = [f for f in fields if f["kind"] not in ("result", "finding")]
    verdict = judge(matrix, [cell], [launched, asked])
    assert rules(verdict) == ["unknown_version"] and "run r1 recorded no launch" in str(verdict.reasons[0])


def test_a_host_that_only_skipped_does_not_speak_for_the_one_that_answered(matrix: Matrix) -> None:
    cell = cell_on(matrix, "sm120x4")
    skipped = edit("run", host={"gpus": []})(edit("result", status="SKIP_NO_HW")(origin.green(matrix, [cell])))
    skipped = [f for f in skipped if f["kind"] not in ("launch", "finding")]
    assert judge(matrix, [cell], [skipped, origin.green(matrix, [cell])]).green


def test_installed_packages_speak_for_the_version_and_the_pins(matrix: Matrix) -> None:
    cell = cell_on(matrix, "cpu")
    release = replace(cell.release, requirement="toy-engine[all]==1.0", pins={"torch": "==2.11.0"})
    wanted = replace(make_expected(matrix, cell), release=release)

    def found(**versions: str) -> list[str]:
        records = world.seal(edit("launch", versions=versions)(origin.green(matrix, [cell])))
        verdict = gate.judge_evidence(POLICY, [wanted], records, now=NOW)
        return rules(add_provenance(verdict, [wanted], records, origin.today(matrix), NOW.date()))

    assert found(toy_engine="1.0+cu130", torch="2.11.0+cu130") == []
    assert found(toy_engine="1.1", xllamacpp="1.0") == ["another_version"]
    assert found(toy_engine="1.0", torch="2.10.0") == ["another_pin"]
    assert found(torch="2.11.0") == ["unknown_version"]


def test_an_image_that_is_not_the_pinned_one_is_red(matrix: Matrix) -> None:
    cell = cell_on(matrix, "cpu")
    release = replace(cell.release, image="toy/toy:1", image_digest="sha256:" + "a" * 64)
    wanted = replace(make_expected(matrix, cell), release=release)
    for letter, red in (("a", []), ("b", ["another_version"])):
        versions = {"xllamacpp": "1.0", "image_digest": f"toy/toy@sha256:{letter * 64}"}
        records = world.seal(edit("launch", versions=versions)(origin.green(matrix, [cell])))
        verdict = gate.judge_evidence(POLICY, [wanted], records, now=NOW)
        assert rules(add_provenance(verdict, [wanted], records, origin.today(matrix), NOW.date())) == red


def test_weights_are_of_the_pinned_commit_and_of_one_set(matrix: Matrix) -> None:
    cell = cell_on(matrix, "cpu")

    def found(revision: str, *told: dict[str, str]) -> list[str]:
        wanted = replace(make_expected(matrix, cell), revision=revision)
        runs = [edit("launch", versions={"xllamacpp": "1.0", **each})(origin.green(matrix, [cell])) for each in told]
        records = world.seal([field for fields in runs for field in fields])
        verdict = gate.judge_evidence(POLICY, [wanted], records, now=NOW)
        said = rules(add_provenance(verdict, [wanted], records, origin.today(matrix), NOW.date()))
        return [r for r in said if r.endswith("_weights")]

    ours, other = {"weights_commit": "a" * 40}, {"weights_commit": "b" * 40}
    assert found("a" * 40, ours) == found("", other) == found("", {}) == []
    assert found("a" * 40, {}) == ["unknown_weights"]
    assert found("a" * 40, other) == ["another_weights"]
    assert found("", {"weights_digest": "1"}, {"weights_digest": "1"}) == []
    assert found("", {"weights_digest": "1"}, {"weights_digest": "2"}) == ["another_weights"]


def test_what_the_user_accepted_of_a_server_is_judged_by_the_clause_about_that_alone(matrix: Matrix) -> None:
    cell = cell_on(matrix, "cpu")
    cautions = {"version": "it says 2.0, and the cell is 1.0"}
    fields = edit("launch", versions={"xllamacpp": "2.0"}, cautions=cautions)(origin.green(matrix, [cell]))
    assert rules(judge(matrix, [cell], [fields])) == ["identity"]


def test_reasons_stand_by_cell_with_the_run_first(matrix: Matrix) -> None:
    cells = [cell_on(matrix, "cpu"), cell_on(matrix, "sm120x4")]
    fields = edit("result", status="FAIL")(edit("run", commit=OTHER, host={"gpus": []})(origin.green(matrix, cells)))
    verdict = judge(matrix, cells, [fields])
    places = [r.cell for r in verdict.reasons]
    assert places == ["", cells[0].id, *[cells[1].id] * 2]  # a CPU fits every host


@pytest.mark.parametrize(
    ("found", "red"), [("2.12.0rc1", []), ("2.11.0rc1", ["another_pin"]), ("main", ["another_pin"])]
)
def test_a_release_candidate_may_meet_a_pin_and_what_is_no_version_never_does(
    matrix: Matrix, found: str, red: list[str]
) -> None:
    cell = cell_on(matrix, "cpu")
    wanted = replace(make_expected(matrix, cell), release=replace(cell.release, pins={"torch": ">=2.11.0"}))
    versions = {"xllamacpp": "1.0", "torch": found}
    records = world.seal(edit("launch", versions=versions)(origin.green(matrix, [cell])))
    verdict = gate.judge_evidence(POLICY, [wanted], records, now=NOW)
    assert rules(add_provenance(verdict, [wanted], records, origin.today(matrix), NOW.date())) == red


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_clauses_about_one_thing_the_one_that_holds_longest_counts(matrix: Matrix, order: int) -> None:
    cell = cell_on(matrix, "cpu")
    both = [clause("unknown_host"), clause("unknown_host", until=date(2020, 1, 1))]
    fields = [edit("run", host={})(origin.green(matrix, [cell]))]
    assert rules(judge(matrix, [cell], fields)) == ["unknown_host"]
    assert judge(matrix, [cell], fields, *both[::order]).green


@pytest.mark.parametrize("gpu", [{"name": "NVIDIA X"}, {"sm": 120}, {"name": 7, "sm": 120}, {"name": "X", "sm": "120"}])
def test_a_gpu_without_a_name_or_a_generation_makes_the_host_unknown(matrix: Matrix, gpu: dict[str, Any]) -> None:
    cell = cell_on(matrix, "sm120x1")
    assert rules(judge(matrix, [cell], [edit("run", host={"gpus": [gpu]})(origin.green(matrix, [cell]))])) == [
        "unknown_host"
    ]


def test_an_acceptance_holds_on_its_last_day_and_names_what_it_accepts() -> None:
    """What has no name (a digest, a run) is accepted by nobody, however wide the clause."""
    today = NOW.date()
    named = Deviation(what="another_commit", of="c0ffee", text="It is of another commit.")
    for until, accepted in ((today, True), (today - timedelta(days=1), False)):
        held = clause("another_commit", until=until)
        verdict = Verdict(policy=replace(POLICY, accepted=(held,)), reasons=(), rows=())
        assert add_deviations(verdict, [named], today).green is accepted is is_accepted([held], named, today)
    wide = Verdict(policy=replace(POLICY, accepted=(clause("another_commit"),)), reasons=(), rows=())
    assert not add_deviations(wide, [replace(named, of="")], today).green


@pytest.mark.parametrize(
    ("first", "second", "red"),
    [
        (("a", "sha256:1"), ("a", "sha256:1"), False),
        (("a", "sha256:1"), ("b", "sha256:1"), False),  # two daemons keep one image under two ids
        (("a", "sha256:1"), ("a", "sha256:2"), False),  # one image from two mirrors
        (("a", "sha256:1"), ("b", "sha256:2"), True),
        (("a", ""), ("b", ""), True),
        (("a", ""), ("b", "sha256:1"), True),
    ],
)
def test_two_images_of_one_release_are_red(
    matrix: Matrix, first: tuple[str, str], second: tuple[str, str], red: bool
) -> None:
    """Each host recorded for itself which image the tag is."""
    cell, runs = cell_on(matrix, "sm120x4"), []
    for id_, digest in (first, second):
        image = {"xllamacpp": "1.0", "image": id_, "image_reference": "r/i@sha256:0", "image_digest": digest}
        runs.append(edit("launch", versions=image)(origin.green(matrix, [cell])))
    verdict = judge(matrix, [cell], runs)
    assert ("were of several images" in "\n".join(map(str, verdict.reasons))) is red, verdict.reasons
