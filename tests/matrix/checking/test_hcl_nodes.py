"""HCL as nodes: what the text itself says is put in, what it does not say is a template, and nothing runs away."""

from __future__ import annotations

import pytest

from matrix.checking.hcl_nodes import compose_hcl, is_hcl
from matrix.checking.yaml_nodes import make_plain
from tests.pace import within_cpu_s


def plain(text: str) -> object:
    (document,), problems = compose_hcl(text, "x.tf")
    assert not problems
    return make_plain(document)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ('a = 1\nb = "x"\nc = true\n', {"a": 1, "b": "x", "c": True}),
        ('a "l" "m" {\n  b = [1, "2",]\n}\n', {"a": {"l": {"m": {"b": [1, "2"]}}}}),
        ('# c\n// d\n/* e\n */ a = "#b" # f\n', {"a": "#b"}),
        ("a = <<-EOF\n    one\n      two\n  EOF\nb = 2\n", {"a": "one\n  two\n", "b": 2}),
        ('a = jsonencode([{ b = "c", "d" = 3 }])\n', {"a": [{"b": "c", "d": 3}]}),
        ('a = concat(["b"], ["c", "d"])\n', {"a": ["b", "c", "d"]}),
        ("a = max(1, 2)\nb = 3\n", {"a": "{{ expression }}", "b": 3}),
        ('a = x ? "b" : "c"\nd = 4\n', {"a": "{{ expression }}", "d": 4}),
        ("a {\n  b = 1\n}\na = 2\n", {"a": {"b": 1}}),
    ],
)
def test_a_body_is_read_as_it_is_written(text: str, made: object) -> None:
    assert plain(text) == made


def test_references_are_what_the_text_itself_sets() -> None:
    found = plain(
        'variable "tp" {\n  default = 8\n}\nlocals {\n  f = ["-tp", "${var.tp}"]\n}\na = local.f\nb = "v${var.none}"\n'
    )
    assert isinstance(found, dict)
    assert found["a"] == ["-tp", 8]
    assert found["b"] == "v{{ var.none }}"


@pytest.mark.parametrize(
    "text", ["locals {\n  a = local.a\n}\n", "locals {\n  a = [local.b]\n  b = [local.a]\n}\nc = local.a\n"]
)
def test_a_reference_to_itself_ends(text: str) -> None:
    assert compose_hcl(text, "x.tf")[0]


def test_references_of_references_do_not_multiply() -> None:
    lists = "".join(f"  a{n} = [{', '.join([f'local.a{n - 1}'] * 9)}]\n" for n in range(1, 40))
    texts = "".join(f'  t{n} = "${{local.t{n - 1}}}${{local.t{n - 1}}}"\n' for n in range(1, 60))
    with within_cpu_s(2):
        assert compose_hcl(f'locals {{\n  a0 = "x"\n  t0 = "y"\n{lists}{texts}}}\nz = local.a39\n', "x.tf")[0]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = [1\n", 1),
        ("a {\n  b = 1\n", 1),
        ("a = <<EOF\nx\n", 1),
        ("a = 1\n] = 2\n", 2),
        ("a\n", 1),
        (f"a = {'[' * 500}\n", 1),
        (f"{'a {' * 500}\n", 1),
    ],
)
def test_what_is_no_hcl_is_a_problem_with_its_line(text: str, line: int) -> None:
    documents, problems = compose_hcl(text, "x.tf")
    assert not documents
    assert [p.line for p in problems] == [line]


def test_a_quote_that_never_ends_is_read_in_time() -> None:
    with within_cpu_s(2):
        compose_hcl('a = "' + "${x}" * 20_000 + "\n", "x.tf")


@pytest.mark.parametrize(
    ("text", "name", "is_"),
    [
        ('job "glm" {\n}\n', "x", True),
        ("# a\n\nlocals {\n}\n", "x", True),
        ("job() {\n  vllm serve /w\n}\n", "x.sh", False),
        ('#!/bin/bash\njob "x" {\n', "x", False),
        ("vllm serve /w\n", "x.tf", True),
    ],
)
def test_when_a_text_is_hcl(text: str, name: str, is_: bool) -> None:
    assert is_hcl(text, name) is is_
