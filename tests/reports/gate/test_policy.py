"""Policy files: what is wrong with one is said with its line, and the shipped ones are sound."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from matrix.checkout import CHECKOUT
from matrix.errors import ConfigError
from matrix.yaml.load import load_matrix
from reports.gate import policy
from tests.matrix import world as matrix_world

GOOD = """
title: Everything
require:
  - glob: "cpu.*"
    suites: [boot]
  - marks: cpu and not mtp
    suites: [boot, needle]
    tests: [test_invents_no_needle]
max_age_h: 24
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "gate.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("change", "line", "message"),
    [
        (("title:", "titel:"), 2, "unknown key 'titel'; did you mean 'title'?"),
        (("glob:", "globb:"), 4, "unknown key 'globb'; did you mean 'glob'?"),
        (("max_age_h: 24", "max_age_h: soon"), 9, "got 'soon'"),
        (("max_age_h: 24", "max_age_h: 17569"), 9, "17569 h is no age: a run counts for 17568 h at most"),
        (("max_age_h: 24", ""), 2, "missing key 'max_age_h'"),
        (("max_age_h: 24", "max_age_h: 24\nallow: [PAS]"), 10, "did you mean 'PASS'?"),
        (("max_age_h: 24", "max_age_h: 24\nallow: [PASS, XPASS]"), 10, "XPASS can never be allowed"),
        *(
            (("max_age_h: 24", f"max_age_h: 24\nallow: [PASS, {status}]"), 10, f"{status} can never be allowed")
            for status in ("NOT_EVIDENCE", "SKIP_NO_HW", "INVALID_HW", "INVALID_ENGINE", "INVALID_COMBO")
        ),
        (("max_age_h: 24", "max_age_h: 24\nunproven: allowed"), 10, "expected a list, got 'allowed'"),
        (("suites: [boot]", "suites: [boot"), 6, "not valid YAML"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, change: tuple[str, str], line: int, message: str) -> None:
    path = write(tmp_path, GOOD.replace(*change))
    with pytest.raises(ConfigError) as caught:
        policy.load_policy(path)
    assert (line, True) in [(p.line, message in p.message) for p in caught.value.problems]


SGLANG = """
title: An upgrade
require: [{glob: "sm120x4.sglang_0_5_23.*", suites: [boot]}]
max_age_h: 24
throughput: {baseline: b, release: sglang_0_5_17}
"""


def test_cells_are_held_against_the_same_cells_of_the_earlier_release(tmp_path: Path) -> None:
    found, doc = policy.load_policy(write(tmp_path, SGLANG))
    cells = policy.expect_cells(found, doc, load_matrix())
    assert cells
    assert all(c.sibling == c.id.replace("sglang_0_5_23", "sglang_0_5_17") for c in cells)


@pytest.mark.parametrize(
    ("release", "why"),
    [
        ("sglang_0_5_71", "there is no release 'sglang_0_5_71'; did you mean 'sglang_0_5_17'?"),
        ("vllm_0_33_0", "no required cell is another release of vllm"),
        ("sglang_0_5_23", "no required cell is another release of sglang"),
    ],
)
def test_an_earlier_release_that_judges_nothing_is_refused_with_its_line(
    tmp_path: Path, release: str, why: str
) -> None:
    found, doc = policy.load_policy(write(tmp_path, SGLANG.replace("release: sglang_0_5_17", f"release: {release}")))
    with pytest.raises(ConfigError) as caught:
        policy.expect_cells(found, doc, load_matrix())
    assert [(p.line, why in p.message) for p in caught.value.problems] == [(5, True)]


SAID = r"needle\.not_invented: NOT OK gave \["
FLAKE = r"""
flakes:
  - {cells: "cpu.*", tests: [test_invents_no_needle], signature: 'needle\.not_invented: NOT OK gave \[', issue: "https://example.org/1",
     owner: me, rate: 0.02, least_asked: 50, until: 2027-01-31}
"""


@pytest.mark.parametrize(
    ("change", "where", "message"),
    [
        (("owner: me, ", ""), "flakes.0", "missing key 'owner'"),
        (("owner: me", "owner: ' '"), "flakes.0.owner", "a name is needed"),
        (("https://example.org/1", "soon"), "flakes.0.issue", "expected a link"),
        (("[test_invents_no_needle]", "[]"), "flakes.0.tests", "names the tests"),
        (("0.02", "1.0"), "flakes.0.rate", "above 0 and up to 0.5, got 1"),
        (("0.02", "0"), "flakes.0.rate", "above 0 and up to 0.5, got 0"),
        (("0.02", "-0.1"), "flakes.0.rate", "above 0 and up to 0.5"),
        (("0.02", ".nan"), "flakes.0.rate", "no number that anything here can be"),
        (("0.02", ".inf"), "flakes.0.rate", "no number that anything here can be"),
        (("0.02", "true"), "flakes.0.rate", "True"),
        (("50", "1"), "flakes.0.least_asked", "expected 2 or more, got 1"),
        (("50", "true"), "flakes.0.least_asked", "True"),
        (("2027-01-31", "soon"), "flakes.0.until", "soon"),
        ((SAID, ".*"), "flakes.0.signature", "matches an empty text"),
        ((SAID, "NOT OK"), "flakes.0.signature", "failures of"),
        ((SAID, "("), "flakes.0.signature", "no regular expression"),
        ((SAID, "needle.found"), "flakes.0.signature", "begin with the check's name"),
        ((SAID, "needle.found: NOT OK"), "flakes.0.signature", "begin with the check's name"),
        ((SAID, r"needle\.found: NOT OK"), "flakes.0.signature", "fits whatever needle.found finds wrong"),
        ((SAID, r"needle\.not_invented: NOT OK [dg]\w+"), "flakes.0.signature", "needle.not_invented tells"),
        ((SAID, "expected.*got"), "flakes.0.signature", "begin with the check's name"),
        ((SAID, "not in the reply"), "flakes.0.signature", "begin with the check's name"),
        ((SAID, rf"{SAID}|not in the reply"), "flakes.0.signature", "begin with the check's name"),
    ],
)
def test_a_flake_allowance_says_who_how_often_until_when_and_what_was_said(
    tmp_path: Path, change: tuple[str, str], where: str, message: str
) -> None:
    assert policy.load_policy(write(tmp_path, GOOD + FLAKE))
    with pytest.raises(ConfigError) as caught:
        policy.load_policy(write(tmp_path, GOOD + FLAKE.replace(*change)))
    assert any(p.where == where and message in p.message and p.line >= 11 for p in caught.value.problems), caught.value


def test_a_flake_is_allowed_by_name_and_not_as_a_status(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="FLAKE is allowed by name, with a rate, see `flakes`"):
        policy.load_policy(write(tmp_path, GOOD + "allow: [PASS, FLAKE]\n"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('cells: "cpu.*"', 'cells: "cqu.*"'), r"flakes\.0\.cells: 'cqu\.\*' matches no required cell"),
        (
            ("invents_no", "invent_no"),
            r"flakes\.0\.tests\.0: there is no test 'test_invent_no_needle'; did you mean",
        ),
    ],
)
def test_a_flake_allowance_that_speaks_of_nothing_is_refused(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    found, doc = policy.load_policy(write(tmp_path, GOOD + FLAKE.replace(*change)))
    matrix = load_matrix(matrix_world.write(tmp_path / "matrix"))
    with pytest.raises(ConfigError, match=rf"gate\.yaml:12 {message}"):
        policy.expect_cells(found, doc, matrix)


def test_the_example_in_the_modules_docstring_is_one(tmp_path: Path) -> None:
    """Its names are those of today: what it allows could happen, in cells that it requires."""
    text = (policy.__doc__ or "").partition("\n\n")[2]
    wider = text.replace("require:\n", 'require:\n  - glob: "sm90*"\n', 1)
    found, doc = policy.load_policy(write(tmp_path, wider))
    assert policy.expect_cells(found, doc, load_matrix())
    assert found.identity and found.not_run and found.not_replayed


def test_a_gate_that_requires_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="always green"):
        policy.load_policy(write(tmp_path, "title: x\nrequire: []\nmax_age_h: 1\n"))


def test_a_missing_policy_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        policy.load_policy(tmp_path / "none.yaml")


def test_requirements_of_a_cell_add_up(tmp_path: Path) -> None:
    found, doc = policy.load_policy(write(tmp_path, GOOD))
    cells = {c.id: c for c in policy.expect_cells(found, doc, load_matrix(matrix_world.write(tmp_path / "m")))}
    both = next(c for c in cells.values() if "mtp" not in c.features)
    assert (both.suites, both.tests) == (("boot", "needle"), ("test_invents_no_needle",))
    assert all(c.fingerprint and c.id.startswith("cpu.") for c in cells.values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('glob: "cpu.*"', 'glob: "cpuu.*"'), "gate.yaml:4 require.0.glob: 'cpuu.*' matches no runnable cell"),
        (("cpu and not", "cpuu and not"), "gate.yaml:6 require.1.marks: no such marker 'cpuu'; did you mean 'cpu'?"),
        (
            ('glob: "cpu.*"', "when: {rig: cpuu}"),
            "gate.yaml:4 require.0.when.rig: no rig is 'cpuu'; did you mean 'cpu'?",
        ),
        (("cpu and not mtp", "cpu and not cpu"), "require.1: matches no runnable cell of the matrix"),
    ],
)
def test_a_requirement_nobody_can_meet_is_bad_input(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    found, doc = policy.load_policy(write(tmp_path, GOOD.replace(*change)))
    with pytest.raises(ConfigError) as caught:
        policy.expect_cells(found, doc, load_matrix(matrix_world.write(tmp_path / "m")))
    assert message in str(caught.value)


@pytest.mark.parametrize("path", sorted((CHECKOUT / "ci/gates").glob("*.yaml")), ids=lambda p: p.stem)
def test_the_shipped_policies_fit_the_matrix(path: Path) -> None:
    found, doc = policy.load_policy(path)
    assert policy.expect_cells(found, doc, load_matrix())
    entries = (k for c in policy.expect_cells(found, doc, load_matrix()) for k in c.known_failures.values())
    assert all(isinstance(k.review_by, date) for k in entries)


CLAUSE = "accepted:\n  - {what: dirty_tree, of: '*', owner: me, why: mine, until: 2027-01-31}\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("dirty_tree", "dirty_trees"), "did you mean 'dirty_tree'?"),
        (("dirty_tree", "another_host"), "another_host"),
        (("of: '*', ", ""), "missing key 'of'"),
        (("of: '*'", "of: ''"), "of what, who answers for it, and why?"),
        (("dirty_tree", "another_commit"), "names no source: at least 7 digits of the commit, got '*'"),
        (
            ("dirty_tree, of: '*'", "another_matrix, of: '[0-9a-f]*'"),
            "names no source: at least 7 digits of the matrix",
        ),
        (("dirty_tree, of: '*'", "another_commit, of: '8b0f9*'"), "names no source: at least 7 digits of the commit"),
        (("dirty_tree", "several_sources"), "names no source: at least 7 digits of the sources"),
        (("owner: me", "owner: ' '"), "of what, who answers for it, and why?"),
        (("until: 2027-01-31", "until: soon"), "a date like 2027-01-31"),
    ],
)
def test_what_is_accepted_has_a_name_an_owner_and_an_end(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        policy.load_policy(write(tmp_path, GOOD + CLAUSE.replace(*change)))
    assert message in str(caught.value)


def test_a_clause_about_cells_must_match_one(tmp_path: Path) -> None:
    found, doc = policy.load_policy(
        write(tmp_path, GOOD + CLAUSE.replace("dirty_tree", "unknown_version").replace("*", "gpu.*"))
    )
    with pytest.raises(ConfigError, match=r"gate\.yaml:11 accepted\.0\.of: 'gpu\.\*' matches no required cell"):
        policy.expect_cells(found, doc, load_matrix(matrix_world.write(tmp_path / "m")))
