"""upgrade: what another release of the engine changes for a cell or for your own launch line. Nothing is started.

    upgrade sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.mtp --to 0.5.17
    upgrade --rig sm90x8 --from vllm==0.26.0 --to vllm==0.33.0 -- vllm serve zai-org/GLM-5-FP8 -tp 8
    upgrade --gpus "8x H200" --from 0.5.17 --to 0.5.23 launch.sh      a script, a compose file, a manifest; - is stdin
Exit code: 0 safe or nothing changes, 1 it does not start or answers wrongly, 2 bad usage, 3 risky or not to be judged.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from matrix.checking.command import (
    LineParser,
    ReadFolder,
    Redact,
    add_line_options,
    make_asked,
    read_commands,
    read_config_file,
    run_on_line,
)
from matrix.checking.judge import CheckRequest
from matrix.checking.launchers import Command
from matrix.checking.releases import (
    TITLES,
    AskedRelease,
    list_versions,
    parse_release,
    release_of_image,
    release_of_requirement,
)
from matrix.errors import ConfigError, Problem, suggest_nearest
from matrix.preflight.patch import takes_sparse_out
from matrix.upgrading.compare import compare_sides
from matrix.upgrading.news import ReleaseComparison, UpgradeReport
from matrix.upgrading.of_cells import find_cell, gather_extra, make_line, move_cell
from matrix.upgrading.patching import keep_fitting
from matrix.upgrading.render import render_json, render_text
from matrix.upgrading.sides import look_at_release

# dots make a cell's id, and many file names: launch.prod.sh must not be looked up on the axes
CELL: Final = re.compile(r"\w+(\.\w+){2,}(?<!\.sh)(?<!\.txt)(?<!\.md)(?<!\.yml)(?<!\.yaml)")


def make_parser() -> argparse.ArgumentParser:
    made = LineParser(
        prog="glm-matrix upgrade",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="%(prog)s [--from RELEASE] --to RELEASE [options] (CELL | FILE | - | -- COMMAND ...)",
    )
    made.add_argument(
        "--from", dest="before", metavar="RELEASE", help="what runs today; else what the cell or text names"
    )
    made.add_argument("--to", dest="after", metavar="RELEASE", required=True, help="e.g. sglang==0.5.23, or 0.5.23")
    add_line_options(made)
    made.add_argument("--all", action="store_true", help="also what cannot apply to this line")
    made.add_argument("--json", action="store_true", help="one JSON object")
    made.add_argument(
        "file", nargs="?", metavar="CELL_OR_FILE", help="a cell's id, a script, a compose file; - is stdin"
    )
    return made


def main(
    arguments: Sequence[str] | None = None, read_folder: ReadFolder | None = None, redact: Redact = lambda told: told
) -> int:
    """Exit codes: 0 safe, 1 does not start or answers wrongly, 2 bad usage, 3 risky or unknown.

    `redact` removes the keys and passwords of the caller's line from whatever is printed.
    """
    return run_on_line(
        arguments,
        make_parser(),
        lambda options, command, given: _make_report(options, command, given=given, read_folder=read_folder),
        (render_json, lambda report, options: render_text(report, everything=options.all)),
        redact,
    )


def _make_report(
    options: argparse.Namespace, command: list[str], *, given: bool, read_folder: ReadFolder | None
) -> UpgradeReport:
    # a file of that name wins: the user sees it in the folder, and a cell's id is never meant to be one
    if not given and options.file and CELL.fullmatch(options.file) and not Path(options.file).exists():
        return UpgradeReport(comparisons=(_of_cell(options),))
    asked = make_asked(options, read_folder)
    named = [_find_release(text, word) for text, word in _sides(options) if not _bare(text)]
    commands, problems = read_commands(options, command, named[0] if named else None, given=given)
    found = tuple(_of_line(c, options, asked) for c in commands)
    return UpgradeReport(comparisons=found, problems=tuple(map(str, problems)))


def _of_cell(options: argparse.Namespace) -> ReleaseComparison:
    """Compare for a cell: its own release is where it comes from."""
    from matrix.yaml.load import load_matrix

    matrix = load_matrix()
    cell = find_cell(matrix, options.file)
    if options.rig or options.gpus or options.config or options.env or options.installed:
        raise ConfigError(
            [Problem("CELL", 0, repr(options.file), "a cell names its GPUs, checkpoint and settings itself")]
        )
    own = _find_release(f"{cell.engine.id}=={cell.release.version}", "CELL", cell.release.id)
    before = _find_release(options.before, "--from", engine=cell.engine.id) if options.before else own
    # its plan belongs to its release: on another one the recipes would differ as well, not the engine alone
    if before.snapshot is not own.snapshot:
        message = f"the cell is one of {own.name}; give --from {own.version}, or leave it out"
        raise ConfigError([Problem("--from", 0, repr(options.before), message)])
    after = _find_release(options.after, "--to", engine=cell.engine.id)
    line = make_line(matrix, cell)
    moved = move_cell(matrix, cell, after)
    assert after.snapshot is not None
    # a patch that does not fit is not applied there, and with it goes what it did (dense attention, above all)
    kept = keep_fitting(line.patches, after.snapshot, cell.rig.sm)
    there = replace(line.asked, dense=takes_sparse_out(kept))
    sides = (
        look_at_release(line.command, line.asked, own, gather_extra(matrix, cell, line.patches)),
        look_at_release(line.command, there, after, gather_extra(matrix, moved, kept)),
    )
    show = f"glm-matrix show {moved.id}: the launch that the matrix has for it there"
    return compare_sides(*sides, next_=(show,) if moved.release.id in matrix.releases and moved.id != cell.id else ())


def _of_line(command: Command, options: argparse.Namespace, asked: CheckRequest) -> ReleaseComparison:
    named = release_of_image(command.image.text) if command.image is not None else None
    if named is None or not named.version:
        named = release_of_requirement(command.engine, dict(command.installed))
    before = _find_release(options.before, "--from", engine=command.engine) if options.before else named
    after = _find_release(options.after, "--to", engine=command.engine)
    if before is None:
        message = "nothing says which release runs today; give --from ENGINE==VERSION"
        raise ConfigError([Problem("--from", 0, "", message)])
    # the text may already name the new release; a third one means that the options speak of another line
    if named is not None and named.version and named.version not in (before.version, after.version):
        message = f"the text names {named.name} ({named.by}), which is neither side"
        raise ConfigError([Problem("--from", 0, repr(options.before), message)])
    # once more: what an image's tag names need not have a snapshot, and then there is nothing to compare
    before = _find_release(f"{before.engine}=={before.version}", "--from", before.id)
    asked = replace(asked, files=read_config_file(command, before, options.file))
    return compare_sides(look_at_release(command, asked, before), look_at_release(command, asked, after))


def _sides(options: argparse.Namespace) -> list[tuple[str, str]]:
    return [(text, word) for text, word in ((options.before, "--from"), (options.after, "--to")) if text]


def _bare(text: str) -> bool:
    """Tell whether the text is a version without an engine."""
    return re.fullmatch(r"v?\d[\w.+-]*", text) is not None


def _find_release(text: str, word: str, id_: str = "", *, engine: str = "") -> AskedRelease:
    """Return a release that has a snapshot; a bare version is one of `engine`.

    Raises:
        ConfigError: no such release, or another engine than the line's.
    """
    if id_ and (known := _by_id(id_)) is not None:
        return known
    full = f"{engine}=={text.removeprefix('v')}" if engine and _bare(text) else text
    try:
        found = parse_release(full)
    except ConfigError as error:
        raise ConfigError([Problem(word, 0, repr(text), p.message) for p in error.problems]) from None
    if engine and found.engine != engine:
        message = f"{found.engine} is another engine than {engine}, which the line starts"
        raise ConfigError([Problem(word, 0, repr(text), message)])
    if found.snapshot is None:
        versions = [str(version) for version, _ in list_versions(found.engine)]
        near = suggest_nearest(found.version, versions)
        about = f"there are {versions[0]} to {versions[-1]}" if versions else "there is none"
        message = f"no snapshot of {TITLES[found.engine]} {found.version}{near}; {about}"
        raise ConfigError([Problem(word, 0, repr(text), message)])
    return found


def _by_id(name: str) -> AskedRelease | None:
    try:
        return parse_release(name)
    except ConfigError:
        return None
