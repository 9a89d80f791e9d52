"""Verbs that judge evidence: without a GPU, an engine or a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from cli import programs, report_programs
from cli.verb import NOTHING, Program, Verb

RED: Final = {1: "red: a test, the gate or a comparison got worse"}
Load = Callable[[], Program] | None


def _make_judge(name: str, summary: str, example: str, codes: Mapping[int, str] = NOTHING, load: Load = None) -> Verb:
    return Verb("judge", name, summary, example, codes, load or programs.reports_verb(name))


JUDGE: Final = (
    _make_judge("report", "write the table, the page and the gate's verdict", "report --policy ci/gates/cpu.yaml", RED),
    _make_judge("table", "print the verdict table", "table --markdown", RED),
    _make_judge("html", "write an HTML index and a page for each cell", "html --out reports/out/index.html", RED),
    _make_judge("gate", "print green or red, with a sentence for each reason", "gate --policy ci/gates/cpu.yaml", RED),
    _make_judge("predictions", "compare cells that differ in one feature: as predicted?", "predictions", RED),
    _make_judge("ablation", "print what each feature changes in speed", "ablation", RED),
    _make_judge("replay", "judge kept replies again, without an engine", "replay reports/out/evidence.jsonl", RED),
    _make_judge(
        "diff",
        "may I upgrade? Compare two runs, also across releases",
        "diff old.jsonl new.jsonl --map sglang_0_5_17=sglang_0_5_23",
        {1: "NO: something got worse", 3: "UNKNOWN: something was not asked, not finished or asked otherwise"},
    ),
    _make_judge(
        "history",
        "index earlier runs: trends, flake rates, first bad run, baselines",
        "history trend runs/",
        load=report_programs.load_history,
    ),
    _make_judge(
        "certify",
        "write or verify certificates of cells (in-toto test results)",
        "certify reports/out/evidence.jsonl --out certificates",
        {1: "a cell cannot be certified, or the certificate does not hold"},
        report_programs.load_certify,
    ),
    _make_judge(
        "registry",
        "keep certificates in a git directory: add, check by replay, draw badges",
        "registry check registry/",
        {1: "a certificate does not stand, or a cell was refused"},
        report_programs.load_registry,
    ),
    _make_judge(
        "claims",
        "list every published number, and ours beside it",
        "claims --format markdown",
        load=report_programs.load_claims,
    ),
    _make_judge(
        "repro",
        "write a folder that asks one failed request again, and shorten it",
        "repro test_finds_the_needle --evidence reports/out/evidence.jsonl --out /tmp/needle",
        {1: "with --judge: the failure is the same", 3: "with --judge: it fails otherwise"},
    ),
    _make_judge("issue", "write a failure as a text for the engine's maintainers", "issue test_finds_the_needle"),
    _make_judge(
        "sign", "sign an evidence file with an SSH key", "sign reports/out/evidence.jsonl --key ~/.ssh/id_ed25519"
    ),
    _make_judge("junit", "merge or verify JUnit files", "junit merge all.xml a.xml b.xml --evidence e.jsonl", RED),
    _make_judge("redact", "overwrite secrets in files and folders, in place", "redact reports/out/logs"),
)
