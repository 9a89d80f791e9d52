"""Scripts of other shells -> lines as a POSIX shell has them, one for one, so that one reader is enough.

fish          set -x NAME value             export NAME=value
PowerShell    $env:NAME = "value", ` at end export NAME="value", a backslash at the end
cmd           set NAME=value, ^ at end      export NAME=value, a backslash at the end
make          $(NAME), a tab in front       its text (makefile.py)
just, Jinja   {{ name }}                    its value where the text sets it, else a variable that nobody set
"""

from __future__ import annotations

import re
from typing import Final

from matrix.checking.makefile import is_makefile, translate_makefile

QUOTES: Final = "\"'"
FISH: Final = re.compile(r"\.fish$|\A#!.*\bfish\b")
POWERSHELL: Final = re.compile(r"\.ps1$|^[ \t]*\$env:\w+\s*=", re.M | re.I)
BATCH: Final = re.compile(r"\.(bat|cmd)$|\A@echo off", re.I)
# Together they are cmd's: each alone is also found in other shells' texts.
BATCH_LINE: Final = re.compile(r"^[ \t]*(?:rem|set) ", re.M | re.I)
BATCH_END: Final = re.compile(r"\^[ \t]*$", re.M)
TEMPLATE: Final = re.compile(r"\{\{-?\s*([^{}]*?)\s*-?\}\}")
FISH_SET: Final = re.compile(r"^([ \t]*)set\s+((?:-{1,2}[a-z]+\s+)*)(\w+)\s+(\S.*)$", re.M)
POWERSHELL_SET: Final = re.compile(r"^([ \t]*)\$env:(\w+)\s*=\s*(.+)$", re.M | re.I)
BATCH_SET: Final = re.compile(r'^([ \t]*)set\s+"?(\w+)=([^"\n]*)"?\s*$', re.M | re.I)
JUST_SET: Final = re.compile(r"^(\w[\w-]*)\s*:=\s*(['\"])(.*?)\2\s*$", re.M)
JUST_DEFAULT: Final = re.compile(r"\s\$?(\w[\w-]*)=(['\"])(.*?)\2(?=[^\n]*:\s*$)", re.M)


def needs_translation(text: str, name: str) -> bool:
    """Whether a text is another shell's, or has templates in it."""
    return "{{" in text or _find_dialect(text, name) != ""


def translate_script(text: str, name: str) -> str:
    """Return the text as a POSIX shell would have it; the number of its lines stays."""
    match _find_dialect(text, name):
        case "make":
            text = translate_makefile(text)
        case "fish":
            # a list is all of its words wherever it stands
            lists = {f[3] for f in FISH_SET.finditer(text) if len(f[4].split()) > 1 and f[4][0] not in QUOTES}
            text = FISH_SET.sub(_write_fish, text)
            for listed in lists:
                text = re.sub(rf"\${listed}\b", f'"${{{listed}[@]}}"', text)
        case "powershell":
            text = _continue_lines(text.replace("\\", "/"), "`")
            text = POWERSHELL_SET.sub(r"\1export \2=\3", text)
            text = re.sub(r"\$env:(\w+)", r"${\1}", text, flags=re.I)
            text = re.sub(r"^([ \t]*)(?:&|Start-Process)\s+", r"\1", text, flags=re.M)
        case "batch":
            text = _continue_lines(text.replace("\\", "/"), "^")
            text = BATCH_SET.sub(r'\1export \2="\3"', text)
            text = re.sub(r"%(\w+)%", r"${\1}", text)
            text = re.sub(r"^([ \t]*)(?:rem\b|::)", r"\1#", text, flags=re.M | re.I)
            text = re.sub(r"^([ \t]*)(?:call|start(?: \"[^\"]*\")?(?: /\w+)*)\s+", r"\1", text, flags=re.M | re.I)
    return fill_templates(text)


def fill_templates(text: str) -> str:
    """Put values that the text itself sets (just) in place of `{{ name }}`; any other is known to nobody here."""
    if "{{" not in text:
        return text
    known = {found[1]: found[3] for pattern in (JUST_SET, JUST_DEFAULT) for found in pattern.finditer(text)}

    def fill(found: re.Match[str]) -> str:
        name = str(found[1])
        # a name with a dot belongs to a program: `docker ps --format '{{.Names}}'`
        return str(known.get(name) or f"${{template_{re.sub(r'[^A-Za-z0-9]', '_', name)}}}")

    return TEMPLATE.sub(fill, text)


def _find_dialect(text: str, name: str) -> str:
    for pattern, dialect in ((FISH, "fish"), (POWERSHELL, "powershell"), (BATCH, "batch")):
        if pattern.search(name) or pattern.search(text):
            return dialect
    if BATCH_LINE.search(text) and BATCH_END.search(text):
        return "batch"
    return "make" if is_makefile(text, name) else ""


def _write_fish(found: re.Match[str]) -> str:
    space, options, name, value = found.groups()
    exported = re.search(r"-[a-z]*x|--export", options) is not None
    words = value.split()
    if exported:
        return f"{space}export {name}={value if len(words) == 1 or value[0] in QUOTES else repr(value)}"
    return f"{space}{name}={value}" if len(words) == 1 or value[0] in QUOTES else f"{space}{name}=({value})"


def _continue_lines(text: str, mark: str) -> str:
    return re.sub(rf"{re.escape(mark)}[ \t]*$", r"\\", text, flags=re.M)
