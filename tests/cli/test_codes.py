"""Every status, rule, check, known failure and fault has its page, in one shape; a new one without words fails here."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from ci.reference.__main__ import CODES
from cli.codes.catalogue import CATALOGUE, CHECKS, STATUSES, find_pages
from cli.codes.code import Code, read_words
from cli.codes.why import WIDTH, find_page, main
from matrix.checkout import CHECKOUT
from matrix.errors import ConfigError
from matrix.judging.status import Status
from matrix.yaml.load import load_matrix
from tests.faults import page as faults
from tests.faults.catalogue.table import FAULTS
from tests.faults.stub.table import DEFECTS

ALL = [code for make in CATALOGUE.values() for code in make()]


def checks_of(source: str) -> Iterator[str]:
    """Names of checks that a module makes; `*` where a name is put in at run time."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.keyword(arg="check", value=value):
                yield from _name_of(value)
            case ast.FunctionDef(args=ast.arguments(kwonlyargs=names, kw_defaults=defaults)):
                for name, default in zip(names, defaults, strict=True):
                    if name.arg == "check" and default is not None:
                        yield from _name_of(default)
            case ast.AnnAssign(target=ast.Name(id="CHECK"), value=ast.expr() as value):
                yield from _name_of(value)


def _name_of(value: ast.expr) -> Iterator[str]:
    match value:
        case ast.Constant(value=str(name)):
            yield name
        case ast.JoinedStr(values=parts):
            yield "".join(str(p.value) if isinstance(p, ast.Constant) else "*" for p in parts)


MADE = {name for p in sorted((CHECKOUT / "suites").rglob("*.py")) for name in checks_of(p.read_text("utf-8"))}


def test_every_status_has_words() -> None:
    assert set(read_words(STATUSES)) == {status.value for status in Status}


def test_every_check_of_the_suites_has_words() -> None:
    written = set(read_words(CHECKS))
    assert {name for name in MADE if name not in written} == set()
    assert {name for name in written if name not in MADE} == set(), "words without a check"


def test_the_checks_are_found_in_each_form() -> None:
    source = 'f(check="a.b")\nf(check=f"c.{x}")\ndef g(*, check: str = "d.e"): ...\nCHECK: Final = "f.g"\n'
    assert sorted(checks_of(source)) == ["a.b", "c.*", "d.e", "f.g"]


def test_every_rule_and_every_known_failure_has_a_page() -> None:
    assert {c.id for c in ALL if c.kind == "rules"} == {r.value.id for r in load_matrix().rules}
    assert {c.id for c in ALL if c.kind == "known-failures"} == {k.value.id for k in load_matrix().known_failures}


def test_every_fault_has_a_page_and_the_committed_page_is_fresh() -> None:
    assert {c.id for c in faults.iterate_codes()} == {*FAULTS, *DEFECTS}
    assert faults.main(["--check"]) == 0, "run: python -m tests.faults.page"


@pytest.mark.parametrize("name", sorted({*FAULTS, *DEFECTS}))
def test_every_fault_says_what_the_engine_does(name: str) -> None:
    says = faults.say_what_it_does(name)
    assert " " in says and says != name.replace("_", " "), "a name with spaces says nothing"
    assert not says.endswith(".") and not says.startswith("the same"), "a clause that stands by itself"


def test_the_reference_holds_every_kind() -> None:
    assert set(CODES) == set(CATALOGUE)


def test_a_code_is_one_thing() -> None:
    twice = [code for code, n in Counter(c.id for c in [*ALL, *faults.iterate_codes()]).items() if n > 1]
    assert twice == []


@pytest.mark.parametrize("code", ALL, ids=lambda c: f"{c.kind}-{c.id}")
def test_a_page_has_four_parts_that_are_sentences(code: Code) -> None:
    parts = (code.words.sees, code.words.cannot_see, code.words.example, code.words.what_to_do)
    assert all(len(part) > 5 and part.rstrip("`)")[-1] in ".:" for part in parts), parts


@pytest.mark.parametrize(
    "code", ["XPASS", "needle.found", "throughput.complete", "planted_fsfs", "cpu_engines", "loops"]
)
def test_why_prints_the_page_within_the_width(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([code]) == 0
    shown = capsys.readouterr().out
    heads = ("What it sees:", "What it cannot see:", "Example:", "What to do:")
    assert [head for head in heads if head not in shown] == []
    assert max(len(line) for line in shown.splitlines() if " " in line.strip()) <= WIDTH


def test_a_code_that_does_not_exist_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'XPASS'"):
        find_page("XPAS")


def test_a_pattern_yields_to_the_code_itself() -> None:
    assert find_page("effective.weights") != find_page("effective.page_size")
    assert fnmatchcase("effective.page_size", "effective.*")
    assert "effective.*" in find_pages()


def test_an_entry_without_a_part_is_an_error_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "words.yaml"
    path.write_text("PASS:\n  sees: a.\n  cannot_see: b.\n  example: c.\n  what_to_doo: d.\n")
    with pytest.raises(ConfigError, match=r"words\.yaml:.*what_to_do"):
        read_words(path)
