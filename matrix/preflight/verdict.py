"""preflight(argv, env, snapshot, checkpoint) -> Report: would this release even start, and would it do what is asked?

Accept means: nothing that can be known from the release's own text forbids it. Unknown means that the text is missing
(a fork image, a stub wheel), so that neither answer would be honest.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from matrix.preflight import dependencies, environment
from matrix.preflight.argparse_model import Use, parse_argv
from matrix.preflight.snapshot import Snapshot
from matrix.preflight.values import Complaint, find_complaints
from matrix.preflight.vllm_argv import normalise_argv

Verdict = Literal["accept", "reject", "unknown"]
Level = Literal["error", "unknown", "warning", "note"]
Where = Literal["argv", "env", "checkpoint", "dependency", "snapshot", "memory"]


class HasArchitecture(Protocol):
    """What preflight asks of a checkpoint (`matrix.model.Checkpoint` has it)."""

    @property
    def architecture(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class Remark:
    """One thing preflight has to say. `error` rejects, `unknown` withholds a verdict, the rest accept."""

    level: Level
    kind: str  # unknown_flag, invalid_choice, ambiguous, abbreviation, deprecated, env_unread, architecture, ...
    where: Where
    subject: str  # the flag, variable or architecture
    message: str


@dataclass(frozen=True, kw_only=True)
class PreflightReport:
    """All remarks about one plan on one release."""

    release: str
    remarks: tuple[Remark, ...]

    @property
    def verdict(self) -> Verdict:
        return _make_verdict(self.remarks)

    @property
    def parser_verdict(self) -> Verdict:
        """What the command line alone would meet: the audit's accept/reject table."""
        return _make_verdict([r for r in self.remarks if r.where in ("argv", "snapshot")])

    def kinds(self, *levels: Level) -> tuple[str, ...]:
        return tuple(r.kind for r in self.remarks if not levels or r.level in levels)

    def __str__(self) -> str:
        lines = [f"{self.release}: {self.verdict}"]
        return "\n".join([*lines, *(f"  {r.level:7} {r.kind}: {r.message}" for r in self.remarks)])


def preflight_launch(
    argv: Sequence[str],
    env: Mapping[str, str],
    snapshot: Snapshot | None,
    checkpoint: HasArchitecture | None = None,
    *,
    release: str = "",
    installed: Mapping[str, str] | None = None,
) -> PreflightReport:
    """Judge the words after the command (`vllm serve`, `python -m sglang.launch_server`) on one release.

    `installed` replaces the release's own pins where the plan brings other versions (an overlay environment).
    """
    if snapshot is None:
        message = "no snapshot: this release's own text could not be read"
        remark = Remark(level="unknown", kind="no_snapshot", where="snapshot", subject=release, message=message)
        return PreflightReport(release=release, remarks=(remark,))
    remarks = [*_check_completeness(snapshot), *_check_arguments(argv, snapshot), *_check_environment(env, snapshot)]
    if checkpoint is not None:
        remarks += _check_checkpoint(argv, checkpoint, snapshot, installed or {})
    return PreflightReport(release=snapshot.release, remarks=tuple(remarks))


def _make_verdict(remarks: Sequence[Remark]) -> Verdict:
    levels = {remark.level for remark in remarks}
    return "reject" if "error" in levels else "unknown" if "unknown" in levels else "accept"


def _check_completeness(snapshot: Snapshot) -> Iterator[Remark]:
    """Limit the verdict on an image or a stub wheel to unknown: only its surroundings are readable."""
    if not snapshot.complete:
        message = f"{snapshot.release} itself was not read; judged by: {snapshot.source}"
        yield _make_remark("unknown", "unread_release", snapshot.release, message, where="snapshot")


def _check_arguments(argv: Sequence[str], snapshot: Snapshot) -> Iterator[Remark]:
    if not snapshot.flags:
        why = snapshot.unread.get("flags")
        message = f"{snapshot.release}: its command line was not read{f' ({why})' if why else ''}"
        yield _make_remark("unknown", "no_flags", snapshot.release, message)
        return
    # what argparse sees, not what was typed: vLLM rewrites the line before
    words = normalise_argv(argv) if snapshot.dialect == "vllm" else argv
    uses = parse_argv(words, snapshot)
    for use in uses:
        yield from _check_form(use, snapshot)
        for complaint in find_complaints(use.flag, use.values) if use.flag else ():
            yield _about_value(use, complaint, snapshot)
    yield from _whole_line(argv, uses, snapshot)


def _check_form(use: Use, snapshot: Snapshot) -> Iterator[Remark]:
    """Check the option itself: unknown, ambiguous, abbreviated, retired, without its value."""
    match use.problem:
        case "unknown" | "extra":
            kind = "unknown_flag" if use.problem == "unknown" else "extra_argument"
            yield _report_absent(kind, use.written, f"{use.written} is no argument of {snapshot.release}", snapshot)
        case "ambiguous":
            message = f"{use.written} could be {' or '.join(use.candidates)}; the parser refuses it"
            yield _make_remark("error", "ambiguous", use.written, message)
        case "missing_value" | "unexpected_value" as problem:
            verb = "wants a value" if problem == "missing_value" else "takes no value"
            yield _make_remark("error", problem, use.written, f"{use.written} {verb}")
        case None:
            pass
    if use.expanded:
        message = f"{use.written} works only as an abbreviation of {use.expanded}; write it out"
        yield _make_remark("warning", "abbreviation", use.written, message)
    if use.flag is not None and use.flag.action == "error":
        yield _make_remark("error", "retired", use.written, f"{use.written}: {use.flag.deprecated}")
    elif use.flag is not None and use.flag.deprecated:
        yield _make_remark("warning", "deprecated", use.written, f"{use.written}: {use.flag.deprecated}")


def _about_value(use: Use, complaint: Complaint, snapshot: Snapshot) -> Remark:
    match complaint.kind:
        case "unlisted":
            return _make_remark("note", complaint.kind, use.written, complaint.message)
        case "unread_choices":
            return _make_remark("note", complaint.kind, use.written, complaint.message)
        case "invalid_choice" | "refused_later" | "unknown_key":
            return _report_absent(complaint.kind, use.written, complaint.message, snapshot)
        case _:
            return _make_remark("error", complaint.kind, use.written, complaint.message)


def _whole_line(argv: Sequence[str], uses: Sequence[Use], snapshot: Snapshot) -> Iterator[Remark]:
    """Check the line as a whole: missing and repeated flags, and vLLM's `--model`."""
    seen = Counter(use.flag.dest for use in uses if use.flag is not None and use.flag.action != "append")
    for flag in snapshot.required:
        if flag.dest not in seen:
            yield _make_remark("error", "missing_flag", flag.name, f"{flag.name} is required")
    for name in sorted(dest for dest, count in seen.items() if count > 1):
        yield _make_remark("warning", "repeated", name, f"{name} is given more than once; the last one counts")
    if snapshot.dialect == "vllm" and any(word.partition("=")[0] == "--model" for word in argv):
        yield _make_remark(
            "warning", "deprecated", "--model", "--model: vllm serve takes the model as its first argument"
        )


def _check_environment(env: Mapping[str, str], snapshot: Snapshot) -> Iterator[Remark]:
    for name in sorted(env):
        reading = environment.explain_variable(name, snapshot)
        if reading is not None:
            # of a stub or a fork absence proves nothing
            guess = reading.kind == "env_unread" and not snapshot.knows("env")
            message = f"{reading.message} (itself unread)" if guess else reading.message
            level: Level = "unknown" if guess else reading.level
            yield Remark(level=level, kind=reading.kind, where="env", subject=name, message=message)


def _check_checkpoint(
    argv: Sequence[str], checkpoint: HasArchitecture, snapshot: Snapshot, installed: Mapping[str, str]
) -> Iterator[Remark]:
    name = checkpoint.architecture
    # an empty registry is one that was not read
    if snapshot.architectures and name not in snapshot.architectures:
        # names of classes begin with their family: the neighbours tell which generation the release stops at
        stem = re.match(r"[A-Z][a-z]*", name)
        alike = (a for a in snapshot.architectures if stem and a.startswith(stem[0]))
        known = sorted({*snapshot.registered, *alike})
        message = f"{snapshot.release} registers no {name}; of its family it has {', '.join(known) or 'none'}"
        yield Remark(
            level="error" if snapshot.knows("architectures") else "unknown",
            kind="architecture",
            where="checkpoint",
            subject=name,
            message=message,
        )
    for conflict in dependencies.find_conflicts(name, snapshot, installed):
        yield Remark(level="error", kind="pin", where="dependency", subject=conflict.package, message=conflict.message)
    if snapshot.dialect == "vllm" and name in snapshot.architectures and _asks_remote_code(argv):
        message = f"{name} is a native class: vLLM ignores --trust-remote-code"
        yield _make_remark("note", "remote_code_ignored", "--trust-remote-code", message)


def _asks_remote_code(argv: Sequence[str]) -> bool:
    return any(word.replace("_", "-") == "--trust-remote-code" for word in argv)


def _report_absent(kind: str, subject: str, message: str, snapshot: Snapshot) -> Remark:
    """Something the release does not have: an error, unless the release could not be read completely."""
    if snapshot.complete:
        return _make_remark("error", kind, subject, message)
    reason = "a fork may add it" if snapshot.fork else "the documents read do not mention it"
    return _make_remark("unknown", "fork_only" if snapshot.fork else kind, subject, f"{message} ({reason})")


def _make_remark(level: Level, kind: str, subject: str, message: str, where: Where = "argv") -> Remark:
    return Remark(level=level, kind=kind, where=where, subject=subject, message=message)
