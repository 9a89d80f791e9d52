"""One function followed for one question: decided, refused, or undecided with the condition."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from lab.snapshot.evaluate import Scope
from lab.snapshot.interpret import InterpretedNames, Refused, Undecided, answer_function
from lab.snapshot.source import WheelSource, find_functions

MODULE = WheelSource({"m.py": b"FAMILY = frozenset({'Glm'})\n"})


def ask(body: str, calls: dict[str, Any] | None = None, **values: Any) -> Any:
    text = "def f(view):\n" + "".join(f"    {line}\n" for line in body.splitlines())
    module = MODULE.module("m")
    assert module is not None
    known = {f"view.{name}": value for name, value in values.items()}
    return answer_function(
        next(find_functions(ast.parse(text), "f")), InterpretedNames(known, calls or {}), Scope(MODULE, module)
    )[0]


def test_a_branch_over_known_values_is_taken() -> None:
    body = "if view.kv == 'fp8' and view.major >= 10:\n    return 'trtllm'\n"
    body += "elif view.kv == 'fp8':\n    return 'kv'\nreturn 'fa3'"
    assert [ask(body, kv=kv, major=m) for kv, m in (("fp8", 10), ("fp8", 9), ("auto", 12))] == ["trtllm", "kv", "fa3"]


def test_an_unknown_condition_ends_the_question_and_is_named() -> None:
    with pytest.raises(Undecided, match=r"torch\.version\.hip"):
        ask("if torch.version.hip:\n    return 1\nreturn 2")


def test_a_known_part_settles_a_condition_with_an_unknown_one() -> None:
    assert ask("if view.a and other():\n    return 1\nreturn 2", a=False) == 2
    assert ask("if view.a or other():\n    return 1\nreturn 2", a=True) == 1


def test_what_raises_is_refused_in_its_own_words() -> None:
    with pytest.raises(Refused, match="needs SM89"):
        ask("if view.a:\n    raise ValueError('needs SM89 or newer')", a=True)
    with pytest.raises(Refused, match="only bf16"):
        ask("assert view.kv in ['bf16'], 'only bf16'", kv="fp8")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("d = {}\nd['x'] = 'a' if view.a else 'b'\nreturn d", {"x": "a"}),
        ("d = {'k': 1}\nreturn d.get('x', 7)", 7),
        ("out = ['a']\nout.append('b')\nout.insert(0, 'c')\nreturn [*out, 'd']", ["c", "a", "b", "d"]),
        ("major, _ = torch.cuda.get_device_capability()\nreturn major", 12),
        ("return getattr(view, 'sink', False)", False),
        ("return 'Glm' in FAMILY", True),
        ("return is_hip() or get_platform().is_npu", False),
        ("return view.a.startswith('x')", None),
    ],
)
def test_what_engines_write_to_decide_is_understood(body: str, expected: Any) -> None:
    found = ask(body, {"get_device_capability": lambda: (12, 0)}, a=True)
    assert found == expected or (expected is None and not found)


def test_nothing_is_executed() -> None:
    assert not ask("import os\nos.abort()\nreturn unknown()")
