"""The whole script of a cell: from an empty machine to an answer, in sections that can be left out."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection, Iterator
from typing import Final

from matrix.checking.of_plan import tell_clients
from matrix.errors import ConfigError, Problem, suggest_nearest
from matrix.output import writable
from matrix.output.script import format_command, format_comment, group_words, quote_word, write_serve_config
from matrix.parsers.faults import tell_in_comments
from matrix.planning.plan import Plan
from matrix.serving import container, kernels, prepare, run
from matrix.serving.places import ServingPlaces, write_default, write_image, write_required

SECTIONS: Final = ("env", "weights", "patch", "host", "kernels", "launch", "wait", "ask", "proof", "stop")
AFTER: Final = frozenset({"wait", "ask", "proof"})  # they need the server in the background
TITLES: Final = {
    "env": "env: the engine's own environment",
    "weights": "weights: found or downloaded, and whole",
    "patch": "patch: applied to a copy, digest and effect verified",
    "host": "host: what this rig wants of the machine (nothing is changed)",
    "kernels": "kernels: compiled at the first start and kept, here before the launch",
    "launch": "launch",
    "wait": "wait until it is ready",
    "ask": "one question",
    "proof": "proof: what the log says is in effect",
    "stop": "serve until it is stopped",
}
FUNCTIONS: Final = {
    "die": """die() { printf '%s\\n' "$*" >&2; exit 1; }""",
    "warn": """warn() { printf 'warning: %s\\n' "$*" >&2; }""",
    "say": """say() { printf '\\n== %s\\n' "$*" >&2; }""",
}


def choose_sections(*, only: Collection[str] = (), without: Collection[str] = ()) -> tuple[str, ...]:
    """Return the sections in order.

    Raises:
        ConfigError: a word that is no section, with the nearest.
    """
    problems = [
        Problem(option, 0, "", f"no section {name!r}{suggest_nearest(name, SECTIONS)}")
        for option, names in (("--only", only), ("--without", without))
        for name in names
        if name not in SECTIONS
    ]
    if problems:
        raise ConfigError(problems)
    chosen = tuple(name for name in SECTIONS if (not only or name in only) and name not in without)
    if not chosen:
        raise ConfigError([Problem("--without", 0, "", f"no section is left of {', '.join(only or SECTIONS)}")])
    return chosen


def render_serving_script(
    plan: Plan, places: ServingPlaces, sections: Collection[str] = SECTIONS, *, docker: bool = False
) -> str:
    """Render the script, deterministic and ending in a newline.

    Raises:
        ConfigError: a container is asked for and the release has no image, or a patch would have to go into it.
    """
    # a recipe that needs a container leaves no choice; --docker asks for one
    inside = docker or plan.values("launcher").get("kind") == "docker"
    if inside:
        container.require_image(plan)
    listed = [name for name in SECTIONS if name in sections]
    # the body first: which variables and functions the head must set follows from what the sections use
    body = "\n\n".join(_render_section(name, plan, places, listed, inside=inside) for name in listed)
    settings = "\n".join(_render_settings(plan, places, body))
    functions = [text for name, text in FUNCTIONS.items() if re.search(rf"\b{name} ", body + settings)]
    return "\n".join([*_render_head(plan, inside=inside), *functions, settings, "", body]) + "\n"


def _render_head(plan: Plan, *, inside: bool) -> Iterator[str]:
    cell = plan.cell
    yield from (
        "#!/usr/bin/env bash",
        format_comment(f"cell        {cell.id}"),
        f"# form        {plan.form}",
        f"# fingerprint {plan.fingerprint}",
        *tell_in_comments(plan),
        *tell_clients(plan),
        *([format_comment(f"root        {writable.explain_root(plan.cell.release)}")] if inside else ()),
        f"# sections    {' '.join(SECTIONS)}; leave some out: glm-matrix show CELL --without env,weights",
        "# why         glm-matrix explain CELL gives the reason for each flag and variable",
        # a script that goes on after a failed download would serve whatever lay there before
        "set -euo pipefail",
    )


def _render_settings(plan: Plan, places: ServingPlaces, body: str) -> Iterator[str]:
    """Set the variables that the sections use and do not set themselves; a value from outside replaces each."""
    release, checkpoint = plan.cell.release.id, plan.cell.checkpoint.id
    settings = {
        "GLM_MATRIX": (
            'GLM_MATRIX=${GLM_MATRIX:-"$CHECKOUT/.venv/bin/glm-matrix"}\n'
            '[ -x "$GLM_MATRIX" ] || die "no $GLM_MATRIX: set CHECKOUT to a checkout, and run make env in it"'
        ),
        "VENV": write_default("VENV", own)
        if (own := places.venv_of(plan))
        else write_required("VENV", f"the environment of {release}"),
        "MODEL": write_default("MODEL", own)
        if (own := places.model_of(plan))
        else write_required("MODEL", f"the directory of {checkpoint}"),
        "HOST": write_default("HOST", "127.0.0.1"),
        "PORT": write_default("PORT", str(plan.cell.engine.default_port)),
        "LOG": f'LOG=${{LOG:-"$PWD/serve-{plan.fingerprint}.log"}}',
        "IMAGE": write_image(plan),
        "SERVER": write_required("SERVER", "the process id of the server"),
        "NAME_OF_CONTAINER": write_default("NAME_OF_CONTAINER", f"glm-{plan.fingerprint}"),
    }
    needed = [name for name in settings if _needs_variable(name, body)]
    if "GLM_MATRIX" in needed or _needs_variable("CHECKOUT", body):
        yield write_default("CHECKOUT", places.checkout)
    yield from (settings[name] for name in needed)


def _needs_variable(name: str, body: str) -> bool:
    """Whether the sections use the variable before one of them sets it."""
    used = re.search(rf"\$(?:{name}\b|\{{{name}\}})", body)
    made = re.search(rf"^ *{name}=", body, re.MULTILINE)
    # one that a section sets later is still needed before; where `env` is left out, VENV comes from outside
    return used is not None and (made is None or used.start() < made.end())


def _render_section(name: str, plan: Plan, places: ServingPlaces, sections: Collection[str], *, inside: bool) -> str:
    lines = "\n".join(_list_lines(name, plan, places, sections, inside=inside))
    return f"# --- {TITLES[name]}\nsay {shlex.quote(TITLES[name])}\n{lines}"


def _list_lines(
    name: str, plan: Plan, places: ServingPlaces, sections: Collection[str], *, inside: bool
) -> Iterator[str]:
    match name:
        case "env":
            yield from _set_up(plan, places, inside=inside)
        case "weights":
            yield from prepare.find_weights(plan, places)
        case "patch":
            yield from prepare.apply_patches(plan)
        case "host":
            yield from prepare.check_host(plan, container=inside)
        case "kernels":
            yield from kernels.warm_kernels(plan, container=inside)
        case "launch":
            yield from _render_launch(plan, places, sections, inside=inside)
        case "wait":
            yield run.wait_until_ready(plan)
        case "ask":
            yield run.ask_one_question(plan)
        case "proof":
            yield from run.show_proofs(plan)
        case _:
            # with nothing behind the launch it runs in the foreground, and the script ends with it
            yield run.KEEP if AFTER & set(sections) and "launch" in sections else "# The launch is in the foreground."


def _set_up(plan: Plan, places: ServingPlaces, *, inside: bool) -> Iterator[str]:
    if inside:
        yield from container.pull_image(plan, places)
    elif plan.values("launcher").get("kind") == "process":
        yield from prepare.enter_checkout()
    else:
        yield from prepare.set_up_environment(plan, places)


def _render_launch(plan: Plan, places: ServingPlaces, sections: Collection[str], *, inside: bool) -> Iterator[str]:
    """Files that the launch needs, its variables and its command; in the background where something follows."""
    yield from _write_files(plan)
    if inside:
        yield container.MOUNTS
        command = [f"{line} \\" for line in container.run_groups(plan, places)]
        command[-1] = command[-1].removesuffix(" \\")
        command = [line if n == 0 else f"  {line}" for n, line in enumerate(command)]
    else:
        yield from (f"export {quote_word(name)}={quote_word(value)}" for name, value in plan.env.items())
        program, *rest = plan.cell.engine.command
        command = format_command([[f"{{venv}}/bin/{program}", *rest], *group_words(plan.arguments())])
    # exec: whoever stops the script (systemd, a terminal) then stops the engine itself
    if not AFTER & set(sections):
        yield "\n".join([f"exec {command[0]}", *command[1:]])
        return
    # before the start: a server that is there already would answer the question in the engine's place
    yield '! (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null || die "port $PORT is taken: set PORT to a free one"'
    yield "set -m # the server gets a process group of its own, so that all of it can be stopped"
    yield "\n".join([*command[:-1], f'{command[-1]} >"$LOG" 2>&1 &'])
    yield "SERVER=$!"
    if "stop" in sections:
        yield run.stop_server(container=inside)


def _write_files(plan: Plan) -> Iterator[str]:
    # links, since a copy of 700 GB for one changed key is out of the question, and the original stays untouched
    merges = {f"{name}.json": plan.values(name) for name in ("config", "tokenizer_config") if plan.values(name)}
    if merges:
        words = " ".join(f"--merge {name} {shlex.quote(json.dumps(tree))}" for name, tree in merges.items())
        yield "# The weights stay as they are: a folder of links with changed settings stands in for them."
        yield f'MODEL=$("$GLM_MATRIX" overlay "$MODEL" {words})'
    if tree := plan.values("serve_config"):
        yield write_serve_config(tree)
