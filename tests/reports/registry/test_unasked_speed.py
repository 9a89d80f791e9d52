"""Where a certificate's speed would be shown and none was asked, badge, model card and `recommend` say so."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest

from reports.certify.speed import UnaskedSpeed
from reports.certify.statement import format_statement, make_statement
from reports.certify.verify import Certificate, read_certificate
from reports.evidence.archive import pack_evidence
from reports.registry.badge import render_badge, render_card, render_endpoint
from reports.registry.check import check_entry
from reports.registry.entries import read_registry
from reports.registry.ran import read_certified
from reports.replay.differences import Replayed
from tests.reports import world
from tests.reports.certify.test_speed import SAID, owing
from tests.reports.world import WITH_MTP

TODAY = date(2026, 11, 30)


def place(folder: Path, said: UnaskedSpeed | None) -> Path:
    """Return a registry with one certificate, of a cell whose speed was not asked."""
    records, registry = world.seal(owing(world.green())), folder / "registry"
    (folder / "run.jsonl").write_bytes(world.write(records))
    (registry / "run").mkdir(parents=True)
    pack_evidence(folder / "run.jsonl", registry / "run.tar.xz")
    made = make_statement(records, WITH_MTP, issued=TODAY, expires=TODAY + timedelta(days=90), unasked=said)
    (registry / "run" / f"{WITH_MTP}.intoto.json").write_bytes(format_statement(made))
    return registry


def certificate(folder: Path, said: UnaskedSpeed | None) -> Certificate:
    return read_certificate(next(place(folder, said).rglob("*.json")))


def test_badge_and_line_say_that_no_speed_was_asked(tmp_path: Path) -> None:
    found = certificate(tmp_path, SAID)
    assert "warned until 2027-02-28, speed not asked" in render_badge(found, [])
    assert json.loads(render_endpoint(found, []))["message"] == "warned until 2027-02-28, speed not asked"
    assert "; speed not asked; run on" in render_card(found, [])
    assert "speed not asked; run on" in render_card(found, ["it expired"])


def test_a_missing_speed_that_nobody_answers_for_is_a_failure_there_too(tmp_path: Path) -> None:
    found = certificate(tmp_path, None)
    assert "failed until" in render_badge(found, [])
    assert "not asked" not in render_badge(found, []) + render_card(found, []) + render_endpoint(found, [])


@pytest.mark.parametrize(("said", "failed"), [(SAID, False), (None, True)])
def test_recommend_takes_the_answers_and_counts_what_was_not_asked(
    tmp_path: Path, said: UnaskedSpeed | None, failed: bool
) -> None:
    ran = read_certified(place(tmp_path, said), TODAY)[WITH_MTP]
    assert (ran.failed, ran.missing, ran.speed) == (failed, 0 if failed else 2, None)
    assert ("2 not asked" in ran.describe()) is not failed


def test_a_clause_takes_no_failure_out_of_the_counts(tmp_path: Path) -> None:
    registry = place(tmp_path, SAID)
    (path,) = registry.rglob("*.json")
    made = json.loads(path.read_text())
    (own := made["predicate"]["glmMatrix"])["statuses"][own["speedUnasked"]["tests"][0]] = "FAIL"
    path.write_text(json.dumps(made))
    assert read_certified(registry, TODAY)[WITH_MTP].failed


def test_the_check_of_a_registry_derives_it_again(tmp_path: Path) -> None:
    (entry,) = read_registry(place(tmp_path, SAID))
    (checked,) = check_entry(entry, TODAY, lambda _: Replayed(tests=2))
    assert checked.problems == ()
