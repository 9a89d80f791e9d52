"""Read what a release's argument code refuses or changes: `raise`, `assert`, and the notes about a changed value.

Only the words count, with `{}` for what is filled in: names of variables and places of code change between releases
where nothing changes for a user. An assertion without words gives its condition, without the record's name in it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Final, TypeGuard

from matrix.preflight.guards import Does

# Where an engine judges what the line gives it, before a worker starts.
FILES: Final[Mapping[str, tuple[str, ...]]] = {
    "sglang": (
        "sglang/srt/server_args.py",
        "sglang/srt/arg_groups/*.py",
        "sglang/srt/configs/model_config.py",
        "sglang/srt/layers/attention/[dn]sa_backend.py",
    ),
    "vllm": (
        "vllm/config/*.py",
        "vllm/engine/arg_utils.py",
        "vllm/platforms/cuda.py",
        "vllm/entrypoints/*cli_args.py",
        "vllm/model_executor/models/config.py",
        "vllm/v1/worker/cp_utils.py",
        "vllm/v1/worker/gpu/pcp_manager.py",
        "vllm/distributed/kv_transfer/kv_connector/v1/offloading/config.py",
        "vllm/v1/kv_offload/spec.py",
        "vllm/v1/kv_offload/cpu.py",
        "vllm/v1/kv_offload/cpu/spec.py",
    ),
    "trtllm": (
        "tensorrt_llm/commands/serve.py",
        "tensorrt_llm/mapping.py",
        "tensorrt_llm/llmapi/llm_args.py",
        "tensorrt_llm/llmapi/llm_utils.py",
        "tensorrt_llm/_torch/model_config.py",
        "tensorrt_llm/_torch/models/modeling_auto.py",
        "tensorrt_llm/_torch/models/modeling_deepseekv3.py",
        "tensorrt_llm/_torch/models/modeling_speculative.py",
        "tensorrt_llm/_torch/attention_backend/sparse/*.py",
        "tensorrt_llm/_torch/modules/attention.py",
        "tensorrt_llm/_torch/modules/fused_moe/create_moe.py",
        "tensorrt_llm/_torch/modules/fused_moe/fused_moe_*.py",
        "tensorrt_llm/_torch/pyexecutor/_util.py",
        "tensorrt_llm/_torch/pyexecutor/model_loader.py",
        "tensorrt_llm/_torch/pyexecutor/py_executor_creator.py",
        "tensorrt_llm/_torch/pyexecutor/resource_manager.py",
    ),
}
# Engines whose modules assert shapes on every step: there, an assertion without words counts in these folders only.
BARE_UNDER: Final[Mapping[str, tuple[str, ...]]] = {
    "trtllm": ("tensorrt_llm/llmapi/", "tensorrt_llm/commands/"),
    "vllm": ("vllm/config/", "vllm/engine/", "vllm/platforms/", "vllm/entrypoints/", "vllm/model_executor/"),
}
LOGS: Final = frozenset({"warning", "warning_once", "info", "info_once", "warn"})
CHANGES: Final = re.compile(
    r"\b(sets?|setting|overrid\w+|disabl\w+|adjust\w+|ignor\w+|fall(ing)? ?back|fallback|forc(e|ed|ing)|switch\w*|"
    r"reset|reduc\w+|round\w*|chang\w+|enabl\w+|default\w*|replac\w+|turn\w*|no effect|resolv\w+|no-op|limit\w*|"
    r"truncat\w+|inferred|raising|using|use|promot\w+|incompatible|not compatible)\b",
    re.IGNORECASE,
)
RECORDS: Final = re.compile(r"\b(self|cfg|view|server_args|resolved|args|resolved_view\(server_args\))\.")
BOUNDS: Final = ("gt", "ge", "lt", "le")  # of pydantic's Field
BARE: Final = "assert "  # in front of a condition that has no words
FEWEST_CHARS: Final = 8
MOST_CHARS: Final = 130  # of words: enough to know the guard again
Found = tuple[Does, str, str]


def list_guards(engine: str, files: Mapping[str, bytes]) -> list[Found]:
    """Return (does, place, words) of every guard; the place is the file without the package's folder, and the line."""
    found: list[Found] = []
    for path in sorted(files):
        if any(fnmatchcase(path, pattern) for pattern in FILES.get(engine, ())):
            try:
                tree = ast.parse(files[path].decode("utf-8-sig", "replace"))
            except SyntaxError:  # a newer grammar than ours: nothing can be concluded
                continue
            place = path.split("/", 1)[1].removeprefix("srt/")
            bare = path.startswith(BARE_UNDER.get(engine, ""))
            guards = ((does, f"{place}:{line}", says) for does, line, says in _visit(tree, {}))
            found += [guard for guard in guards if bare or not guard[2].startswith(BARE)]
    return found


def _visit(node: ast.AST, texts: Mapping[str, str]) -> Iterator[tuple[Does, int, str]]:
    """Walk in order; `texts`: variables of the function that hold words, for `raise ValueError(message)`."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        # those of the function around it too: nested helpers raise what the outer one worded
        texts = {**texts, **_assigned(node)}
    match node:
        case ast.Assert(test=test, msg=message, lineno=line):
            words = _join_written(message, texts) if message is not None else ""
            # without the record's name: releases rename it, and the guard would be a new one each time
            says = words or BARE + RECORDS.sub("", " ".join(ast.unparse(test).split()))
            yield "stops", line, says[:MOST_CHARS]
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.Call(keywords=keywords), lineno=line):
            bounds = [f"{k.arg}={k.value.value!r}" for k in keywords if k.arg in BOUNDS and _is_number(k.value)]
            if bounds:
                yield "bounds", line, " ".join([name, *bounds])
        case ast.Raise(exc=ast.Call(args=[first, *_]), lineno=line):
            # `raise ValueError(name)` has no words by which anybody could know it again
            if len(says := _join_written(first, texts)) >= FEWEST_CHARS:
                yield "stops", line, says[:MOST_CHARS]
        case ast.Call(func=ast.Attribute(attr=name), args=[first, *_], lineno=line) if name in LOGS:
            # most log lines only report: those count that say that a value is another one now
            if CHANGES.search(says := _join_written(first, texts)):
                yield "sets", line, says[:MOST_CHARS]
    for child in ast.iter_child_nodes(node):
        yield from _visit(child, texts)


def _is_number(node: ast.expr) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and type(node.value) in (int, float)


def _assigned(function: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, str]:
    return {
        node.targets[0].id: words
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and (words := _join_written(node.value, {}))
    }


def _join_written(node: ast.AST, texts: Mapping[str, str]) -> str:
    """Return the text of an expression, `{}` for every part that is not written there; nothing where none is."""
    match node:
        case ast.Constant(value=str(text)):
            # three ways to fill in (%, format, f-strings) become one, so that a rewrite of the source changes nothing
            return " ".join(re.sub(r"%[-.\d]*[sdrf]", "{}", text).split())
        case ast.JoinedStr(values=values):
            text = "".join(str(v.value) if isinstance(v, ast.Constant) else "{}" for v in values)
            return " ".join(text.split())
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return " ".join(f"{_join_written(left, texts)} {_join_written(right, texts)}".split())
        case ast.BinOp(left=left, op=ast.Mod()):
            return _join_written(left, texts)
        case ast.Call(func=ast.Attribute(value=inner, attr="format" | "join")):
            return re.sub(r"\{\w*\}", "{}", _join_written(inner, texts))
        case ast.Name(id=name):
            return texts.get(name, "")
        case _:
            return ""
