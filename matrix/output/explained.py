"""`explain` for a terminal: settings under the reason that they share, so that nothing is said twice; 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from matrix.planning.plan import Plan, Setting

WIDTH: Final = 100  # columns
PLACE: Final = 64  # where file:line begins, unless the value is longer


@dataclass(slots=True)
class ReasonGroup:
    """A reason with its sources, and the lines that it explains."""

    why: str
    source: str
    lines: list[tuple[str, str]] = field(default_factory=list)  # value, file:line


def render_explained(plan: Plan) -> str:
    """Every value of a plan under its reason, in the order in which reasons first occur."""
    head = textwrap.fill(f"{plan.cell.id}  ({plan.form}, fingerprint {plan.fingerprint})", WIDTH)
    return "\n\n".join([head, *(_render_group(group) for group in group_by_reason(plan))])


def group_by_reason(plan: Plan) -> list[ReasonGroup]:
    """Group settings and patches by why and source."""
    groups: dict[tuple[str, str], ReasonGroup] = {}
    for why, source, value, where in _iterate_values(plan):
        groups.setdefault((why, source), ReasonGroup(why, source)).lines.append((value, where))
    return list(groups.values())


def _iterate_values(plan: Plan) -> Iterator[tuple[str, str, str, str]]:
    for section, settings in plan.sections.items():
        for s in settings:
            yield s.why, s.source, describe_setting(section, s), s.where
            if s.beaten:
                yield s.why, s.source, f"  instead of {', '.join(s.beaten)}", ""
    for p in plan.patches:
        yield p.why, p.source, f"patch {p.key}", p.where


def describe_setting(section: str, setting: Setting) -> str:
    """`--page-size 64`, `env: NAME value`, `--trust-remote-code (removed)`."""
    value = "(removed)" if setting.value is None else "" if setting.value is True else setting.value
    name = setting.key if section == "args" else f"{section}: {setting.key}"
    return f"{name} {value}".strip()


def _render_group(group: ReasonGroup) -> str:
    reason = _wrap_words(f"# {group.why} [{group.source}]", "# ")
    return "\n".join([reason, *(_render_line(value, where) for value, where in group.lines)])


def _render_line(value: str, where: str) -> str:
    """Format the value, then file:line in its own column; on the next line where the value leaves no room."""
    if len(value) < PLACE and len(where) <= WIDTH - PLACE:
        return f"{value:{PLACE}}{where}".rstrip()
    return "\n".join([_wrap_words(value, "    "), *([f"    {where}"] if where else [])])


def _wrap_words(text: str, indent: str) -> str:
    """Lines of at most WIDTH columns; a word that is longer is cut, a hyphen is no place to break."""
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False)
