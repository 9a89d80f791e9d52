"""A plan as the line that its recipes make, and what a client of that launch has to know.

Of a cell `check` knows more than a script can show: a checkpoint without a switch for thinking changes what requests
may say, and no flag tells it. Such checks are marked `clients: true`, and every form of a launch tells them.
"""

from __future__ import annotations

import textwrap
from dataclasses import replace
from typing import Final

import yaml

from matrix.checking.finding import CheckFinding
from matrix.checking.judge import CheckRequest, examine_command
from matrix.checking.launchers import Command, Text
from matrix.checking.model_config import describe_model
from matrix.checking.releases import TITLES, AskedRelease, parse_requirement
from matrix.checking.rigs import parse_rig
from matrix.checking.rules import read_checks
from matrix.checking.variables import as_words, words_of
from matrix.output.script import format_comment
from matrix.planning.plan import Plan, fill_placeholders
from matrix.preflight.patch import takes_sparse_out

EXTRA_FILE: Final = "/extra_llm_api_options.yaml"
WIDTH: Final = 120  # columns of a comment


def make_command(plan: Plan) -> Command:
    """Make the launch line of a plan, with the checkpoint's published name for a path."""
    fill = {"model": name_checkpoint(plan), "host": "127.0.0.1", "port": "8000", "api_key_env": "API_KEY"}
    words = [fill_placeholders(word, fill) for word in plan.arguments()]
    return Command(
        engine=plan.cell.engine.id,
        entry=plan.cell.id,
        argv=words_of(words),
        env=as_words(plan.env),
        installed=_read_installed(plan),
        files=_files(plan),
    )


def make_request(plan: Plan) -> CheckRequest:
    """Make what is asked about it: GPUs, config and patches; the release is the caller's to name."""
    cell, name = plan.cell, name_checkpoint(plan)
    config = plan.values("config") or ({"architectures": [cell.checkpoint.architecture]} if "/" not in name[1:] else {})
    return CheckRequest(
        host=parse_rig(cell.rig.id) if cell.rig.sm and cell.rig.gpu.runtime == "cuda" else None,
        config={**describe_model(name, None).config, **config} if config else None,
        dense=takes_sparse_out(plan.patch_names),
    )


def name_checkpoint(plan: Plan) -> str:
    """Return its repository; else a path, of which nothing published may be assumed."""
    return plan.cell.checkpoint.repository or f"/{plan.cell.checkpoint.id}"


def list_client_notes(plan: Plan) -> tuple[CheckFinding, ...]:
    """List what holds for whoever sends requests to this launch, the worst first."""
    release = plan.cell.release
    if release.engine not in TITLES:  # an engine of somebody's own: no check is about it
        return ()
    ids = frozenset(check.id for check in read_checks(release.engine) if check.clients)
    # `id`: a fork has a snapshot under its own name; its version is that of the release it was made from
    asked = AskedRelease(
        engine=release.engine, version=release.version, by="the cell", fork=bool(release.fork), id=release.id
    )
    # GPUs decide nothing that a client sends, and a rig that was made for a question has no id to look up
    request = replace(_without_host(plan), release=asked)
    return tuple(f for f in examine_command(make_command(plan), request).findings if f.id in ids)


def tell_clients(plan: Plan) -> list[str]:
    """Write the notes as comments of a script, compose file or unit."""
    wrapped = textwrap.TextWrapper(
        WIDTH - 2,
        initial_indent=f"{'clients':11} ",
        subsequent_indent=" " * 12,
        break_on_hyphens=False,
        break_long_words=False,
    )
    notes = (f"{note.consequence} {note.remedy}" for note in list_client_notes(plan))
    return [format_comment(line) for text in notes for line in wrapped.wrap(text)]


def _without_host(plan: Plan) -> CheckRequest:
    name, config = name_checkpoint(plan), plan.values("config")
    return CheckRequest(
        config={**describe_model(name, None).config, **config} if config else None,
        thinks_always=plan.cell.checkpoint.thinking == "always",
    )


def _read_installed(plan: Plan) -> dict[str, str]:
    wanted = plan.values("launcher").get("requirements", ())
    found = (parse_requirement(str(text)) for text in wanted if "==" in str(text))
    return dict(f for f in found if f is not None)


def _files(plan: Plan) -> dict[str, Text]:
    """Return the nested YAML of trtllm-serve, under the name that its option has."""
    data = plan.values("serve_config")
    return {EXTRA_FILE: Text(text=yaml.safe_dump(data), file=EXTRA_FILE, line=1)} if data else {}
