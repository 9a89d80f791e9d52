"""A registry: what is added, what is refused, what stands, what others read of it, and what decays."""

from __future__ import annotations

import argparse
import copy
import errno
import gzip
import itertools
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from cli.verbs import CELL
from matrix.errors import ConfigError
from matrix.output.script import render_script
from matrix.planning.expand import expand_matrix
from matrix.planning.plan import make_plan
from matrix.yaml.load import load_matrix
from reports import __main__ as cli
from reports.certify.statement import Statements, format_statement, make_statement
from reports.certify.verify import Certificate, compare_statement, read_certificate
from reports.evidence.archive import pack_evidence, unpack_evidence
from reports.evidence.files import read_records
from reports.registry import adding, command
from reports.registry.badge import render_badge, render_card, render_endpoint
from reports.registry.check import Checked, check_entry
from reports.registry.decay import find_decay
from reports.registry.entries import list_valid, read_registry
from reports.registry.evidence import read_certified_evidence
from reports.registry.ran import read_certified
from reports.replay.differences import Disagreement, Replayed, Unreplayable
from tests.reports import world
from tests.reports.world import PLAIN, WITH_MTP, Json

TODAY = date(2026, 11, 29)
LATER = TODAY + timedelta(days=90)
AGREES = Replayed(tests=4)
DIFFERS = Replayed(disagreements=(Disagreement(cell=PLAIN, test="t", what="status", recorded="PASS", derived="FAIL"),))
SILENT = Replayed(unreplayable=(Unreplayable(cell=WITH_MTP, test="t", why="nothing was kept"),))


@pytest.fixture(autouse=True)
def _the_day_is_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fix the day that the command reads: what it issues is checked against TODAY, also after midnight."""
    noon = datetime.combine(TODAY, time(12), UTC)
    monkeypatch.setattr(command, "datetime", SimpleNamespace(now=lambda _: noon))


def place(folder: Path, name: str = "run", fields: Sequence[Json] = ()) -> Path:
    """Return a registry with one entry of two certificates."""
    records = world.seal(fields or world.green())
    evidence, registry = folder / f"{name}.jsonl", folder / "registry"
    evidence.write_bytes(world.write(records))
    kept = folder / f"{name}.kept"
    kept.mkdir(exist_ok=True)
    (kept / f"{'a' * 64}.jsonl.gz").write_bytes(b"x")
    (registry / name).mkdir(parents=True)
    pack_evidence(evidence, registry / f"{name}.tar.xz")
    for cell in (PLAIN, WITH_MTP):
        made = make_statement(records, cell, issued=TODAY, expires=LATER)
        (registry / name / f"{cell}.intoto.json").write_bytes(format_statement(made))
    return registry


def checked(registry: Path, said: Replayed = AGREES, today: date = TODAY) -> list[Checked]:
    return [c for e in read_registry(registry) for c in check_entry(e, today, lambda _: said)]


def refused(registry: Path, said: Replayed = AGREES) -> dict[str, str]:
    return {c.cell: "; ".join(c.problems) for c in checked(registry, said) if c.problems}


def test_certificates_stand_by_their_evidence_and_speak_until_they_expire(tmp_path: Path) -> None:
    registry = place(tmp_path)
    assert [(c.problems, c.expired) for c in checked(registry)] == [((), False)] * 2
    assert [c.expired for c in checked(registry, today=LATER + timedelta(days=1))] == [True, True]


@pytest.mark.parametrize(("said", "of", "why"), [(DIFFERS, PLAIN, "replies say FAIL"), (SILENT, WITH_MTP, "was kept")])
def test_what_its_replies_do_not_say_is_refused(tmp_path: Path, said: Replayed, of: str, why: str) -> None:
    assert list(found := refused(place(tmp_path), said)) == [of] and why in found[of]


def test_a_certificate_that_says_more_than_its_evidence_is_refused(tmp_path: Path) -> None:
    registry = place(
        tmp_path, fields=[{**f, "outcome": "unproven"} if f["kind"] == "proof" else f for f in world.green()]
    )
    path = registry / "run" / f"{WITH_MTP}.intoto.json"
    path.write_text(path.read_text().replace('"WARNED"', '"PASSED"'))
    assert "predicate.result" in refused(registry)[WITH_MTP]


def test_what_is_lost_or_foreign_is_told_for_the_entry(tmp_path: Path) -> None:
    registry = place(tmp_path)
    (registry / "run" / "x.intoto.json").write_text("{}")
    assert "no certificate of this project" in refused(registry)[""]
    (registry / "run.tar.xz").write_bytes(b"")
    assert "cannot be unpacked" in refused(registry)[""]
    (registry / "run.tar.xz").unlink()
    assert "cannot be unpacked" in refused(registry)[""]


@pytest.mark.usefixtures("agreeing")
def test_packed_evidence_is_archived_unpacked_and_with_its_replies(tmp_path: Path) -> None:
    registry = place(tmp_path)
    (tmp_path / "run.jsonl.gz").write_bytes(gzip.compress((tmp_path / "run.jsonl").read_bytes()))
    assert add(tmp_path / "packed", tmp_path / "run.jsonl.gz") == 0
    assert (tmp_path / "packed/run.tar.xz").read_bytes() == (registry / "run.tar.xz").read_bytes()
    assert [c.problems for c in checked(tmp_path / "packed")] == [()] * 2


def test_the_same_evidence_gives_the_same_archive_and_comes_back(tmp_path: Path) -> None:
    registry = place(tmp_path)
    pack_evidence(tmp_path / "run.jsonl", tmp_path / "run.tar.xz")
    assert (tmp_path / "run.tar.xz").read_bytes() == (registry / "run.tar.xz").read_bytes()
    found = unpack_evidence(registry / "run.tar.xz", tmp_path / "out")
    assert found.read_bytes() == (tmp_path / "run.jsonl").read_bytes()
    assert (tmp_path / "out/run.kept" / f"{'a' * 64}.jsonl.gz").read_bytes() == b"x"


def test_add_takes_what_agrees_and_check_then_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "e.jsonl").write_bytes(world.write(world.seal(world.green())))
    monkeypatch.setattr(adding, "replay_evidence", lambda _: DIFFERS)
    assert cli.main(["registry", "add", str(tmp_path / "r"), str(tmp_path / "e.jsonl")]) == 1
    said = capsys.readouterr().out
    assert f"refused {PLAIN}" in " ".join(said.split()) and "1 added, 1 refused" in said
    monkeypatch.setattr(command, "check_entry", lambda one, today, replay: check_entry(one, today, lambda _: AGREES))
    assert cli.main(["registry", "check", str(tmp_path / "r")]) == 0
    assert capsys.readouterr().out == "1 stand, 0 expired, 0 refused\n"
    assert not list(tmp_path.glob("r/.*")) and not list(tmp_path.glob("r/e/.*"))


def add(registry: Path, *words: str | Path) -> int:
    return cli.main(["registry", "add", str(registry), *map(str, words)])


@pytest.fixture
def agreeing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adding, "replay_evidence", lambda _: AGREES)


def name_certificates(registry: Path) -> list[str]:
    return sorted(str(p.relative_to(registry)) for p in registry.rglob("*.intoto.json"))


@pytest.mark.usefixtures("agreeing")
def test_an_archive_is_certified_where_it_lies_and_elsewhere(tmp_path: Path) -> None:
    registry = place(tmp_path)
    wanted = name_certificates(registry)
    for path in registry.rglob("*.intoto.json"):
        path.unlink()
    before = (registry / "run.tar.xz").read_bytes()
    assert add(registry, registry / "run.tar.xz") == 0
    assert name_certificates(registry) == wanted and (registry / "run.tar.xz").read_bytes() == before
    assert add(tmp_path / "other", registry / "run.tar.xz", "--name", "mine") == 0
    assert (tmp_path / "other/mine.tar.xz").read_bytes() == before
    assert [c.problems for c in checked(tmp_path / "other")] == [()] * 2


@pytest.mark.usefixtures("agreeing")
def test_an_archive_of_the_same_repository_is_linked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = place(tmp_path) / "run.tar.xz"
    for _ in range(2):
        assert add(tmp_path / "docs/registry", archive, "--link") == 0
    made = tmp_path / "docs/registry/run.tar.xz"
    assert str(made.readlink()) == "../../registry/run.tar.xz" and not list(made.parent.glob(".*"))
    assert [c.problems for c in checked(made.parent)] == [()] * 2
    assert add(tmp_path / "r", tmp_path / "run.jsonl", "--link") == 2
    assert "expected an archive" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["/dev/zero", "/nowhere", "pipe"])
def test_a_link_to_what_is_no_file_is_refused_and_does_not_hang(tmp_path: Path, target: str) -> None:
    registry = place(tmp_path)
    os.mkfifo(registry / "pipe")
    (registry / "run.tar.xz").unlink()
    (registry / "run.tar.xz").symlink_to(target)
    assert "cannot be unpacked" in refused(registry)[""]


@pytest.mark.usefixtures("agreeing")
def test_a_crash_between_archive_and_certificates_is_completed_by_the_same_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence = tmp_path / "run.jsonl"
    evidence.write_bytes(world.write(world.seal(world.green())))
    right = adding._write_certificates

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(adding, "_write_certificates", die)
    with pytest.raises(KeyboardInterrupt):
        add(tmp_path / "r", evidence)
    assert "it has no certificate" in refused(tmp_path / "r")[""]
    monkeypatch.setattr(adding, "_write_certificates", right)
    assert add(tmp_path / "r", evidence) == 0 and add(tmp_path / "r", evidence) == 0
    assert [c.problems for c in checked(tmp_path / "r")] == [()] * 2


@pytest.mark.usefixtures("agreeing")
def test_a_name_belongs_to_the_evidence_that_had_it_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = place(tmp_path)
    before = (registry / "run.tar.xz").read_bytes()
    (tmp_path / "x.jsonl").write_bytes(world.write(world.seal(world.green(), "r2")))
    assert add(registry, tmp_path / "x.jsonl", "--name", "run") == 2
    assert "of other evidence already" in capsys.readouterr().err
    # also where the other writer comes between the look and the write
    looks = iter([None])
    right = adding._require_same
    monkeypatch.setattr(adding, "_require_same", lambda draft, target: next(looks, right) and right(draft, target))
    assert add(registry, tmp_path / "x.jsonl", "--name", "run") == 2
    assert (registry / "run.tar.xz").read_bytes() == before and not list(registry.glob(".*"))


@pytest.mark.usefixtures("agreeing")
@pytest.mark.parametrize("step", ["pack_evidence", "_write_certificates"])
def test_a_full_disk_is_said_and_leaves_no_half(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    (tmp_path / "e.jsonl").write_bytes(world.write(world.seal(world.green())))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(adding, step, full)
    assert add(tmp_path / "r", tmp_path / "e.jsonl") == 2
    assert "the entry cannot be written: No space left on device" in capsys.readouterr().err
    assert not list(tmp_path.glob("r/.*")) and not list(tmp_path.rglob("*.intoto.json"))


def test_what_is_no_evidence_makes_no_registry_entry(tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text("{}")
    assert add(tmp_path / "r", tmp_path / "e.jsonl") == 2 and not list((tmp_path / "r").iterdir())


def test_recommend_reads_what_is_certified_and_has_not_expired(tmp_path: Path) -> None:
    registry = place(tmp_path)
    ran = read_certified(registry, TODAY)[WITH_MTP]
    assert ran.worked and (ran.rig, ran.release, ran.features, ran.proven) == ("cpu", "llamacpp", ("mtp",), ("mtp",))
    assert (ran.date, dict(ran.counts)) == (str(world.BEGUN.date()), {"PASS": 2})
    assert read_certified(registry, LATER + timedelta(days=1)) == {}


def test_diff_finds_a_side_by_entry_or_release(tmp_path: Path) -> None:
    registry = place(tmp_path)
    other = [{**f, "facts": {**f["facts"], "release": "newer"}} if f["kind"] == "cell" else f for f in world.green()]
    place(tmp_path, "later", other)
    found = read_certified_evidence(registry, "llamacpp", "newer")
    assert found.maps == ("llamacpp=newer",) and len(found.old) == len(found.new) == len(world.green()) + 1
    assert read_certified_evidence(registry, "run", "later").maps == ()
    with pytest.raises(ConfigError, match="did you mean 'newer'"):
        read_certified_evidence(registry, "run", "newre")


def certificate(tmp_path: Path, **own: Json) -> Certificate:
    """Return a certificate of a cell of today's matrix, as today's plan launches it, but for `own`."""
    registry = place(tmp_path)
    found = read_certificate(registry / "run" / f"{PLAIN}.intoto.json")
    matrix = load_matrix()
    cell = next(c for c in expand_matrix(matrix).runnable if c.id == CELL)
    plan = make_plan(matrix, cell)
    said = {"fingerprint": plan.fingerprint, "script": render_script(plan), "facts": dict(cell.facts)}
    said |= {"versions": {cell.engine.id: cell.release.version}, **own}
    predicate = {**found.statement["predicate"], "glmMatrix": {**found.own, **said}}
    return replace(found, statement={**found.statement, "predicate": predicate}, cell=CELL)


def test_a_certificate_decays_by_date_version_and_flag_and_says_which(tmp_path: Path) -> None:
    matrix = load_matrix()
    cell = next(c for c in expand_matrix(matrix).runnable if c.id == CELL)
    fresh = certificate(tmp_path)
    assert find_decay(fresh, matrix, cell, TODAY) == []
    assert find_decay(fresh, matrix, cell, LATER + timedelta(days=1)) == [f"it expired on {LATER}"]
    assert find_decay(fresh, matrix, None, TODAY) == ["today's matrix runs no such cell"]
    script = str(fresh.own["script"])
    flag = next(line.strip(" \\") for line in script.splitlines() if "--tensor-parallel-size" in line or "--tp" in line)
    other = {"fingerprint": "f9", "script": script.replace(flag, f"{flag.split()[0]} 99")}
    own = {**fresh.own, **other, "versions": {cell.engine.id: "0.0.1"}}
    predicate = {**fresh.statement["predicate"], "glmMatrix": own}
    told = find_decay(replace(fresh, statement={**fresh.statement, "predicate": predicate}), matrix, cell, TODAY)
    assert told[0] == f"{cell.engine.id} is {cell.release.version} today, 0.0.1 was certified"
    assert told[1] == f"{flag.split()[0]} was 99 and is {flag.split()[1]}"


def test_the_badge_and_the_line_say_what_holds_and_are_inert(tmp_path: Path) -> None:
    found = replace(read_certificate(place(tmp_path) / "run" / f"{WITH_MTP}.intoto.json"), cell='x"><script>y')
    good = render_badge(found, [])
    ElementTree.fromstring(good)
    assert f"passed until {LATER}" in good and "<script" not in good
    assert "decayed: --page-size was 64 and is 128" in render_badge(found, ["--page-size was 64 and is 128"])
    assert render_card(found, []).startswith("PASSED canary, llamacpp, cpu (mtp); proven: mtp; run on 2026-11-21")
    assert "since then: it expired" in render_card(found, ["it expired"])
    assert json.loads(render_endpoint(found, [])) == {
        "schemaVersion": 1,
        "label": "GLM matrix",
        "message": f"passed until {LATER}",
        "color": "#17683a",
        "isError": False,
    }
    assert json.loads(render_endpoint(found, ["a\u202eb <script>"]))["message"].startswith("decayed: a")


def test_a_cell_that_only_its_id_names_has_not_decayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Layouts are beside the matrix's own list; their certificates hold all the same."""
    wanted = "sm103x8.vllm_0_33_0.glm52_nvfp4_nvidia.decode_context_parallel_4"
    assert wanted not in {c.id for c in expand_matrix(load_matrix()).runnable}
    registry = place(tmp_path)
    (path,) = registry.rglob(f"{PLAIN}.intoto.json")
    told = json.loads(path.read_text())
    told["predicate"]["glmMatrix"] |= {"cell": wanted, "facts": {}}
    path.write_text(json.dumps(told))
    assert cli.main(["registry", "badge", str(registry), "--cells", wanted]) == 0
    assert "runs no such cell" not in capsys.readouterr().out
    assert json.loads((registry / "badges" / f"{wanted}.json").read_text())["label"] == "GLM matrix"


HOSTILE: list[Any] = [None, 0, True, 1e308, "", "x" * 9_000, "\u202e<script>\x1b[31m", [], {}, [[1]], {"a": {"b": 1}}]


def list_places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a JSON value, of a list the first."""
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for key, each in inner:
        yield from list_places(each, (*at, key))


def put(value: Any, at: tuple[Any, ...], what: Any) -> Any:
    if not at:
        return what
    made = copy.copy(value)
    made[at[0]] = put(value[at[0]], at[1:], what)
    return made


def test_whatever_a_certificate_holds_it_is_refused_or_shown_inert(tmp_path: Path) -> None:
    """Anybody may propose one to a registry: each place with each value, through every reader."""
    registry = place(tmp_path)
    path = registry / "run" / f"{WITH_MTP}.intoto.json"
    right = json.loads(path.read_text())
    statements, matrix = Statements(read_records(tmp_path / "run.jsonl")), load_matrix()
    cell = next(iter(expand_matrix(matrix).runnable))
    for at, what in itertools.product(list_places(right), HOSTILE):
        path.write_text(json.dumps(put(right, at, what)))
        entries = read_registry(registry)
        found = next((c for c in entries[0].certificates if c.path == path), None)
        assert found is not None or entries[0].problems, at
        read_certified(registry, TODAY)
        if found is None:
            continue
        differs = list(compare_statement(found, statements.find))
        assert differs or found.statement == right or at[-1] in ("issued", "expires"), (at, what)
        for decay in ([], find_decay(found, matrix, cell, TODAY)):
            drawn = render_badge(found, decay) + render_endpoint(found, decay)
            assert "<script" not in drawn, (at, what)
            shown = drawn + render_card(found, decay)  # where its names are code, which shows markup as text
            assert "\x1b" not in shown and "\u202e" not in shown, (at, what)


def test_a_clock_that_goes_backwards_certifies_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = place(tmp_path)
    (path,) = registry.rglob(f"{PLAIN}.intoto.json")
    told = json.loads(path.read_text())
    told["predicate"]["glmMatrix"]["issued"] = "2026-11-01"
    path.write_text(json.dumps(told))
    assert "before its run of 2026-11-21 had ended" in refused(registry)[PLAIN]
    monkeypatch.setattr(adding, "replay_evidence", lambda _: AGREES)
    made: Json = {"registry": tmp_path / "r", "evidence": tmp_path / "run.jsonl", "name": "", "cells": "*", "days": 9}
    args = argparse.Namespace(**made, key=None, link=False, speed_unasked="")
    assert adding.add_entry(args, date(2026, 11, 1)) == 1
    assert "a clock is wrong" in capsys.readouterr().out and not [*(tmp_path / "r").iterdir()]


def test_the_last_certificate_of_a_cell_counts(tmp_path: Path) -> None:
    registry = place(tmp_path)
    path = registry / "run" / f"{PLAIN}.intoto.json"
    told = json.loads(path.read_text())
    told["predicate"]["glmMatrix"]["issued"] = str(TODAY - timedelta(days=9))
    (registry / "run" / "a.intoto.json").write_text(json.dumps(told))
    assert sorted((c.cell, c.issued) for c in list_valid(read_registry(registry), TODAY)) == [
        (PLAIN, TODAY),
        (WITH_MTP, TODAY),
    ]
