"""The release's own parser, registry, environment and pins as findings: matrix.preflight's verdict on a line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

from matrix.checking.as_before import expect
from matrix.checking.elsewhere import say_where
from matrix.checking.finding import CheckFinding, make_finding
from matrix.checking.launchers import Command
from matrix.checking.releases import TITLES, AskedRelease, list_versions
from matrix.checking.rules import Decision, Level
from matrix.checking.settings import Settings, read_kinds
from matrix.preflight.foreign_variables import find_slip
from matrix.preflight.snapshot import Snapshot, snapshot_for
from matrix.preflight.verdict import Remark, preflight_launch
from matrix.yaml.yamltext import read_data

FORMER: Final = Path(__file__).with_name("former_flags.yaml")
LEVELS: Final[Mapping[str, Level]] = {"error": "wrong", "unknown": "unknown", "warning": "risky", "note": "note"}
ABOUT_VALUES: Final = frozenset(
    {"invalid_value", "invalid_choice", "refused_later", "malformed_json", "unlisted", "unread_choices", "unknown_key"}
)
QUIET: Final = frozenset(
    {"unread_choices", "unlisted", "remote_code_ignored", "env_unowned"}
)  # true, and nobody's trouble
MILD: Final = frozenset(
    {"deprecated", "repeated", "abbreviation", "env_deprecated", "env_misleading", "env_other_engine", "env_unread"}
)
CONSEQUENCES: Final = {
    "unknown_flag": "The parser refuses the line, and the process exits with code 2.",
    "extra_argument": "The parser refuses the line, and the process exits with code 2.",
    "ambiguous": "The parser refuses the line, and the process exits with code 2.",
    "invalid_choice": "The parser refuses the line, and the process exits with code 2.",
    "invalid_value": "The parser refuses the line, and the process exits with code 2.",
    "missing_value": "The parser refuses the line, and the process exits with code 2.",
    "unexpected_value": "The parser refuses the line, and the process exits with code 2.",
    "missing_flag": "The parser refuses the line, and the process exits with code 2.",
    "refused_later": "The release refuses the value after parsing, before it loads anything.",
    "malformed_json": "The value cannot be read, and the process exits.",
    "unknown_key": "The release's class refuses the key.",
    "retired": "The release refuses the flag.",
    "architecture": "The model cannot be loaded: the class is not registered.",
    "pin": "The config cannot be read by the pinned library.",
    "env_unread": "The variable has no effect.",
    "env_misspelt": "The variable has no effect.",
    "env_other_engine": "The variable has no effect on this engine.",
    "env_misleading": "The variable does not do what its name says.",
    "env_deprecated": "It works today and is announced to go.",
    "deprecated": "It works today and is announced to go.",
    "repeated": "Only the last one counts.",
    "abbreviation": "A later release that adds another flag of that beginning refuses it.",
}


@dataclass(frozen=True)
class _KnownArchitecture:
    architecture: str


def judge_words(
    command: Command, release: AskedRelease, settings: Settings, architecture: str, installed: Mapping[str, str]
) -> Iterator[CheckFinding]:
    """Judge the line with the text of its own release; a release without a snapshot is unknown, not accepted."""
    snapshot = release.snapshot
    # a snapshot without flags (pins alone) would accept every word
    if snapshot is None or not snapshot.flags:
        yield _no_snapshot(release)
        yield from _find_slips(command)
        yield from _find_strange_flags(command, release, settings, architecture)
        return
    env = {name: word.text for name, word in command.env.items()}
    report = preflight_launch(
        settings.argv, env, snapshot, _KnownArchitecture(architecture), release=snapshot.release, installed=installed
    )
    for remark in report.remarks:
        if remark.kind in QUIET or _hidden(remark, settings):
            continue
        # of a program that starts the engine itself: whose option it is, its own or nobody's, is not known here
        if command.around and remark.kind in ("unknown_flag", "extra_argument"):
            continue
        yield _make_parser_finding(remark, command, settings, snapshot)
    if command.entry.endswith("(...)"):
        yield from _find_no_fields(command, settings)


def _find_no_fields(command: Command, settings: Settings) -> Iterator[CheckFinding]:
    """Find keyword arguments that are another word of a flag: `Engine(tp=8)`, whose field is tp_size."""
    for use in settings.uses:
        name = use.written.removeprefix("--").removeprefix("no-").replace("-", "_")
        if use.flag is not None and use.flag.dest not in (name, "model_tag") and use.written.startswith("--"):
            more = {"entry": command.entry, "name": name, "field": use.flag.dest, "engine": command.engine}
            yield make_finding("keyword_of_no_field", more, name, line=settings.lines.get(use.written, 0))


def _find_slips(command: Command) -> Iterator[CheckFinding]:
    """Find misspelt variables of libraries, which no release is needed for."""
    for name, word in command.env.items():
        if meant := find_slip(name):
            yield CheckFinding(
                id="env_misspelt",
                level="risky",
                subject=(name,),
                cause=f"{name}: no library known here reads it; {meant} is read.",
                consequence=CONSEQUENCES["env_misspelt"],
                remedy=f"Did you mean {meant}?",
                decided_by=Decision(kind="wheel", fact="names of matrix/preflight/foreign_variables.py", read=""),
                sources=("matrix/preflight/foreign_variables.py",),
                line=word.line,
            )


def _no_snapshot(release: AskedRelease) -> CheckFinding:
    near = release.nearest_snapshot()
    nearest = f"Words were understood by the text of {near.engine} {near.version}." if near is not None else ""
    what = f"No text of {release.name} was read" if release.version else f"{release.by} names no release"
    if release.snapshot is not None:
        what += f" ({release.snapshot.unread.get('flags', 'only its pins were')})"
    return make_finding("release_unknown", {}, release.name, what=what, nearest=nearest, by=release.by)


def _find_strange_flags(
    command: Command, release: AskedRelease, settings: Settings, architecture: str
) -> Iterator[CheckFinding]:
    """Find the options of an unread release that no release that was read has: a slip, or something newer."""
    near = release.nearest_snapshot()
    if near is None or release.fork:
        return
    report = preflight_launch(settings.argv, {}, near, _KnownArchitecture(architecture), release=near.release)
    remarks = [r for r in report.remarks if not _hidden(r, settings)]
    for remark in remarks:
        if remark.kind in ABOUT_VALUES - QUIET:
            yield expect(_make_parser_finding(remark, command, settings, near), near.version)
    odd = [r for r in remarks if r.kind == "unknown_flag"]
    # The others are opened only for an option that the nearest release does not have: each takes a tenth of a second.
    known = list_versions(release.engine) if odd else []
    for _, stem in known:
        read = snapshot_for(stem)
        odd = [r for r in odd if read is None or r.subject not in read.options]
    for remark in odd:
        found = _make_parser_finding(remark, command, settings, near)
        span = f"{TITLES[near.engine]} that was read ({known[0][0]} to {known[-1][0]})"
        yield replace(
            found,
            level="risky",
            cause=f"No release of {span} has {remark.subject}.",
            consequence=f"{found.consequence} Unless the release is a newer one that has it.",
            sources=(f"{len(known)} files of matrix/snapshots",),
        )


def _hidden(remark: Remark, settings: Settings) -> bool:
    """Remarks about a word that is an unset variable: its value is not known, so nothing is wrong with it."""
    if remark.kind == "extra_argument" and "$" in remark.subject:
        return True
    return remark.subject in settings.holes and remark.kind in ABOUT_VALUES


def _make_parser_finding(remark: Remark, command: Command, settings: Settings, snapshot: Snapshot) -> CheckFinding:
    level = LEVELS[remark.level]
    if level == "risky" and remark.kind in MILD:
        level = "note" if remark.kind not in ("env_unread",) else "risky"
    name = remark.subject
    hint = _find_nearest_word(remark, snapshot)
    line = settings.lines.get(name, 0) or (command.env[name].line if name in command.env else 0)
    # remarks call a release by its id on the axes, which means nothing to somebody with a line of their own
    message = re.sub(
        rf"\b{re.escape(snapshot.release)}\b", f"{TITLES[snapshot.engine]} {snapshot.version}", remark.message
    )
    return CheckFinding(
        id=remark.kind,
        level=level,
        subject=(name,),
        cause=message + ("" if message.endswith(".") else "."),
        consequence=CONSEQUENCES.get(remark.kind, ""),
        remedy=hint,
        decided_by=Decision(kind="wheel", fact=_name_part(remark), read=""),
        sources=(snapshot.source,),
        line=line,
    )


def _name_part(remark: Remark) -> str:
    return {"env": "the environment that it reads", "dependency": "its pins"}.get(
        remark.where, "its parser and registry"
    )


@cache
def read_former_flags() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    """Return the options that no release that is read has any more: engine -> option -> what to write, and by what.

    A name that merely looks alike is another option: the nearest word of `--rope-scaling` has nothing to do with rope.
    """
    data: Mapping[str, Mapping[str, Mapping[str, str]]] = read_data(FORMER)
    return data


def _find_nearest_word(remark: Remark, snapshot: Snapshot) -> str:
    """Return the nearest word that the release knows."""
    match remark.kind:
        case "unknown_flag":
            former = read_former_flags().get(snapshot.engine, {}).get(remark.subject)
            if former is not None:
                return f"Write {former['write']} instead." if former["write"] else f"Drop it: {former['source']}."
            if same := _translate_flag(remark.subject, snapshot):
                return f"Write {same} instead, which is its name here."
            # before a name that merely looks alike
            if where := say_where(remark.kind, remark.subject, snapshot):
                return where
            close = _suggest_parser(remark.subject, list(snapshot.options))
            return f"Did you mean {close}?" if close else "Drop it; the release has no flag of such a name."
        case "env_unread":
            return _instead_of_variable(remark.subject, snapshot)
        case "invalid_choice" | "refused_later":
            flag = snapshot.options.get(remark.subject)
            words = [str(c) for c in (flag.choices or flag.values or ())] if flag is not None else []
            value = remark.message.partition(f"{remark.subject} ")[2].partition(":")[0]
            close = _suggest_parser(value, words)
            return f"Did you mean {close}?" if close else ""
        case "ambiguous":
            return "Write the one that you mean out."
        case "env_misspelt":
            return f"Did you mean {remark.message.split('; ')[-1].removesuffix(' is read')}?"
        case "env_other_engine" | "env_misleading":
            return "Drop it."
        case "architecture":
            return say_where(remark.kind, remark.subject, snapshot)
        case "repeated":
            return "Keep one."
        case "pin":
            return "Install the version that the checkpoint's config needs, or another release."
    return ""


def _translate_flag(option: str, snapshot: Snapshot) -> str:
    """Return this release's own name of what another engine calls `option`; empty where settings.yaml has none."""
    bare = option.removeprefix("--")
    other = f"--{bare.replace('-', '_') if '-' in bare else bare.replace('_', '-')}"
    if other in snapshot.options:
        return other
    written = {option, option.replace("_", "-")}
    kind = next((kind for kind in read_kinds().values() if written & set(kind.flags)), None)
    return next((flag for flag in kind.flags if flag in snapshot.options and flag.startswith("-")), "") if kind else ""


def _instead_of_variable(name: str, snapshot: Snapshot) -> str:
    """Return a flag of that very name, or the nearest variable of the same beginning."""
    beginning, _, rest = name.partition("_")
    flag = f"--{rest.lower().replace('_', '-')}"
    # a variable that became a flag kept its name: looked up before anything that is merely similar
    if flag in snapshot.options:
        return f"The release takes {flag} instead."
    same = sorted(known for known in snapshot.env if known.startswith(f"{beginning}_"))
    close = difflib.get_close_matches(name, same, n=1, cutoff=0.8)
    where = say_where("env_unread", name, snapshot)
    if close:  # a renamed one looks like its old name
        return f"Did you mean {close[0]}? {where}".rstrip()
    return where or "Drop it."


def _suggest_parser(word: str, known: list[str]) -> str:
    found = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return found[0] if found else ""
