"""A share is made alone: its changes with the numbers that they have in a whole run, and every function's wrapper."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.mutants import make
from tests.mutants.__main__ import main
from tests.mutants.shard import Share

MODULE = "matrix.pins"


class Node(SimpleNamespace):
    def with_changes(self, **changes: Any) -> Node:
        return Node(**{**vars(self), **changes})


def arrange(function: Any, mutants: Any, class_name: str | None) -> Any:
    """As mutmut 3.8.1 does it: a wrapper, the function itself and one function for each change, numbered from 1."""
    made = [Node(name=f"{function.name.value}_{n}", change=m) for n, m in enumerate(mutants, 1)]
    return ["declared"], [Node(name="wrapper"), Node(name="orig"), *made], [Node(leading_lines="blank")], ["_"]


def fake_mutmut(monkeypatch: pytest.MonkeyPatch, changes: int) -> dict[str, Any]:
    """mutmut is in an environment of its own: here its parts that `make` takes."""
    made: dict[str, Any] = {}
    function = SimpleNamespace(name=SimpleNamespace(value="parse"))

    def mutate(filename: str, *_: Any) -> str:
        made["arranged"] = making.function_trampoline_arrangement(function, list(range(1, changes + 1)), None)
        return "code"

    making = SimpleNamespace(function_trampoline_arrangement=arrange, mutate_file_contents=mutate)
    program = SimpleNamespace(mutate_file_contents=mutate)
    program.run = SimpleNamespace(
        callback=lambda names, max_children: made.update(
            ran=(names, max_children), told=program.mutate_file_contents("matrix/pins.py", "code", None, None)
        )
    )
    templates = SimpleNamespace(
        mangle_function_name=lambda name, class_name: f"x_{name}",
        build_mutants_dict_and_name=lambda **given: given["mutants"],
    )
    names = SimpleNamespace(get_mutant_name=lambda file, name: f"{'.'.join(Path(file).with_suffix('').parts)}.{name}")
    cst = SimpleNamespace(Name=str, parse_module=lambda code: SimpleNamespace(body=[Node(code=code), Node(code=code)]))
    found = dict(zip(make.MODULES, (cst, program, making, templates, names), strict=True))
    monkeypatch.setattr(make, "import_module", found.__getitem__)
    return made


def test_a_share_has_the_numbers_of_a_whole_run(monkeypatch: pytest.MonkeyPatch) -> None:
    made = fake_mutmut(monkeypatch, 40)
    assert main(["run", "2/3", "--max-children", "1"]) == 0
    declared, nodes, assigned, names = made["arranged"]
    share = Share(index=2, count=3)
    wanted = [n for n in range(1, 41) if share.holds(f"{MODULE}.x_parse__mutmut_{n}")]
    assert names == [f"x_parse__mutmut_{n}" for n in wanted] and 5 < len(wanted) < 25
    assert [(n.name, n.change) for n in nodes[2:]] == list(zip(names, wanted, strict=True))
    assert [n.name for n in nodes[:2]] == ["wrapper", "orig"] and declared == ["declared"]
    assert assigned[0].leading_lines == "blank" and assigned[0].code == names
    assert (made["ran"], made["told"]) == (((), 1), "code")


def test_a_function_without_a_change_of_the_share_has_its_wrapper(monkeypatch: pytest.MonkeyPatch) -> None:
    made = fake_mutmut(monkeypatch, 1)
    share = next(i for i in (1, 2) if not Share(index=i, count=2).holds(f"{MODULE}.x_parse__mutmut_1"))
    assert main(["run", f"{share}/2"]) == 0
    _, nodes, _, names = made["arranged"]
    assert [n.name for n in nodes] == ["wrapper", "orig"] and names == []
