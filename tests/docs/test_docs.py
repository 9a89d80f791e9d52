"""Every command and every YAML block of the docs is tried. A block's id is page:line."""

from __future__ import annotations

import argparse
import ast
import importlib.util
import re
import shlex
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import ci.plan
import matrix.__main__ as command
import reports.__main__
from ci import runners
from cli.adding import command as adding
from cli.adding.rig import name_rig
from cli.tree import verb_parser
from cli.verbs import VERBS
from matrix.checkout import CHECKOUT
from matrix.planning import select
from matrix.planning.owed import CELL, Owed, OwedItem, read_owed
from matrix.preflight import __main__ as preflight
from matrix.upgrading import command as upgrade
from matrix.yaml.load import load_matrix
from matrix.yaml.loaded import Matrix
from reports.gate import policy
from reports.planning import command as planning
from suites.plugin import MARKS
from tests.docs.pages import DOCS, PAGES, Block, blocks, checkout_with

WITH_YAML = [page for page in PAGES if any(b.place for b in blocks(page, "yaml"))]
CONSOLE = [b for page in PAGES for b in blocks(page, "console")]
LINK = re.compile(r"\[[^\]]+\]\(([^)]+)\)")


class World(NamedTuple):
    """The matrix as a page leaves it, and where its files are."""

    matrix: Matrix
    root: Path


@pytest.fixture(scope="module")
def world_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], World]:
    """One copy of the YAML per page, for all its blocks."""

    @cache
    def make(page: str) -> World:
        if page not in WITH_YAML:
            return World(load_matrix(), CHECKOUT)
        root = checkout_with(page, tmp_path_factory.mktemp("checkout"))
        return World(load_matrix(root / "matrix"), root)

    return make


def owed_with(page: str) -> Owed:
    """Return what the suites ask once the tests that a page shows are written: `suites/test_x.py` of its text."""
    text = (DOCS / page).read_text("utf-8")
    shown = re.finditer(r"^`(suites/test_\w+\.py)`:\n\n```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    names = ((found[1], test) for found in shown for test in re.findall(r"^def (test_\w+)\(", found[2], re.MULTILINE))
    return Owed(items=(*read_owed().items, *(OwedItem(pattern=f"{file}::{test}[{CELL}]") for file, test in names)))


@pytest.mark.parametrize("page", WITH_YAML)
def test_the_yaml_of_a_page_loads_and_plans(page: str, world_of: Callable[[str], World]) -> None:
    matrix, root = world_of(page)
    places = [b.place for b in blocks(page, "yaml")]
    if any(place.startswith("matrix/") for place in places):
        assert command.lint_matrix(matrix, argparse.Namespace()) == 0
    assert runners.load_runners(matrix.rigs, root / "ci/runners.yaml")
    for gate in (place for place in places if place.startswith("ci/gates/")):
        assert policy.expect_cells(*policy.load_policy(root / gate, owed_with(page)), matrix, owed_with(page))


@pytest.mark.parametrize("page", [p for p in PAGES if p.startswith("how-to/add-a")])
def test_a_page_on_adding_something_shows_it(page: str) -> None:
    if page != "how-to/add-a-patch.md":  # a patch is a folder; its page shows more than YAML
        assert page in WITH_YAML


def commands(block: Block) -> Iterator[tuple[list[str], list[str]]]:
    """(words, shown output) of each `$ ...` of a block; leading VAR=value words are dropped."""
    for chunk in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        first, *output = chunk.rstrip("\n").split("\n")
        words = shlex.split(first)
        while words and re.fullmatch(r"\w+=.*", words[0]):
            words.pop(0)
        yield words, output


def check_plan(words: list[str], rest: list[str], output: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Plan what the page plans; a page that shows no plan costs no planning."""
    if words[0] == "python":
        assert ci.plan.main(rest) == 0
        return
    planning.make_parser().parse_args(rest)
    if output:
        assert planning.main(rest) == 0
        shown = capsys.readouterr().out
        assert differs_at(output, shown.rstrip("\n").split("\n")) is None, shown


@pytest.mark.parametrize("block", CONSOLE, ids=lambda b: b.id)
def test_a_command_does_what_the_page_shows(
    block: Block, world_of: Callable[[str], World], capsys: pytest.CaptureFixture[str]
) -> None:
    for words, output in commands(block):
        match words:
            case ["python", "-m", "matrix", verb, *rest] | ["glm-matrix", verb, *rest] if verb in command.VERBS:
                args = command.make_parser().parse_args([verb, *rest])
                assert command.VERBS[verb](world_of(block.page).matrix, args) == 0
                shown = capsys.readouterr().out
                assert differs_at(output, shown.rstrip("\n").split("\n")) is None, shown
            case ["glm-matrix", "add", "rig", *rest]:
                asked = adding.make_parser().parse_args(["rig", *rest])
                name_rig(world_of(block.page).matrix, asked.gpu, asked.count, asked.id)  # an error where it is there
            case ["glm-matrix", "upgrade" | "preflight" as verb, *rest] if output:
                {"upgrade": upgrade.main, "preflight": preflight.main}[verb](rest)
                assert differs_at(output, capsys.readouterr().out.rstrip("\n").split("\n")) is None
            case ["python", "-m", "matrix", verb, *rest] | ["glm-matrix", verb, *rest] if verb != "plan":
                known = rest[: rest.index("--")] if "--" in rest else rest  # after it stands a line of the user's
                verb_parser(VERBS[verb]).parse_args(known)  # what it does is tried where it lives
            case ["python", "-m", "ci.plan", *rest] | ["glm-matrix", "plan", *rest]:
                check_plan(words, rest, output, capsys)
            case ["python", "-m", "reports", *rest]:
                reports.__main__.make_parser().parse_args(rest)
            case ["python", "-m", module, *_]:
                assert importlib.util.find_spec(module)
            case ["make", target, *_]:
                assert re.search(rf"^{target}:", (CHECKOUT / "Makefile").read_text("utf-8"), re.MULTILINE)
            case ["pytest", *rest]:
                check_pytest(rest)
            case ["export" | "git" | "cd" | "curl" | "bash", *_]:
                pass
            case _:
                pytest.fail(f"{block.id}: nothing tries {words}")


def check_pytest(words: list[str]) -> None:
    """Its marks and options exist; what it would say depends on the host."""
    text = (DOCS / "reference/cli.md").read_text("utf-8")
    for word in words:
        if word.startswith("--") and word not in ("--collect-only", "--junitxml"):
            assert f"{word.split('=')[0]}" in text, word
    if "-m" in words:
        select.check_words(words[words.index("-m") + 1], {**select.all_marks(load_matrix()), **MARKS})


def differs_at(shown: list[str], real: list[str]) -> str | None:
    """Return the first shown line that is not there. `...` stands for any lines, within a line for any text.

    How many spaces stand between words does not matter: a longer id elsewhere would widen every column.
    """
    at, anywhere = 0, False
    for line in shown:
        if line == "...":
            anywhere = True
            continue
        pattern = re.compile(".*".join(re.escape(_narrow(part)) for part in line.split("...")))
        found = next((i for i in range(at, len(real)) if pattern.fullmatch(_narrow(real[i]))), None)
        if found is None or (found != at and not anywhere):
            return line
        at, anywhere = found + 1, False
    return None if anywhere or at == len(real) or not shown else f"(end, before {real[at]!r})"


def _narrow(line: str) -> str:
    return " ".join(line.split())


@pytest.mark.parametrize(
    ("shown", "differs"),
    [
        (["a", "b", "c"], None),
        ([], None),
        (["a", "..."], None),
        (["...", "c"], None),
        (["a", "...", "c"], None),
        (["a ...", "b", "c"], None),
        (["a", "c"], "c"),
        (["a", "b"], "(end, before 'c')"),
        (["...", "c", "b"], "b"),
        (["b", "..."], "b"),
    ],
)
def test_shown_output_is_compared_line_by_line(shown: list[str], differs: str | None) -> None:
    assert differs_at(shown, ["a", "b", "c"]) == differs


@pytest.mark.parametrize("block", [b for p in PAGES for b in blocks(p, "python")], ids=lambda b: b.id)
def test_python_of_a_page_parses_and_imports_what_exists(block: Block) -> None:
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and node.module != "suites.checks":
            module = importlib.import_module(str(node.module))
            assert all(hasattr(module, a.name) for a in node.names), ast.unparse(node)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = re.sub(r"```.*?```", "", (DOCS / page).read_text("utf-8"), flags=re.DOTALL)
    for link in LINK.findall(text):
        if "://" not in link:
            target, _, anchor = link.partition("#")
            path = (DOCS / page).parent / target if target else DOCS / page
            assert path.exists(), link
            assert not anchor or anchor in anchors(path), link


def anchors(path: Path) -> set[str]:
    """As GitHub makes them of headings."""
    heads = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in heads}


def test_a_decision_has_a_number_of_its_own() -> None:
    """Pages are cited by their number."""
    numbers = [path.name[:4] for path in (DOCS / "decisions").glob("[0-9]*.md")]
    assert numbers
    assert len(set(numbers)) == len(numbers)


def test_the_environment_variables_of_the_docs_are_read_somewhere() -> None:
    code = "".join(p.read_text("utf-8") for part in ("fixtures", "matrix") for p in (CHECKOUT / part).rglob("*.py"))
    for page in PAGES:
        for name in re.findall(r"GLM_MATRIX_\w+", (DOCS / page).read_text("utf-8")):
            assert f'"{name}"' in code, f"{page}: {name}"
