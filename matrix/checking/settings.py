"""A command's words -> what is set: by one name whatever a release calls it, each with what was written where."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from matrix.checking.launchers import Command
from matrix.checking.variables import Word
from matrix.checkout import name_in_checkout
from matrix.errors import ConfigError
from matrix.preflight.argparse_model import Use, parse_argv
from matrix.preflight.snapshot import Flag, Snapshot
from matrix.preflight.vllm_argv import normalise_argv
from matrix.yaml.yamltext import require_document

SETTINGS: Final = Path(__file__).parent / "settings.yaml"
SUFFIXES: Final = {"k": 1_000, "K": 1_024, "m": 1_000_000, "M": 1_048_576, "g": 10**9, "G": 2**30}


class _UnknownValue:
    """A value that the text does not tell: an unset variable, a file that is not here."""

    def __repr__(self) -> str:
        return "unknown"


UNKNOWN: Final = _UnknownValue()
# What decides whether a model fits: a script that hands words on (`"$@"`, `$EXTRA`) mostly gets these by them. Other
# settings keep their defaults there, since most scripts are started without a word more.
SIZES: Final = frozenset({"tp", "pp", "dp", "nodes", "quantization", "context_given", "memory_share"})


@dataclass(frozen=True, kw_only=True)
class SettingKind:
    """One setting: the flags that give it, its type, and what it is without them (None: nothing)."""

    flags: tuple[str, ...]
    type: str
    default: Any = None


@dataclass(frozen=True, kw_only=True)
class GivenSetting:
    """A value with the option as written and the line it stands on."""

    value: Any
    written: str
    line: int = 0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything a command sets. `uses` are the parser's own, of the release or of its nearest neighbour."""

    given: Mapping[str, GivenSetting]
    uses: tuple[Use, ...]
    argv: tuple[str, ...]  # as the parser gets them, a configuration file's entries first
    lines: Mapping[str, int]  # word -> line of its first use
    holes: frozenset[str] = frozenset()  # written options whose values hold an unset variable
    options: Mapping[str, Any] = field(default_factory=dict)  # every option by each of its names -> value or True
    known: frozenset[str] = frozenset()  # options of the release's parser
    open: bool = False  # a word of its own is an unset variable (`$EXTRA`, `"$@"`): it may give a size

    def value(self, name: str) -> Any:
        """Return the value of a setting; its default if the line does not give it."""
        found = self.given.get(name)
        if found is None and self.open and name in SIZES:
            return UNKNOWN
        return found.value if found is not None else read_kinds()[name].default

    def line(self, name: str) -> int:
        """Return the line of a setting; 0 if the setting is not given or its line is not known."""
        return self.given[name].line if name in self.given else 0

    def written(self, name: str) -> str:
        """How the line spells a setting, e.g. `--tp 8`; its usual flag where it is not given."""
        found = self.given.get(name)
        if found is not None:
            return found.written
        flags = read_kinds()[name].flags
        # another engine's word for it would send the reader to an option that this one refuses
        return next((flag for flag in flags if flag in self.known), flags[0])


@cache
def read_kinds() -> Mapping[str, SettingKind]:
    """All settings, from settings.yaml."""
    return {
        name: SettingKind(flags=tuple(k["flags"]), type=k["type"], default=k.get("default"))
        for name, k in _entries().items()
    }


def _entries() -> Mapping[str, Any]:
    document = require_document(SETTINGS, name_in_checkout(SETTINGS))
    entries = document.data if isinstance(document.data, dict) else {}
    wrong = [name for name, kind in entries.items() if not _sound(kind)]
    if wrong or not entries:
        raise ConfigError([document.problem((n,), "expected `flags:` with a list, and `type:`") for n in wrong or [""]])
    return entries


def _sound(kind: Any) -> bool:
    return isinstance(kind, dict) and isinstance(kind.get("flags"), list) and "type" in kind


@cache
def _by_flag() -> Mapping[str, str]:
    return {flag: name for name, kind in read_kinds().items() for flag in kind.flags}


def read_settings(command: Command, snapshot: Snapshot | None, from_file: Sequence[Word] = ()) -> Settings:
    """Read the words with a release's parser. `from_file`: entries of a file, which the line overrides."""
    words = (
        (*from_file, *command.argv)
        if snapshot is None or snapshot.dialect != "vllm"
        # vLLM puts the file's entries behind the model tag, so that the line's own come later and win
        else (*command.argv[:1], *from_file, *command.argv[1:])
    )
    # without a model tag in front there is nothing to put them behind
    if snapshot is not None and snapshot.dialect == "vllm" and command.argv and command.argv[0].text.startswith("-"):
        words = (*from_file, *command.argv)
    texts = tuple(w.text for w in words)
    lines: dict[str, int] = {}
    for word in words:
        # the first use: a reader who looks for an option finds that one first
        lines.setdefault(word.text.partition("=")[0], word.line)
    with_holes = frozenset(w.text for w in words if w.holes)
    if snapshot is None or not snapshot.flags:
        return Settings(given={}, uses=(), argv=texts, lines=lines)
    # vLLM's parser turns underscores into dashes and dotted options into JSON before argparse sees them
    argv = tuple(normalise_argv(texts)) if snapshot.dialect == "vllm" else texts
    uses = tuple(parse_argv(argv, snapshot))
    given: dict[str, GivenSetting] = {}
    options: dict[str, Any] = {}
    holes: set[str] = set()
    for use in uses:
        if (
            any(value in with_holes or _mentions(value, with_holes) for value in use.values)
            or use.written in with_holes
        ):
            holes.add(use.written)
        _note_setting(use, given, options, lines, unknown=use.written in holes)
    return Settings(
        given=given,
        uses=uses,
        argv=texts,
        lines=lines,
        holes=frozenset(holes),
        options=options,
        known=frozenset(snapshot.options),
        open=any(use.problem == "extra" and use.written in with_holes for use in uses),
    )


def _mentions(value: str, with_holes: frozenset[str]) -> bool:
    return any(value in text or text in value for text in with_holes if "=" in text or "$" in value)


def _note_setting(
    use: Use, given: dict[str, GivenSetting], options: dict[str, Any], lines: Mapping[str, int], *, unknown: bool
) -> None:
    names = use.flag.options or (use.flag.dest,) if use.flag is not None else (use.written,)
    value: Any = UNKNOWN if unknown else use.values[-1] if use.values else _switch(use)
    options.update(dict.fromkeys((*names, use.written), value))
    found = next((n for n in (_by_flag().get(name) for name in (use.written, *names)) if n is not None), None)
    # the parser refuses the word, so it sets nothing; its own finding says so
    if found is None or use.problem in ("ambiguous", "extra"):
        return
    shown = use.written if not use.values else f"{use.written} {' '.join(use.values)}"
    typed = value if value is UNKNOWN else _typed(read_kinds()[found].type, value)
    given[found] = GivenSetting(
        value=typed,
        written=shown if use.flag is None or use.flag.options else use.values[0],
        line=lines.get(use.written, 0),
    )


def _switch(use: Use) -> bool:
    flag: Flag | None = use.flag
    return not (
        use.written.startswith(("--no-", "--disable-auto", "--disable-expert"))
        and flag is not None
        and flag.action == "bool_optional"
    )


def _typed(kind: str, value: Any) -> Any:
    """Convert the value to its type; UNKNOWN for text of another type, which the parser reports already."""
    if kind == "bool":
        return value if isinstance(value, bool) else str(value).lower() in ("true", "1", "yes")
    if not isinstance(value, str):
        return UNKNOWN if kind != "text" else value
    try:
        match kind:
            case "int":
                return int(value)
            case "float":
                return float(value)
            case "human_int":
                return _human(value)
            case "json":
                made = json.loads(value)
                return made if isinstance(made, dict) else UNKNOWN
    except (ValueError, RecursionError):
        return UNKNOWN
    return value


def read_number(value: str) -> float | None:
    """Return a number as the engines read one, `8k` too; None for what is none."""
    try:
        return float(value)
    except ValueError:
        pass
    try:
        found = _human(value)
    except ValueError:
        return None
    return float(found) if isinstance(found, int) else None


def _human(value: str) -> Any:
    # vLLM takes both for "choose yourself"
    if value in ("auto", "-1"):
        return None
    if value[-1:] in SUFFIXES:
        return int(float(value[:-1]) * SUFFIXES[value[-1]])
    return int(value)


def config_words(data: object, line: int = 0) -> tuple[Word, ...]:
    """Return the command-line words of a flat configuration file, as SGLang and vLLM read one."""
    words: list[Word] = []
    for key, value in data.items() if isinstance(data, dict) else ():
        option = f"--{str(key).replace('_', '-')}"
        if value is True:
            words.append(Word(option, line))
        elif value is not None and value is not False:
            text = json.dumps(value) if isinstance(value, dict) else value
            many = text if isinstance(text, list) else [text]
            words += [Word(option, line), *(Word(v if isinstance(v, str) else json.dumps(v), line) for v in many)]
    return tuple(words)
