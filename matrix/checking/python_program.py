"""A Python program -> the engines that it makes or starts: `LLM(...)`, `sgl.Engine(...)`, `subprocess.run([...])`.

The text is parsed and never run. Names that the module itself sets to a plain value are followed; everything else is a
value that nobody here knows.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from matrix.checking.containers import image_engine
from matrix.checking.keyword_words import ANY, Keyword, make_words
from matrix.checking.launchers import Command, Start, find_start
from matrix.checking.python_containers import read_container_call
from matrix.checking.releases import parse_requirement
from matrix.checking.shell_script import Beside, ShellReader, no_file
from matrix.checking.variables import Variables, Word
from matrix.errors import Problem

# Class -> engine, where a module of that engine is imported.
CLASSES: Final[Mapping[str, str]] = {
    "LLM": "vllm",
    "EngineArgs": "vllm",
    "AsyncEngineArgs": "vllm",
    "Engine": "sglang",
    "ServerArgs": "sglang",
}
PROCESSES: Final = frozenset({"run", "Popen", "call", "check_call", "check_output", "system", "create_subprocess_exec"})
SHELL_TEXTS: Final = frozenset({"system", "getoutput", "getstatusoutput", "create_subprocess_shell"})
INSTALLS: Final = frozenset({"pip_install", "uv_pip_install"})  # of Modal's images
OPEN: Final = "$value"  # what the program computes, as a variable that nobody set
MOST_NODES: Final = 200_000


def read_python(text: str, name: str, beside: Beside = no_file) -> tuple[list[Command], list[Problem]]:
    """Read every engine that the program makes with literal arguments, or starts as a process."""
    reader = ShellReader(name, beside)
    try:
        tree = ast.parse(text)
    # a stranger's text may be nested beyond the parser's stack, or hold a null byte
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", 0) or 0
        reader.problems.append(Problem(name, line, "", f"no Python: {getattr(error, 'msg', error)}"))
        return reader.commands, reader.problems
    nodes = [node for node, _ in zip(ast.walk(tree), range(MOST_NODES), strict=False)]
    known = _read_assignments(nodes)
    env = Variables({n: (w,) for n, w in _read_environment(nodes, known).items()})
    env.exported |= set(env.values)
    imported = _list_imports(nodes)
    for call in (n for n in nodes if isinstance(n, ast.Call) and _name_of(n.func) in INSTALLS):
        texts = [
            each.value for each in ast.walk(call) if isinstance(each, ast.Constant) and isinstance(each.value, str)
        ]
        reader.installed.update(found for text in texts if (found := parse_requirement(text)) is not None)
    for call in sorted((n for n in nodes if isinstance(n, ast.Call)), key=lambda n: n.lineno):
        _read_call(call, reader, known, env, imported)
    return reader.commands, reader.problems


def _read_call(
    call: ast.Call, reader: ShellReader, known: Mapping[str, Any], env: Variables, imported: Mapping[str, str]
) -> None:
    called = _name_of(call.func)
    engine = CLASSES.get(called, "")
    if engine and imported.get(_root_of(call.func), "") == engine:
        words = make_words(_iterate_keywords(call, engine, known), engine)
        start = Start(kind="engine", engine=engine, entry=f"{called}(...)", argv=words)
        reader.start(start, call.lineno, env.environment(), 0)
    elif called in PROCESSES | SHELL_TEXTS and call.args and not _names_image(call, known):
        _read_process(call, called, reader, known, env)
    else:
        read_container_call(call, reader, known, _make_word)


def _names_image(call: ast.Call, known: Mapping[str, Any]) -> bool:
    """Whether a call named `run` is docker's: its first argument is an engine's image."""
    value, found = _evaluate(call.args[0], known)
    return found and isinstance(value, str) and " " not in value and "/" in value and image_engine(value) != ""


def _read_process(call: ast.Call, called: str, reader: ShellReader, known: Mapping[str, Any], env: Variables) -> None:
    value, found = _evaluate(call.args[0], known)
    if found and isinstance(value, str):
        if called in SHELL_TEXTS or any(k.arg == "shell" for k in call.keywords):
            reader.read(value, env, call.lineno, 1)
        return
    node = call.args[0]
    if isinstance(node, ast.Name):
        node = known.get(f"{node.id} (node)", node)
    if isinstance(node, ast.List | ast.Tuple):
        words = [_make_word(each, known) for each in node.elts]
        start = find_start(words)
        if start is not None:
            reader.start(start, call.lineno, env.environment(), 0)


def _make_word(node: ast.expr, known: Mapping[str, Any]) -> Word:
    value, found = _evaluate(node, known)
    text = str(value) if found else OPEN
    return Word(text, node.lineno, ("value",) if OPEN in text else ())


def _iterate_keywords(call: ast.Call, engine: str, known: Mapping[str, Any]) -> Iterator[Keyword]:
    for node in call.args[:1]:  # LLM's first argument is the model
        if not isinstance(node, ast.Starred):
            yield _make_keyword("model" if engine == "vllm" else "model_path", node, known)
    for keyword in call.keywords:
        if keyword.arg is not None:
            yield _make_keyword(keyword.arg, keyword.value, known)
            continue
        value, found = _evaluate(keyword.value, known)
        if found and isinstance(value, dict):
            yield from (Keyword(name=str(n), value=v, line=keyword.value.lineno) for n, v in value.items())
        else:
            yield Keyword(name=ANY, value=None, line=keyword.value.lineno, known=False)


def _make_keyword(name: str, node: ast.expr, known: Mapping[str, Any]) -> Keyword:
    value, found = _evaluate(node, known)
    return Keyword(name=name, value=value, line=node.lineno, known=found)


def _evaluate(node: ast.expr, known: Mapping[str, Any]) -> tuple[Any, bool]:
    """Return a literal's value and True; names of the module are followed, `dict(a=1)` is one."""
    if isinstance(node, ast.Name) and node.id in known:
        return known[node.id], True
    if isinstance(node, ast.Call) and _name_of(node.func) in ("dict", "str", "int"):
        return _evaluate_call(node, known)
    if isinstance(node, ast.Call) and _name_of(node.func) == "join":
        return _evaluate_join(node, known)
    if isinstance(node, ast.JoinedStr):
        return _evaluate_format(node, known)
    try:
        return ast.literal_eval(node), True
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        pass
    if isinstance(node, ast.Dict) and all(key is not None for key in node.keys):
        entries = zip(node.keys, node.values, strict=True)
        pairs = [(_evaluate(key, known), _evaluate(value, known)) for key, value in entries if key is not None]
        return {k: v for (k, _), (v, _) in pairs}, all(a and b for (_, a), (_, b) in pairs)
    return None, False


def _evaluate_call(node: ast.Call, known: Mapping[str, Any]) -> tuple[Any, bool]:
    if _name_of(node.func) == "dict" and not node.args and all(k.arg for k in node.keywords):
        values = {str(k.arg): _evaluate(k.value, known) for k in node.keywords}
        return {name: value for name, (value, _) in values.items()}, all(found for _, found in values.values())
    if len(node.args) == 1 and not node.keywords:
        value, found = _evaluate(node.args[0], known)
        if found and isinstance(value, str | int | float):
            return (str(value) if _name_of(node.func) == "str" else value), True
    return None, False


def _evaluate_join(node: ast.Call, known: Mapping[str, Any]) -> tuple[Any, bool]:
    """`" ".join(cmd)` and `shlex.join(cmd)` of a list that the module spells out."""
    words = node.args[0] if len(node.args) == 1 else None
    if isinstance(words, ast.Name):
        words = known.get(f"{words.id} (node)")
    if not isinstance(words, ast.List | ast.Tuple):
        return None, False
    return " ".join(_make_word(each, known).text for each in words.elts), True


def _evaluate_format(node: ast.JoinedStr, known: Mapping[str, Any]) -> tuple[Any, bool]:
    """`f"vllm serve {MODEL}"`: a value that is not known stands as a variable that nobody set."""
    parts: list[str] = []
    for each in node.values:
        inner = each.value if isinstance(each, ast.FormattedValue) else each
        value, found = _evaluate(inner, known)
        parts.append(str(value) if found else OPEN)
    return "".join(parts), True


def _read_assignments(nodes: Iterable[ast.AST]) -> dict[str, Any]:
    """Return names that are set once, to a plain value; a list's own node is kept under another name."""
    found: dict[str, Any] = {}
    seen: set[str] = set()
    for node in nodes:
        if not isinstance(node, ast.Assign) or len(node.targets) != 1 or not isinstance(node.targets[0], ast.Name):
            continue
        name = node.targets[0].id
        value, literal = _evaluate(node.value, {})
        if name in seen:  # set twice: which one holds is not known
            found.pop(name, None)
            found.pop(f"{name} (node)", None)
            continue
        seen.add(name)
        if literal:
            found[name] = value
        if isinstance(node.value, ast.List | ast.Tuple):
            found[f"{name} (node)"] = node.value
            found.pop(name, None)
    return found


def _read_environment(nodes: Iterable[ast.AST], known: Mapping[str, Any]) -> dict[str, Word]:
    """`os.environ["A"] = "b"` and `os.environ.setdefault("A", "b")`."""
    found: dict[str, Word] = {}
    for node in nodes:
        key: ast.expr | None = None
        value: ast.expr | None = None
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            target = node.targets[0]
            if _name_of(target.value) == "environ":
                key, value = target.slice, node.value
        elif isinstance(node, ast.Call) and len(node.args) == 2 and _is_environment_default(node.func):
            key, value = node.args
        if key is not None and value is not None:
            name, named = _evaluate(key, known)
            if named and isinstance(name, str):
                found[name] = _make_word(value, known)
    return found


def _is_environment_default(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "setdefault" and _name_of(node.value) == "environ"


def _list_imports(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """Return each name that an import binds -> the engine that it is of."""
    found: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {(a.asname or a.name.partition(".")[0]): a.name.partition(".")[0] for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {(a.asname or a.name): node.module.partition(".")[0] for a in node.names}
    return found


def _name_of(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _root_of(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
