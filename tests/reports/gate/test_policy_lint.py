"""What a policy is refused for when it is read: numbers, names, and what could never be asked of its cells."""

from __future__ import annotations

from pathlib import Path

import pytest

from matrix.checkout import CHECKOUT
from matrix.errors import ConfigError
from matrix.yaml import yamltext
from matrix.yaml.load import load_matrix
from reports.gate import policy
from reports.gate.policy_lint import find_wrong_numbers
from tests.matrix import world as matrix_world
from tests.reports.gate.test_policy import GOOD, write


@pytest.mark.parametrize("path", sorted((CHECKOUT / "ci/gates").glob("*.yaml")), ids=lambda p: p.stem)
def test_the_shipped_policies_say_their_depth(path: Path) -> None:
    assert "\ndepth: " in path.read_text("utf-8")


NUMBERS = [".nan", ".inf", "-.inf", "0", "-1", "-0.0", "1.0e+400", "1e400", "true", "1" + 400 * "0", "2_000_000_000"]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_that_excuses_everything_or_nothing_is_refused(tmp_path: Path, number: str) -> None:
    with pytest.raises(ConfigError) as caught:
        policy.load_policy(write(tmp_path, GOOD.replace("24", number)))
    [problem] = caught.value.problems
    assert (problem.line, problem.where) == (9, "max_age_h")
    assert "expected a" in problem.message and len(str(problem)) < 300


def test_every_number_of_a_policy_is_held_to_that_but_facts_of_cells(tmp_path: Path) -> None:
    """Whatever number a clause gets later; .nan and .inf are refused by the reader of YAML itself."""
    doc = yamltext.read_document(write(tmp_path, "flaky:\n  - {rate: -1}\nrequire:\n  - when: {sm: 0}\n"), "gate.yaml")
    assert [(p.line, p.where) for p in find_wrong_numbers(doc)] == [(2, "flaky.0.rate")]


@pytest.mark.parametrize("number", ["0.5", "24", "17_568"])
def test_a_positive_number_is_taken(tmp_path: Path, number: str) -> None:
    assert policy.load_policy(write(tmp_path, GOOD.replace("24", number)))[0].max_age_h == float(number)


@pytest.mark.parametrize(
    ("change", "line", "message"),
    [
        (("suites: [boot]", "suites: [boots]"), 5, "no suite is 'boots'; did you mean 'boot'?"),
        (("boot, needle", "boot, neddle"), 7, "no suite is 'neddle'; did you mean 'needle'?"),
        (
            ("test_invents_no_needle", "test_invents_no_needles"),
            8,
            "no test is 'test_invents_no_needles'; did you mean",
        ),
        (("max_age_h: 24", "max_age_h: 24\ndepth: fulll"), 10, "did you mean 'full'?"),
        (("max_age_h: 24", "max_age_h: 24\ndepth: 1"), 10, "1 is not valid here"),
        (
            ("24", "24\ndepth_unknown:\n  - {cells: x, owner: ' ', why: y, until: 2027-01-01}"),
            11,
            "who answers for that",
        ),
    ],
)
def test_a_name_that_does_not_exist_is_refused(
    tmp_path: Path, change: tuple[str, str], line: int, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        policy.load_policy(write(tmp_path, GOOD.replace(*change)))
    assert (line, True) in [(p.line, message in p.message) for p in caught.value.problems]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("suites: [boot]", "suites: [boot, mtp]"), "gate.yaml:5 require.0.suites.1: mtp is never asked of cpu."),
        (
            ("test_invents_no_needle", "test_drafts_are_accepted"),
            "test_drafts_are_accepted is never asked",
        ),
        (("test_invents_no_needle", "test_concurrency_sweep"), "at depth quick; say `depth: release`"),
        (("test_invents_no_needle", "test_prefill_cold_and_warm"), "at depth quick; say `depth: full`"),
    ],
)
def test_what_cannot_be_asked_of_a_required_cell_is_refused(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    found, doc = policy.load_policy(write(tmp_path, GOOD.replace(*change)))
    with pytest.raises(ConfigError) as caught:
        policy.expect_cells(found, doc, load_matrix(matrix_world.write(tmp_path / "m")))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "more"), [("depth_unknown", ""), ("not_replayed", ""), ("identity", "parts: [version], ")]
)
def test_a_clause_about_cells_must_match_a_required_one(tmp_path: Path, name: str, more: str) -> None:
    clause = f"{name}:\n  - {{cells: 'gpu.*', {more}owner: me, why: old, until: 2027-01-31}}\n"
    found, doc = policy.load_policy(write(tmp_path, GOOD + clause))
    with pytest.raises(ConfigError, match=rf"gate\.yaml:11 {name}\.0\.cells: 'gpu\.\*' matches no required cell"):
        policy.expect_cells(found, doc, load_matrix(matrix_world.write(tmp_path / "m")))


def test_a_deeper_gate_may_require_what_is_asked_there(tmp_path: Path) -> None:
    text = GOOD.replace("test_invents_no_needle", "test_concurrency_sweep") + "depth: release\n"
    found, doc = policy.load_policy(write(tmp_path, text))
    shallow = policy.load_policy(write(tmp_path, GOOD))
    matrix = load_matrix(matrix_world.write(tmp_path / "m"))
    for deep, less in zip(policy.expect_cells(found, doc, matrix), policy.expect_cells(*shallow, matrix), strict=True):
        assert set(deep.owed) > set(less.owed)
        assert all(nodeid.endswith(f"[{deep.id}]") for nodeid in deep.owed)


ACCEPTS = "24\naccepted:\n  - {what: dirty_tree, of: '*', owner: OWNER, why: it is a test, until: UNTIL}\n"


@pytest.mark.parametrize(
    ("owner", "until", "said"),
    [
        ("'\u200b'", "2027-01-31", "the text holds a character that nobody sees"),
        ("'...'", "2027-01-31", "words are needed"),
        ("tbd", "2027-01-31", "words are needed"),
        ("n/a", "2027-01-31", "words are needed"),
        ("None.", "2027-01-31", "words are needed"),
        ("'0'", "2027-01-31", "words are needed"),
        ("to be decided", "2027-01-31", "words are needed"),
        ("unknown person", "2027-01-31", "words are needed"),
        ("anyone", "2027-01-31", "words are needed"),
        ("'--'", "2027-01-31", "words are needed"),
        ("me", "9999-12-31", "is no end: an allowance lasts 732 days at most"),
        ("me", "2027-01-31T09:00:00Z", "expected a date like 2027-01-31"),
        ("me", "2027-99-99", "is no date"),
    ],
)
def test_an_allowance_has_somebody_behind_it_and_an_end(tmp_path: Path, owner: str, until: str, said: str) -> None:
    clause = ACCEPTS.replace("OWNER", owner).replace("UNTIL", until)
    with pytest.raises(ConfigError) as caught:
        policy.load_policy(write(tmp_path, GOOD.replace("24", clause)))
    [problem] = caught.value.problems
    assert problem.line == 11 and said in problem.message


FLAKES = """24
flakes:
  - {cells: 'cpu.*', tests: [test_knows_facts], signature: 'coherence.right: NOT OK the code', owner: me,
     issue: 'ISSUE', rate: RATE, least_asked: 2, until: 2027-01-31}
"""


@pytest.mark.parametrize(
    ("issue", "rate", "said"),
    [
        ("https://", "0.1", "expected a link"),
        ("https://x", "0.1", "expected a link"),
        ("https://example.org/", "0.1", "expected a link"),
        ("https://example.org/1", "0.51", "above 0 and up to 0.5"),
        ("https://example.org/1", "0.999", "above 0 and up to 0.5"),
    ],
)
def test_a_flake_is_looked_into_and_rare(tmp_path: Path, issue: str, rate: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        policy.load_policy(write(tmp_path, GOOD.replace("24", FLAKES.replace("ISSUE", issue).replace("RATE", rate))))
