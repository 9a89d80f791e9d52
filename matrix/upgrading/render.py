"""A comparison as text, the worst first, and as JSON for a program."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from matrix.checking.render import KINDS, WIDTH
from matrix.checking.rules import Decision
from matrix.upgrading.news import Danger, News, ReleaseComparison, UpgradeReport, write_headline
from matrix.wording import cut_text

SUBJECT_CHARS: Final = WIDTH - 33  # beside the place of a finding, or a sentence about several
HEADS: Final[dict[Danger, tuple[str, str]]] = {
    "stops": ("DOES NOT START", "MAY NOT START"),
    "wrong": (
        "ANSWERS WRONGLY, OR LEAVES OUT WHAT THE LINE ASKS FOR",
        "MAY ANSWER WRONGLY, DIE, OR LEAVE SOMETHING OUT",
    ),
    "other": ("OTHER DEFAULTS, LIBRARIES AND KERNELS", "OTHER DEFAULTS, LIBRARIES AND KERNELS"),
    "new": ("NEW", "NEW"),
    "fixed": ("ENDS", "ENDS"),
}


def render_text(report: UpgradeReport, *, everything: bool = False) -> str:
    """Every command's answer; `everything` also what cannot apply to the line."""
    blocks = ["\n".join(_comparison(c, everything=everything)) for c in report.comparisons]
    if report.problems:
        blocks.append("\n".join(["NOT READ", *(f"  {problem}" for problem in report.problems)]))
    return "\n\n".join(blocks)


def _comparison(found: ReleaseComparison, *, everything: bool) -> Iterator[str]:
    yield from textwrap.wrap(write_headline(found), WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    word = found.direction or "the same release"
    yield f"  {found.before} -> {found.after} ({word}), {found.rig or 'GPUs not named'}, {found.model}"
    yield f"  {f'{found.where}  ' if found.where else ''}{found.entry}"
    if found.direction:
        # what only makes room would read as good news beside the worse thing that took its place
        yield from _render_groups([n for n in found.news if n.applies and not _turned(n, found.news)])
        yield from _rest(found, everything=everything)


def _turned(item: News, news: Sequence[News]) -> bool:
    """Whether what ends only makes room for a worse thing about the same words."""
    if item.danger != "fixed" or item.part not in ("finding", "known failure"):
        return False
    begun = [n for n in news if n.way == "begins" and n.part == item.part]
    links = {s for s in item.sources if "://" in s}
    return any(n.title == item.title or links & set(n.sources) for n in begun)


def _render_groups(news: Sequence[News]) -> Iterator[str]:
    head = ""
    many = {part: [n for n in news if n.part == part] for part in TOGETHER}
    for item in news:
        title = HEADS[item.danger][item.level != "wrong"]
        if title != head:
            yield f"\n{title}"
            head = title
        if item.part not in many:
            yield from _item(item)
        # pins and facts are told together, where the first of them stands in the order of danger
        elif item is many[item.part][0]:
            yield from TOGETHER[item.part](many[item.part])


def _tell_pins(pins: Sequence[News]) -> list[str]:
    told = "; ".join(f"{n.key} {n.cause.rstrip('.')}" for n in pins)
    return _wrap_lines("  pins: ", f"{told}. [{KINDS['wheel']}: requirements of {pins[0].sources[0]}]")


def _facts(facts: Sequence[News]) -> list[str]:
    """By name: what follows from one is told by the checks, known failures and patches that name it."""
    told = []
    for way, word in (("begins", "hold now:"), ("ends", "hold no more:"), ("changes", "are not known any more:")):
        names = [n.key for n in facts if n.way == way]
        told += [f"{word} {', '.join(names)}"] if names else []
    return _wrap_lines(
        "  facts: ", f"{'; '.join(told)}. [{KINDS['wheel']}: glm-matrix facts NAME says what decides it]"
    )


TOGETHER: Final[Mapping[str, Callable[[Sequence[News]], list[str]]]] = {"pin": _tell_pins, "fact": _facts}


def _item(item: News) -> Iterator[str]:
    if item.danger in ("stops", "wrong") or item.level == "risky":
        place = f"  (line {item.line})" if item.line else ""
        yield f"  {cut_text(item.title, SUBJECT_CHARS)}{place}"
        yield from _wrap_lines("    cause   ", item.cause)
        yield from _wrap_lines("    then    ", item.consequence)
        yield from _wrap_lines("    do      ", item.remedy)
        yield from _wrap_lines("    source  ", f"{_tell_basis(item.decided_by)}{_cited(item)}")
        return
    more = f" {item.remedy}" if item.remedy and item.danger == "other" else ""
    yield from _wrap_lines(
        f"  {cut_text(item.title, SUBJECT_CHARS)}: ", f"{item.cause}{more} [{_tell_basis(item.decided_by)}]"
    )


def _tell_basis(decided: Decision) -> str:
    """Which of wheel, run or report decides it, and by what."""
    day = f" {decided.read}" if decided.read else ""
    told = decided.kind in ("run", "report") or decided.read or decided.run != "not run"
    return f"{KINDS[decided.kind]}{day}: {decided.fact}{f'; {decided.run}' if told else ''}"


def _cited(item: News) -> str:
    told = [s for s in item.sources if s not in item.decided_by.fact]
    return f" [{', '.join(told)}]" if told else ""


def _rest(found: ReleaseComparison, *, everything: bool) -> Iterator[str]:
    """Render what cannot apply, what stays, what nobody could read or decide, and how to go on."""
    low = [n for n in found.news if not n.applies]
    yield ""
    if low and everything:
        yield "CANNOT APPLY TO THIS LINE"
        for item in low:
            yield from _wrap_lines(f"  {cut_text(item.title, SUBJECT_CHARS)}: ", item.cause)
    elif low:
        yield f"  {len(low)} further changes cannot apply to this line (--all shows them)"
    if found.stays:
        names = ", ".join(dict.fromkeys(f.subject[0] for f in found.stays if f.level in ("wrong", "risky")))
        yield from _wrap_lines(
            f"  {len(found.stays)} findings stay as they are",
            f"{f': {cut_text(names, SUBJECT_CHARS)}' if names else ''}; glm-matrix check tells them",
        )
    for text in found.unread:
        yield from _wrap_lines("  unread  ", text)
    if found.undecided and found.waits_for:
        yield f"  {found.undecided} checks wait for {' and '.join(found.waits_for[:3])}"
    for text in found.next:
        yield f"  next    {text}"


def _wrap_lines(head: str, text: str) -> list[str]:
    if not text:
        return []
    indent = " " * (12 if head.startswith("    ") else 4)
    return textwrap.wrap(
        f"{head}{text}",
        WIDTH,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )


def render_json(report: UpgradeReport) -> str:
    """One object: exit code, problems, and per command its verdict, sentence and news."""
    data = {
        "exit_code": report.exit_code,
        "problems": report.problems,
        "commands": [_data(c) for c in report.comparisons],
    }
    return json.dumps(data, indent=1, default=str)


def _data(found: ReleaseComparison) -> dict[str, Any]:
    made = {**asdict(found), "verdict": found.verdict, "headline": write_headline(found), "exit_code": found.exit_code}
    # first in the object: whoever reads JSON by eye sees the answer before a thousand lines
    return {"verdict": made.pop("verdict"), "headline": made.pop("headline"), **made}
