"""A light item is the item that pytest makes itself: the same questions have the same answers, asked early or late."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from matrix.collection.items import ANY_CELL, KNOWN, CellCase, CellItem, Template, is_template
from matrix.known.failures import KnownOfCell
from matrix.planning.owed import CELL as PLACE

CELL: Any = SimpleNamespace(id="rig.release.checkpoint.mtp")
MARKS = (pytest.mark.mtp.mark, pytest.mark.cell(rig="rig").mark)
LIGHT = ("name", "nodeid", "originalname", "marks", "closest", "params", "fixturenames", "chain", "repr")
TESTS = """
    import pytest
    pytestmark = [pytest.mark.of_module]

    @pytest.fixture
    def doubled(cell):
        return 2 * cell.id

    @pytest.mark.parametrize("length", [1, pytest.param(2, marks=pytest.mark.long)])
    @pytest.mark.of_test
    def test_function(cell, doubled, length, request):
        assert doubled == 2 * cell.id and length in (1, 2)
        assert request.node.callspec.params["cell"] is cell

    class TestMethods:
        def test_alone(self, cell):
            assert cell.id
            self.seen = not hasattr(self, "seen")
            assert self.seen
"""
# Marks are compared as sets: those of a cell share no name with others, so their place among them decides nothing.
ASKED: dict[str, Callable[[Any], Any]] = {  # what pytest and its plugins ask of an item
    "name": lambda i: i.name,
    "nodeid": lambda i: i.nodeid,
    "id": lambda i: (i.id.path, i.id.names, i.id.params),
    "originalname": lambda i: i.originalname,
    "marks": lambda i: sorted(m.name for m in i.iter_markers()),
    "own_markers": lambda i: sorted(m.name for m in i.own_markers),
    "closest": lambda i: i.get_closest_marker("of_module").name,
    "keywords": lambda i: sorted(i.keywords),
    "params": lambda i: dict(i.callspec.params),
    "callspec": lambda i: (i.callspec.id, i.callspec.indices, sorted(m.name for m in i.callspec.marks)),
    "fixturenames": lambda i: i.fixturenames,
    "chain": lambda i: i.listnames(),
    "extra_keyword_matches": lambda i: i.extra_keyword_matches,
    "location": lambda i: i.location,
    "function": lambda i: i.function.__qualname__,
    "cls": lambda i: i.cls and i.cls.__name__,
    "path": lambda i: i.path,
    "repr": repr,
}


@dataclass(frozen=True)
class Made:
    """Pytest's own items with the cell as a parameter, and templates of ours."""

    own: list[Any]
    templates: list[Template]

    def light(self) -> list[Any]:
        """Items that nobody has asked for anything."""
        case = CellCase(
            cell=CELL,
            marks=MARKS,
            make_plan=lambda _: SimpleNamespace(fingerprint="f"),  # type: ignore[arg-type,return-value]
            gather_known=lambda _: KnownOfCell(words=("w",)),
        )
        return [t.make_item(case) for t in self.templates]


@pytest.fixture
def made(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Made:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini("[pytest]\nmarkers = of_module: x\n of_test: x\n long: x\n late: x")
    path = pytester.makepyfile(test_it=TESTS)

    def collect(parameter: Any) -> list[Any]:
        def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
            metafunc.parametrize("cell", [parameter])

        plugin = SimpleNamespace(pytest_generate_tests=pytest_generate_tests)
        ran = pytester.inline_run(path, "--collect-only", "-p", "no:cacheprovider", plugins=[plugin])
        return [call.item for call in ran.getcalls("pytest_itemcollected")]

    decorators = [pytest.MarkDecorator(m, _ispytest=True) for m in MARKS]
    own = collect(pytest.param(CELL, id=CELL.id, marks=decorators))
    likes = collect(pytest.param(ANY_CELL, id=PLACE))
    assert all(map(is_template, likes)) and not any(map(is_template, own))
    assert len(own) == len(likes) == 3
    return Made(own, [Template(like) for like in likes])


def test_it_answers_as_the_item_that_pytest_makes(made: Made) -> None:
    for question, ask in ASKED.items():
        for theirs, ours in zip(made.own, made.light(), strict=True):
            assert isinstance(ours, CellItem)
            early = ask(ours)
            ours.complete()
            assert early == ask(theirs) == ask(ours), question


def test_the_questions_of_every_collection_leave_it_light(made: Made) -> None:
    for item in made.light():
        for question in LIGHT:
            ASKED[question](item)
        assert not item.whole and not item.__dict__
        assert item.identity == {"cell": CELL.id, "fingerprint": "f", "test": item.originalname}


def test_what_a_plugin_writes_stays(made: Made) -> None:
    for item in made.light():
        item.add_marker("late")
        item.user_properties.append(("seen", True))
        item.stash[KNOWN] = KnownOfCell()
        assert item.get_closest_marker("late") and item.get_closest_marker("mtp")
        assert dict(item.user_properties)["seen"] and dict(item.user_properties)["cell"] == CELL.id
        assert item.stash[KNOWN] == KnownOfCell()


def test_shared_parameters_cannot_be_written(made: Made) -> None:
    [*_, method] = made.light()
    with pytest.raises(TypeError):
        method.callspec.params["cell"] = None
    method.complete()
    method.callspec.params["cell"] = None  # its own now
    assert method.stash[KNOWN].words == ("w",)


def test_an_attribute_that_no_item_has_is_missing(made: Made) -> None:
    [item, *_] = made.light()
    assert getattr(item, "__wrapped__", None) is None and not item.whole
    with pytest.raises(AttributeError, match="no attribute 'obvious'"):
        _ = item.obvious
