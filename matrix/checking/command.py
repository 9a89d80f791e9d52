"""check: what is known of your own launch line for that release, those GPUs and that checkpoint. Nothing is started.

    check --rig sm120x4 --release sglang==0.5.20 -- python -m sglang.launch_server --model-path ...
    check --gpus "8x H200" --config DIR launch.sh        a script, compose file, Kubernetes manifest, Dockerfile, unit
    check --rig sm90x8 -                                 the same from standard input
Exit code: 0 fine, 1 wrong, 2 bad usage, 3 risky or not to be judged.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import stat
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from matrix.checking.checkpoint_findings import lint_config
from matrix.checking.finding import CheckReport
from matrix.checking.judge import CheckRequest, examine_command, judge_examined
from matrix.checking.launchers import Command
from matrix.checking.releases import AskedRelease, parse_release, parse_requirement
from matrix.checking.render import render_json, render_text
from matrix.checking.rigs import parse_rig
from matrix.checking.settings import read_settings
from matrix.checking.sources import read_text, read_words
from matrix.checking.together import judge_together
from matrix.checking.variables import Word, words_of
from matrix.errors import ConfigError, Problem
from matrix.output.command_line import CommandLine
from matrix.preflight.verdict import Remark

if TYPE_CHECKING:
    from matrix.preflight.checkpoints.files import CheckpointFiles


class HasExitCode(Protocol):
    """What a command over a line found."""

    @property
    def exit_code(self) -> int: ...


Answer = TypeVar("Answer", bound=HasExitCode)
ReadFolder = Callable[[Path], "CheckpointFiles"]  # a checkpoint's folder: JSON files and headers of its shards
Redact = Callable[[Any], Any]  # a text or JSON data -> the same without secrets
MAX_BYTES: Final = 1_000_000
HUB: Final = re.compile(r"https?://.*|[\w.-]+/[\w.-]+")  # an address, or a repository's name
STARTS: Final = "`vllm serve`, `sglang serve`, `python -m sglang.launch_server`, `trtllm-serve`, or a container"
MAX_JSON_BYTES: Final = 64_000_000  # an index of a checkpoint lists a hundred thousand tensors


# How a line begins; what stands behind it would be read as options of ours.
BEGINS: Final = frozenset({"vllm", "sglang", "python", "python3", "trtllm-serve", "llama-server", "docker"})


class LineParser(CommandLine):
    """Parses the options in front of `--`, and says so where somebody left it out."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as every command line is, unless a word of an engine's line stands there."""
        words = sys.argv[1:] if args is None else list(args)
        # behind an option stands its value: `--release vllm` is another mistake
        bare = (word for before, word in zip(["", *words], words, strict=False) if not before.startswith("-"))
        if first := next((word for word in bare if word in BEGINS and not Path(word).exists()), ""):
            self.error(f"put -- in front of the command, whose options are the engine's: -- {first} ...")
        return super().parse_known_args(args, namespace)


def make_parser() -> argparse.ArgumentParser:
    made = LineParser(
        prog="glm-matrix check",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="%(prog)s [--rig RIG | --gpus GPUS] [--release RELEASE] [options] (FILE | - | -- COMMAND ...)",
    )
    add_line_options(made)
    made.add_argument("--release", metavar="ENGINE==VERSION", help="e.g. sglang==0.5.20; else what the text names")
    made.add_argument("--json", action="store_true", help="one JSON object")
    made.add_argument(
        "file", nargs="?", metavar="FILE", help="a script, a compose file, a manifest; - is standard input"
    )
    return made


def add_line_options(made: argparse.ArgumentParser) -> None:
    """Add the options that describe where a line runs: GPUs, checkpoint, installed libraries, environment."""
    where = made.add_mutually_exclusive_group()
    where.add_argument("--rig", metavar="RIG", help="e.g. sm120x4, sm121x2")
    where.add_argument("--gpus", metavar="GPUS", help="e.g. '4x RTX PRO 6000'")
    made.add_argument("--config", metavar="DIR_OR_JSON", help="the checkpoint's folder or config.json")
    made.add_argument(
        "--installed", metavar="PACKAGE==VERSION", action="append", default=[], help="beside the release's own pins"
    )
    made.add_argument("--env", metavar="NAME=VALUE", action="append", default=[], help="beside what the text sets")


def main(
    arguments: Sequence[str] | None = None, read_folder: ReadFolder | None = None, redact: Redact = lambda told: told
) -> int:
    """Exit codes: 0 fine, 1 wrong, 2 bad usage, 3 risky or unknown.

    `read_folder` reads a checkpoint's folder whole (headers, tokenizer, template); else config.json and index are.
    `redact` removes the keys and passwords of the caller's line from whatever is printed.
    """
    return run_on_line(
        arguments,
        make_parser(),
        lambda options, command, given: _make_report(options, command, given=given, read_folder=read_folder),
        (render_json, lambda report, options: render_text(report)),
        redact,
    )


def run_on_line(
    arguments: Sequence[str] | None,
    options_of: argparse.ArgumentParser,
    judge_line: Callable[[argparse.Namespace, list[str], bool], Answer],
    forms: tuple[Callable[[Answer], str], Callable[[Answer, argparse.Namespace], str]],
    redact: Redact,
) -> int:
    """Run a command over a caller's line: options, then the line behind `--` where one is given; return its exit code.

    `judge_line` takes options, words and whether there was a `--`; `forms` render the answer as JSON and as text. All
    that is printed, errors too, passes `redact` here.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    # the first one: whatever stands behind it belongs to the engine, another `--` too
    cut = words.index("--") if "--" in words else len(words)
    options = options_of.parse_args(words[:cut])
    try:
        answer = judge_line(options, words[cut + 1 :], cut < len(words))
    except ConfigError as error:
        sys.stderr.write(redact(f"{error}\n"))
        return 2
    as_json, as_text = forms
    sys.stdout.write(redact_json(as_json(answer), redact) if options.json else redact(f"{as_text(answer, options)}\n"))
    return answer.exit_code


def redact_json(text: str, redact: Redact) -> str:
    """Redact as data, where a secret flag and its value are neighbours of a list, and print it again with a newline."""
    return f"{json.dumps(redact(json.loads(text)), indent=1, ensure_ascii=False)}\n"


def _make_report(
    options: argparse.Namespace, command: list[str], *, given: bool, read_folder: ReadFolder | None = None
) -> CheckReport:
    release = parse_release(options.release) if options.release else None
    commands, problems = read_commands(options, command, release, given=given)
    if given and options.config is None:
        options.config = _find_served_folder(commands, release)
    asked = make_asked(options, read_folder)
    # of several engines those of the release were kept already: what is left contradicts --release
    if release is not None and commands[0].engine != release.engine:
        message = f"the command starts {commands[0].engine} ({commands[0].entry}), and --release names {release.engine}"
        raise ConfigError([Problem("--release", 0, repr(options.release), message)])
    examined = [
        examine_command(c, replace(asked, release=release, files=read_config_file(c, release, options.file)))
        for c in commands
    ]
    # of one command nothing is beside it
    beside = judge_together(examined, asked.host) if len(examined) > 1 else {}
    judged = [judge_examined(one, beside.get(index, ())) for index, one in enumerate(examined)]
    return CheckReport(name=_name_source(options, given=given), judgements=tuple(judged), problems=tuple(problems))


def _find_served_folder(commands: Sequence[Command], release: AskedRelease | None) -> str | None:
    """Return the folder of this disk that the line itself serves, where that is a checkpoint."""
    if len(commands) != 1:
        return None
    asked = release or AskedRelease(engine=commands[0].engine, version="", by="")
    named = read_settings(commands[0], asked.nearest_snapshot()).value("model")
    # a repository's name is a relative path, too: only what has a config.json is meant
    return named if isinstance(named, str) and named and (Path(named) / "config.json").is_file() else None


def make_asked(options: argparse.Namespace, read_folder: ReadFolder | None = None) -> CheckRequest:
    """Build the request that the options of `add_line_options` describe, without a release.

    Raises:
        ConfigError: no such GPUs, or an unreadable checkpoint.
    """
    rig = options.rig or options.gpus
    config, tensors, size = _checkpoint(options.config)
    files = _read_folder(options.config, config, read_folder)
    return CheckRequest(
        host=parse_rig(rig) if rig else None,
        config=config,
        # an index may be absent, and claims only what the headers of the shards have
        tensors=tensors or (frozenset(files.tensors) if files else tensors),
        size_bytes=size or (files.weights_bytes if files else 0),
        json_names=_list_json(options.config),
        installed=_parse_installed(options.installed),
        remarks=_lint_checkpoint(config, files),
    )


def read_commands(
    options: argparse.Namespace, command: list[str], release: AskedRelease | None, *, given: bool
) -> tuple[list[Command], list[Problem]]:
    """Read the engine commands of the words after `--` (`given`), or of the file that the options name.

    Of several engines those of `release` count. Raises:
        ConfigError: neither or both were given, the text cannot be read, or it starts no engine.
    """
    if given == bool(options.file) or (given and not command):
        raise ConfigError([Problem("arguments", 0, "", "expected a FILE, - for standard input, or -- and a command")])
    name = _name_source(options, given=given)
    beside = partial(_beside, _folder(options.file))
    commands, problems = (
        read_words(command, beside=beside) if given else read_text(_read_stranger_text(options.file), name, beside)
    )
    # options alone, or the path of a model: the words behind the entry point, of the engine that --release names
    if not commands and given and release is not None and command[0].startswith(("-", "/", ".")):
        commands = [Command(engine=release.engine, entry=release.engine, argv=words_of(command))]
    commands = [c for c in commands if c.engine == release.engine] if release and len(commands) > 1 else commands
    if not commands:
        more = f" ({'; '.join(map(str, problems[:3]))})" if problems else ""
        raise ConfigError([Problem(name, 0, "", f"no engine is started here: expected {STARTS}{more}")])
    env = _parse_environment(options.env)
    # --env wins over the text: it says how the line is really started
    return [replace(c, env={**c.env, **env}) for c in commands], problems


def _name_source(options: argparse.Namespace, *, given: bool) -> str:
    return "the command line" if given else "standard input" if options.file == "-" else str(options.file)


def _read_folder(
    path: str | None, config: Mapping[str, Any] | None, read_folder: ReadFolder | None
) -> CheckpointFiles | None:
    """Read the checkpoint's folder; None of a config.json alone, and where nothing reads folders."""
    if path is None or config is None or read_folder is None or not Path(path).is_dir():
        return None
    return read_folder(Path(path))


def _list_json(path: str | None) -> frozenset[str] | None:
    """List the JSON files of the checkpoint's folder; None where there is only a config.json."""
    if path is None or not Path(path).is_dir():
        return None
    return frozenset(entry.name for entry in Path(path).glob("*.json"))


def _lint_checkpoint(config: Mapping[str, Any] | None, files: CheckpointFiles | None) -> Sequence[Remark]:
    """Lint the checkpoint's files, or its config.json alone."""
    from matrix.preflight.checkpoint import judge_checkpoint  # late: a line without --config needs none of it

    if files is not None:
        return judge_checkpoint(files)
    return () if config is None else lint_config(config)


def _parse_installed(texts: Sequence[str]) -> dict[str, str]:
    found = {text: parse_requirement(text) for text in texts}
    bad = [
        Problem("--installed", 0, repr(t), "expected PACKAGE==VERSION, for example sgl-deep-gemm==0.1.5.post1")
        for t, f in found.items()
        if f is None
    ]
    if bad:
        raise ConfigError(bad)
    return dict(f for f in found.values() if f is not None)


def _parse_environment(texts: Sequence[str]) -> dict[str, Word]:
    bad = [Problem("--env", 0, repr(t), "expected NAME=VALUE") for t in texts if "=" not in t]
    if bad:
        raise ConfigError(bad)
    return {name: Word(value) for name, _, value in (t.partition("=") for t in texts)}


def read_config_file(command: Command, release: AskedRelease | None, file: str | None) -> dict[str, str]:
    """Read the configuration file that the command names, where it lies beside `file`; empty without one."""
    asked = release or AskedRelease(engine=command.engine, version="", by="")
    path = read_settings(command, asked.nearest_snapshot()).value("config_file")
    # the text writes the file itself, and what lies on this disk under its name is another one
    if not isinstance(path, str) or path in command.files:
        return {}
    text = _beside(_folder(file), path)
    return {} if text is None else {path: text}


def _folder(file: str | None) -> Path:
    return Path(file).parent if file and file != "-" else Path()


def _beside(base: Path, path: str) -> str | None:
    """Return the text of a file that the command names; None unless it is a plain file."""
    try:
        return _read_stranger_text(str(base / path))
    except ConfigError:
        return None


def _read_stranger_text(path: str) -> str:
    """Read a stranger's text: bounded, from a plain file or standard input, never a device or a pipe that does not end.

    Raises:
        ConfigError: it is not there, no plain file, or too long.
    """
    # one byte more than allowed, so that a longer text is refused rather than judged by its beginning
    raw = sys.stdin.buffer.read(MAX_BYTES + 1) if path == "-" else _bytes(Path(path), MAX_BYTES)
    if len(raw) > MAX_BYTES:
        raise ConfigError([Problem(path, 0, "", f"longer than {MAX_BYTES:,} bytes")])
    return raw.decode("utf-8", errors="replace")


def _bytes(path: Path, limit: int) -> bytes:
    try:
        # not open(): of a named pipe that nobody writes to it would never return
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        raise ConfigError([Problem(str(path), 0, "", getattr(error, "strerror", None) or str(error))]) from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):  # before fdopen, which raises for a directory
        os.close(handle)
        raise ConfigError([Problem(str(path), 0, "", "no plain file")])
    with os.fdopen(handle, "rb") as file:
        # of the open handle: between a test by name and a read by name the file could be exchanged
        return file.read(limit + 1)


def _checkpoint(path: str | None) -> tuple[Mapping[str, Any] | None, frozenset[str], int]:
    """config.json, tensor names and total bytes of a checkpoint's folder, or a config.json alone.

    Raises:
        ConfigError: unreadable, or no JSON object.
    """
    if path is None:
        return None, frozenset(), 0
    given = Path(path)
    if not given.exists() and HUB.fullmatch(path):
        said = (
            "expected a folder or a config.json on this disk; without --config the published config of the name is used"
        )
        raise ConfigError([Problem("--config", 0, repr(path), said)])
    folder = given if given.is_dir() else None
    config = _read_json(given / "config.json" if folder else given)
    index = folder / "model.safetensors.index.json" if folder else None
    if index is None or not index.is_file():
        return config, frozenset(), 0
    data = _read_json(index)
    names, meta = data.get("weight_map"), data.get("metadata")
    # what an index claims: a stranger's file may hold text there, or no metadata at all
    total = meta.get("total_size", 0) if isinstance(meta, Mapping) else 0
    return (
        config,
        frozenset(names) if isinstance(names, Mapping) else frozenset(),
        total if isinstance(total, int) else 0,
    )


def _read_json(path: Path) -> Mapping[str, Any]:
    from matrix.judging.file_kinds import name_json_kind, name_refusal  # late: a line without --config reads none

    raw = _bytes(path, MAX_JSON_BYTES)
    try:
        # of bytes json reads UTF-16 and a byte order mark, too, and no engine does
        data = json.loads(raw.decode("utf-8"))
    # ten thousand brackets are valid JSON, and more than the decoder's stack
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 0)
        why, kind = getattr(error, "msg", error), name_json_kind(raw)
        told = f"it is {kind} ({why})" if kind else why
        raise ConfigError([Problem(str(path), line, "", f"not JSON: {told}")]) from None
    if not isinstance(data, dict):
        raise ConfigError([Problem(str(path), 1, "", f"expected a JSON object, got {type(data).__name__}")])
    if refused := name_refusal(data):
        raise ConfigError([Problem(str(path), 1, "", f"it is {refused}")])
    return data
