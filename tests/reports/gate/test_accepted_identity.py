"""What was accepted of another server is in every report, and red until a policy accepts it by name as well."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from rich.console import Console

from matrix.errors import ConfigError
from reports.board import terminal as table
from reports.board.text import make_headline, make_view
from reports.evidence.junit import merge_junit
from reports.evidence.summary import make_board
from reports.evidence.types import Record
from reports.gate import gate
from reports.gate.allowances import AcceptedIdentity, Attached
from reports.gate.junit import render_verdict
from reports.gate.policy import Policy, load_policy
from tests.reports import world
from tests.reports.rendered import render_pages
from tests.reports.world import EXPECTED, NOW, PLAIN, POLICY, WITH_MTP

SAID = "identity accepted by name: model: it serves 'llama-3'; the cell is canary"
CLAUSE = AcceptedIdentity(
    cells="cpu.*", parts=("model", "version"), owner="me", why="a fine-tune", until=date(2027, 1, 31)
)

ATTACHED = Attached(cells=PLAIN, owner="me", why="started by hand", until=date(2027, 1, 31))


def evidence() -> list[Record]:
    fields = [
        {**f, "attached": True, "cautions": {"model": SAID}} if f["kind"] == "launch" and f["cell"] == PLAIN else f
        for f in world.green()
    ]
    return world.seal(fields)


def judge(*clauses: AcceptedIdentity) -> gate.Verdict:
    policy: Policy = replace(POLICY, attached=(ATTACHED,), identity=clauses)
    return gate.judge_evidence(policy, EXPECTED, evidence(), now=NOW)


def test_it_is_red_unless_a_clause_names_cell_and_part_and_holds() -> None:
    assert judge(CLAUSE).green
    for clauses in (
        (),
        (replace(CLAUSE, cells=WITH_MTP),),
        (replace(CLAUSE, parts=("version", "tls")),),
        (replace(CLAUSE, until=date(2026, 1, 1)),),
    ):
        [reason] = judge(*clauses).reasons
        assert (reason.cell, reason.rule) == (PLAIN, "identity")
        assert "was asked of a server that is not the cell's" in reason.text and "llama-3" in reason.text
    assert "me accepted that until 2026-01-01 only" in judge(replace(CLAUSE, until=date(2026, 1, 1))).reasons[0].text


def test_that_an_attached_server_is_allowed_accepts_no_other_identity() -> None:
    assert POLICY.identity == () and not judge().green


@pytest.mark.parametrize("clauses", [(), (CLAUSE,)], ids=["red", "green"])
def test_every_report_shows_it_green_or_red(clauses: tuple[AcceptedIdentity, ...]) -> None:
    verdict = judge(*clauses)
    shown = make_view(make_board(evidence(), {c.id: c.facts for c in EXPECTED}), verdict)
    terminal = Console(file=io.StringIO(), width=200)
    table.print_table(shown, terminal)
    assert isinstance(terminal.file, io.StringIO)
    texts = {
        "terminal": terminal.file.getvalue(),
        "markdown": table.render_markdown(shown),
        "html": render_pages(shown),
        "verdict's JUnit": render_verdict(verdict).decode(),
    }
    for name, text in texts.items():
        assert "llama-3" in text, name
    assert "1 asked of another server, as accepted" in make_headline(shown)
    own = [line for line in verdict.told if PLAIN in line and "llama-3" in line]
    assert ["Accepted until 2027-01-31 by me: a fine-tune" in line for line in own] == ([True] if clauses else [])


def test_reports_without_a_policy_and_pytests_own_junit_show_it(tmp_path: Path) -> None:
    assert "llama-3" in table.render_markdown(make_view(make_board(evidence())))
    path = tmp_path / "junit.xml"
    who = {"cell": PLAIN, "fingerprint": "f0", "test": "test_boots"}
    told = "".join(f'<property name="{k}" value="{v}"/>' for k, v in who.items())
    case = f'<testcase classname="a" name="b"><properties>{told}</properties></testcase>'
    path.write_text(f'<testsuites><testsuite name="pytest" tests="1">{case}</testsuite></testsuites>')
    merge_junit([path], evidence(), path)
    assert f'name="accepted.model" value="{SAID}"' in path.read_text()


@pytest.mark.parametrize(
    ("clause", "why"),
    [
        ("{cells: '*', parts: [modle], owner: me, why: x, until: 2027-01-31}", "did you mean 'model'?"),
        ("{cells: '*', parts: [model], owner: ' ', why: x, until: 2027-01-31}", "words are needed"),
        ("{cells: '*', parts: [model], owner: me, why: '', until: 2027-01-31}", "words are needed"),
        ("{cells: '*', parts: [model], owner: me, why: x}", "missing key 'until'"),
        ("{cells: '*', parts: [], owner: me, why: x, until: 2027-01-31}", "names no part"),
    ],
)
def test_a_clause_says_what_who_why_and_until_when(tmp_path: Path, clause: str, why: str) -> None:
    file = tmp_path / "gate.yaml"
    file.write_text(f"title: t\nrequire: [{{glob: 'cpu.*'}}]\nmax_age_h: 1\nidentity:\n  - {clause}\n")
    with pytest.raises(ConfigError) as caught:
        load_policy(file)
    assert f"{file}:5" in str(caught.value) and why in str(caught.value)


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_clauses_the_one_that_holds_longest_counts(order: int) -> None:
    late = replace(CLAUSE, until=date(2025, 1, 31), why="an old one")
    verdict = judge(*[CLAUSE, late][::order])
    assert verdict.green, verdict.reasons
    assert any("a fine-tune" in line for line in verdict.told)
