"""Makes the template engine of every page, and the policy that keeps a page inert.

Every text that is not ours is defused and escaped on its way in. A page runs the one script and the one style that its
policy names by hash, whatever else should ever get into it; it loads nothing.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from functools import cache
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from matrix.checkout import CHECKOUT
from reports.board.text import GLYPHS, format_seconds, tone_of
from reports.evidence.defuse import defuse_for_terminal
from reports.page.chips import SHORT_CHARS, defuse_value, render_block, render_chip, render_copied

HERE = CHECKOUT / "reports" / "page" / "templates"
STYLE = "page.css"
_JOINT: Final = re.compile(r"([._:]+)(?=[A-Za-z0-9])")


@cache
def make_environment() -> Environment:
    """Make the template engine of every page: it escapes and defuses each text."""
    env = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        auto_reload=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=defuse_value,
    )
    env.filters["tone"] = tone_of
    env.filters["glyph"] = GLYPHS.__getitem__
    env.filters["seconds"] = format_seconds
    env.filters["breaking"] = break_name
    env.filters["quoted"] = shlex.quote  # a name in a command that a person copies into a shell
    env.globals["read_asset"] = read_asset
    env.globals["make_policy"] = make_policy
    env.globals["chip"] = render_chip
    env.globals["copied"] = render_copied
    env.globals["block"] = render_block
    return env


def break_name(name: str) -> Markup:
    """Let a long name break behind its dots and lines, and not within a word."""
    shown = str(escape(defuse_for_terminal(name, SHORT_CHARS)))
    return Markup(_JOINT.sub(r"\1<wbr>", shown))  # noqa: S704  escaped above


def compile_templates() -> None:
    """Compile every page's template, which is most of a page's time, where there is time for it now."""
    env = make_environment()
    for name in env.list_templates(extensions=["j2"]):
        env.get_template(name)


@cache
def read_asset(name: str) -> Markup:
    """Read a style sheet or script of ours, as it stands in a page."""
    return Markup((HERE / name).read_text(encoding="utf-8").strip())  # noqa: S704  a file of this project


@cache
def make_policy(script: str = "") -> Markup:
    """Make the Content-Security-Policy of a page with our style and at most one script."""
    allowed = f"; script-src '{_digest_asset(script)}'" if script else ""
    policy = f"default-src 'none'; style-src '{_digest_asset(STYLE)}'{allowed}; base-uri 'none'; form-action 'none'"
    return Markup(policy)  # noqa: S704  hashes and our words


def _digest_asset(name: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(read_asset(name).encode()).digest()).decode()}"
