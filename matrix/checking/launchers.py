"""Which engine a list of words starts, and with which words: `vllm serve`, `python -m sglang.launch_server`, ..."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Final

from matrix.checking.handed_on import ASSIGNMENT, read_handed_on
from matrix.checking.variables import Word

PYTHON: Final = re.compile(r"python(3(\.\d+)?)?|pypy3")
MODULES: Final = {
    "sglang.launch_server": "sglang",
    "sglang.srt.entrypoints.http_server": "sglang",
    "vllm.entrypoints.openai.api_server": "vllm",
    "vllm.entrypoints.cli.main": "vllm",
    "vllm.entrypoints.openai.run_server": "vllm",
    "tensorrt_llm.commands.serve": "trtllm",
}
# Programs that start an engine themselves and take its options beside their own, which the engine's parser never sees.
AROUND: Final = {
    "dynamo.vllm": "vllm",
    "dynamo.sglang": "sglang",
    "sglang_router.launch_server": "sglang",
}
SCRIPTS: Final = {"launch_server.py": "sglang", "api_server.py": "vllm"}
PROGRAMS: Final = {
    "sglang": "sglang",
    "vllm": "vllm",
    "trtllm-serve": "trtllm",
    "llama-server": "llamacpp",
    "llama": "llamacpp",
}
SERVE: Final = frozenset({"serve"})
SUBCOMMANDS: Final = {
    "vllm": ("serve", "bench", "chat", "complete", "run-batch", "collect-env", "launch"),
    "sglang": ("serve", "generate", "version", "killall", "bench"),
    "trtllm-serve": ("serve", "disaggregated", "disaggregated_mpi_worker", "mm_embedding_serve"),
}
# Words that only stand in front: how many words of their own they take (options with a value are listed).
WRAPPERS: Final[Mapping[str, frozenset[str]]] = {
    "exec": frozenset({"-a"}),
    "nohup": frozenset(),
    "time": frozenset({"-f", "-o"}),
    "command": frozenset(),
    "sudo": frozenset({"-u", "-g", "-C", "-h", "-p"}),
    "setsid": frozenset(),
    "nice": frozenset({"-n"}),
    "stdbuf": frozenset({"-o", "-e", "-i"}),
    "numactl": frozenset({"-N", "-m", "-C", "-p", "-i"}),
    "taskset": frozenset({"-c", "-p"}),
    "ionice": frozenset({"-c", "-n", "-p"}),
    "timeout": frozenset({"-s", "-k", "--signal", "--kill-after"}),
    "env": frozenset({"-u", "-C", "-S", "--unset", "--chdir"}),
    "srun": frozenset({"-n", "-N", "-c", "-p", "-t", "-J", "-A", "-w", "-o", "-e"}),
    "mpirun": frozenset({"-n", "-np", "-x", "-H", "--host", "--hostfile", "-mca", "--mca"}),
    "mpiexec": frozenset({"-n", "-np"}),
    "trtllm-llmapi-launch": frozenset(),
    "tini": frozenset(),
    "dumb-init": frozenset(),
    "catchsegv": frozenset(),
    "uvx": frozenset({"--from", "--with", "-p", "--python", "--index-url", "--extra-index-url", "--torch-backend"}),
    "chrt": frozenset({"-p"}),
    "systemd-run": frozenset({"-u", "-p", "-E", "--unit", "--property", "--setenv"}),
    "xargs": frozenset(),
    "torchrun": frozenset(),
    "then": frozenset(),
    "do": frozenset(),
    "else": frozenset(),
    "if": frozenset(),
    "while": frozenset(),
    "!": frozenset(),
    "{": frozenset(),
    "nsys": frozenset({"-o", "-t", "-s"}),
    "profile": frozenset({"-o", "-t", "-s", "-c", "-e", "-b", "-y", "-d"}),
    "unbuffer": frozenset(),
    "chpst": frozenset({"-u", "-e"}),
    "gosu": frozenset(),
    "$": frozenset(),
    "%": frozenset(),
}
# `uv run`, `conda run -n env`: a program and its verb; then the options that take a value.
UV: Final = frozenset({"--with", "-p", "--python", "--extra", "--project", "--directory", "--group", "--env-file"})
RUNNERS: Final[Mapping[str, tuple[tuple[str, ...], frozenset[str]]]] = {
    "uv": (("run", "x"), UV),
    "conda": (("run",), frozenset({"-n", "--name", "-p", "--prefix", "--cwd"})),
    "mamba": (("run",), frozenset({"-n", "--name", "-p", "--prefix"})),
    "micromamba": (("run",), frozenset({"-n", "--name", "-p", "--prefix"})),
    "poetry": (("run",), frozenset({"-C", "--directory"})),
    "pdm": (("run",), frozenset({"-p"})),
    "pixi": (("run", "exec"), frozenset({"-e", "--environment", "--manifest-path", "-s", "--spec"})),
    "hatch": (("run",), frozenset()),
    "rye": (("run",), frozenset()),
    "pipx": (("run",), frozenset({"--spec", "--python"})),
}
INSTALLERS: Final = ("uv", "uvx", "pipx", "pixi")  # name packages beside the command that they run
# Programs that take what a shell would run as one word, and programs that name an engine without starting it.
TYPED: Final = frozenset({"tmux", "screen", "su", "runuser", "script", "watch", "flock", "pdsh", "clush", "byobu"})
MENTIONS: Final = frozenset(
    """
    [ [[ ag alias apropos apt apt-get awk brew case cat cd conda cp curl diff dnf echo egrep export for function git
    grep head helm help info jq kill killall kubectl less ln logger ls make mamba man mkdir more mv notify-send oc pgrep
    pip pip3 pkill printf ps read rg rm sed ssh tail tee test touch type unalias unset wget whatis whereis which yum
    """.split()  # noqa: SIM905
)
SSH: Final = frozenset({"-p", "-i", "-l", "-o", "-L", "-R", "-J", "-F", "-b", "-c", "-D", "-E", "-m", "-S", "-W", "-w"})
CONTAINERS: Final = ("docker", "podman", "nerdctl")
STARTS: Final = re.compile(r"\b(?:(?:vllm|sglang) serve|sglang\.launch_server|trtllm-serve|llama-server)\b")
SCRIPT: Final = re.compile(r"[\w./-]*\w\.(?:sh|bash)")


@dataclass(frozen=True, kw_only=True)
class Text:
    """A file that the read text itself writes (a here-document, a ConfigMap), with where it stands."""

    text: str
    file: str
    line: int


@dataclass(frozen=True, kw_only=True)
class Circumstance:
    """Something around a command that may matter for it: the id of a finding, its words and where they stand."""

    id: str
    subject: str
    line: int = 0
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Command:
    """One engine, started in one place. `argv` are the words after the command itself."""

    engine: str
    entry: str  # as it is written, e.g. "vllm serve"
    argv: tuple[Word, ...]
    env: Mapping[str, Word] = field(default_factory=dict)
    file: str = ""
    line: int = 0
    image: Word | None = None
    gpus: str = ""  # what the text itself says about GPUs: a count, or the listed devices
    installed: Mapping[str, str] = field(default_factory=dict)  # package -> version, from pip lines of the same text
    files: Mapping[str, Text] = field(default_factory=dict)  # path -> what the same text writes there
    unread_env: str = ""  # a file of environment variables that is not here: what it sets is not known
    host: str = ""  # where ssh starts it; the text's own host where empty
    beside: str = ""  # what runs at the same time as it: "shell" (its line ends in &, or detached), "services"
    read_as: str = ""  # of a form that a program of its own completes (a Helm chart): what was read of it
    circumstances: tuple[Circumstance, ...] = ()
    around: bool = False  # a program that starts the engine takes options of its own among these words

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a list of words starts: an engine, or another reader's business (a container, a shell's own text)."""

    kind: str  # engine, container, shell
    engine: str = ""
    entry: str = ""
    argv: tuple[Word, ...] = ()
    env: Mapping[str, Word] = field(default_factory=dict)
    host: str = ""  # where ssh starts it
    requirements: tuple[str, ...] = ()  # `uv run --with vllm==0.28.0`: what the wrapper installs for it
    circumstances: tuple[Circumstance, ...] = ()
    around: bool = False


def find_start(words: Sequence[Word]) -> Start | None:
    """Find the engine that these words start, behind wrappers and assignments; None if they start none of ours."""
    env: dict[str, Word] = {}
    rest = _unwrap(list(words), env)
    if not rest:
        return None
    # what is known comes first: a search for a start anywhere would also find a name that is only an argument
    found = _started(rest, env) or _search_start(rest, env)
    return replace(found, requirements=_requirements(words)) if found is not None else None


def _search_start(rest: Sequence[Word], env: Mapping[str, Word]) -> Start | None:
    """Find the engine that a launcher starts whose options are not known here: `enroot start box vllm serve ...`.

    Only a whole start counts (`vllm serve MODEL`, `python -m MODULE ...`), and none behind a program that only names it
    """
    program = PurePosixPath(rest[0].text).name
    if program in MENTIONS or PYTHON.fullmatch(program) or program in PROGRAMS:
        return None
    if program in CONTAINERS and (len(rest) < 2 or rest[1].text not in ("exec", "compose", "container")):
        return None
    # never the last word: a bare name at the end is what a program is told about, not a start
    for index in range(1, len(rest) - 1):
        found = _started(rest[index:], {**env, **read_handed_on(rest[1:index])})
        if found is not None and (found.kind == "shell" or (found.kind == "engine" and found.argv)):
            return found
    texts = [w for w in rest[1:] if " " in w.text and STARTS.search(w.text)] if program in TYPED else []
    return Start(kind="shell", entry=program, argv=(texts[0],), env=env) if texts else None


def _requirements(words: Sequence[Word]) -> tuple[str, ...]:
    """Return what a runner in front installs: `--with A==1`, `--from A==1`, `--from A==1 ...`, `--with=A==1`."""
    # only near the front: `--from` further back is an option of the engine or of its model
    if not any(PurePosixPath(w.text).name in INSTALLERS for w in words[:6]):
        return ()
    found: list[str] = []
    for word, after in pairwise(words):
        if word.text in ("--with", "--from", "--spec", "-s"):
            found += after.text.split(",")
        elif word.text.startswith(("--with=", "--from=", "--spec=")):
            found += word.text.partition("=")[2].split(",")
    return tuple(found)


def _started(rest: Sequence[Word], env: Mapping[str, Word]) -> Start | None:
    program = PurePosixPath(rest[0].text).name.removesuffix(".exe")
    if program in CONTAINERS:
        return _container(rest, env)
    if program in ("kubectl", "oc"):
        return _kubectl(rest, env)
    if program in ("apptainer", "singularity"):
        return _apptainer(rest, env)
    if program == "ssh":
        return _remote(rest, env)
    if program in ("bash", "sh", "zsh", "dash") and (script := _script(rest[1:])) is not None:
        return Start(kind="shell", entry=program, argv=(script,), env=env)
    return _engine(program, rest, env)


def _engine(program: str, rest: Sequence[Word], env: Mapping[str, Word]) -> Start | None:
    # `$PYTHON -m vllm...`: which interpreter it is does not matter
    if PYTHON.fullmatch(program) or (program.startswith("$") and len(rest) > 2 and rest[1].text == "-m"):
        return _module(rest, env)
    if program in SCRIPTS:
        return Start(kind="engine", engine=SCRIPTS[program], entry=rest[0].text, argv=tuple(rest[1:]), env=env)
    engine = PROGRAMS.get(program)
    if engine is None:
        return None
    if program == "llama":  # the one binary of later builds: `llama serve`
        served = len(rest) > 1 and rest[1].text in ("serve", "server")
        words = tuple(rest[2:])
        return Start(kind="engine", engine=engine, entry="llama serve", argv=words, env=env) if served else None
    if engine == "llamacpp":
        return Start(kind="engine", engine=engine, entry=program, argv=tuple(rest[1:]), env=env)
    verb = rest[1].text if len(rest) > 1 else ""
    if verb in SERVE:
        return Start(kind="engine", engine=engine, entry=f"{program} serve", argv=tuple(rest[2:]), env=env)
    # its verb may be left out: `trtllm-serve MODEL` serves
    if program == "trtllm-serve" and verb not in SUBCOMMANDS[program]:
        return Start(kind="engine", engine=engine, entry=program, argv=tuple(rest[1:]), env=env)
    return None


def _module(rest: Sequence[Word], env: Mapping[str, Word]) -> Start | None:
    """`python [-u] -m module ...`, or `python path/to/launch_server.py ...`."""
    for index, word in enumerate(rest[1:], start=1):
        if rest[index - 1].text in ("-X", "-W"):  # the value of Python's own option
            continue
        if word.text == "-m" and index + 1 < len(rest):
            module = rest[index + 1].text
            engine = MODULES.get(module)
            argv = tuple(rest[index + 2 :])
            if module in AROUND:
                entry = f"python -m {module}"
                return Start(kind="engine", engine=AROUND[module], entry=entry, argv=argv, env=env, around=True)
            if engine is None:
                return None
            # the module is the `vllm` program itself, whose other verbs serve nothing
            if rest[index + 1].text == "vllm.entrypoints.cli.main":
                if not argv or argv[0].text != "serve":
                    return None
                argv = argv[1:]
            if engine == "trtllm" and argv and argv[0].text == "serve":
                argv = argv[1:]
            return Start(kind="engine", engine=engine, entry=f"python -m {rest[index + 1].text}", argv=argv, env=env)
        if not word.text.startswith("-"):
            engine = SCRIPTS.get(PurePosixPath(word.text).name)
            argv = tuple(rest[index + 1 :])
            return Start(kind="engine", engine=engine, entry=word.text, argv=argv, env=env) if engine else None
    return None


def _container(rest: Sequence[Word], env: Mapping[str, Word]) -> Start | None:
    texts = [w.text for w in rest[1:3]]
    # what `create` makes is started later, with the words that it was made with
    starts = texts[:1] in (["run"], ["create"]), texts in (["container", "run"], ["container", "create"])
    if texts == ["service", "create"]:  # of a swarm, whose options are others
        return Start(kind="container", entry=f"{rest[0].text} service", argv=tuple(rest[3:]), env=env)
    if not any(starts):
        return None
    return Start(kind="container", entry=rest[0].text, argv=tuple(rest[2 if starts[0] else 3 :]), env=env)


def _kubectl(rest: Sequence[Word], env: Mapping[str, Word]) -> Start | None:
    """`kubectl run NAME --image=X [--env=A=b] [--command] -- words`, and `kubectl exec POD -- words`."""
    texts = [w.text for w in rest]
    cut = texts.index("--") if "--" in texts else len(texts)
    verb = texts[1] if len(texts) > 1 else ""
    if verb == "exec":
        return find_start(rest[cut + 1 :])
    image = next((w for w in rest[:cut] if w.text.startswith("--image=")), None)
    if verb != "run" or image is None:
        return None
    asked = [w for w in rest[:cut] if w.text.startswith("--env=")]
    # put in the order of `docker run`, so that one reader knows what a container starts
    words = (*asked, Word(image.text.partition("=")[2], image.line, image.holes), *rest[cut + 1 :])
    return Start(kind="container", entry="kubectl run", argv=words, env=env)


def _apptainer(rest: Sequence[Word], env: Mapping[str, Word]) -> Start | None:
    """`apptainer exec [options] IMAGE words`; `run` starts the image's own program."""
    if len(rest) < 3 or rest[1].text not in ("exec", "run"):
        return None
    with_value = frozenset(
        {"--bind", "-B", "--env", "--env-file", "--pwd", "--home", "-H", "--overlay", "--workdir", "-W"}
    )
    words = _skip_options(list(rest[2:]), with_value, "apptainer")
    if not words:
        return None
    image = Word(words[0].text.removeprefix("docker://"), words[0].line, words[0].holes)
    asked = [Word(f"--env={b.text}", b.line, b.holes) for a, b in pairwise(rest) if a.text == "--env"]
    entry, given = f"{rest[0].text} {rest[1].text}", {word.text for word in rest[2 : len(rest) - len(words)]}
    # without it the container has no library of the driver
    blind = not given & {"--nv", "--nvccli", "--rocm"} and all(word.known for word in rest[2 : len(rest) - len(words)])
    lacking = (Circumstance(id="container_without_gpus", subject=entry, line=rest[0].line),) if blind else ()
    return Start(kind="container", entry=entry, argv=(*asked, image, *words[1:]), env=env, circumstances=lacking)


def find_script(words: Sequence[Word]) -> tuple[Word, tuple[Word, ...]] | None:
    """Return the script that the words run, and its arguments: `./run.sh X`, `exec bash -e run.sh X`; None if none."""
    rest = _unwrap(list(words), {})
    if rest and PurePosixPath(rest[0].text).name in ("bash", "sh", "zsh", "dash", "source"):
        rest = _skip_options(rest[1:], frozenset({"-o"}), "bash")
    named = rest[0].text if rest and rest[0].known else ""
    return (rest[0], tuple(rest[1:])) if SCRIPT.fullmatch(named) else None


def split_remote(rest: Sequence[Word]) -> list[Word]:
    """Return the host of `ssh [options] HOST words`, and the words."""
    return _skip_options(list(rest[1:]), SSH, "ssh")


def _remote(rest: Sequence[Word], env: Mapping[str, Word]) -> Start | None:
    """`ssh [options] HOST words`: the words are a shell's text there."""
    host, *words = split_remote(rest) or [Word("")]
    if not words:
        return None
    # ssh joins its words and gives them to a shell: quotes are gone, and its environment is the other host's
    text = " ".join(w.text for w in words)
    argv = (Word(text, words[0].line, tuple(h for w in words for h in w.holes)),)
    return Start(kind="shell", entry="ssh", argv=argv, env={}, host=host.text)


def _script(words: Sequence[Word]) -> Word | None:
    """Return the text behind `-c` (`-lc`, `-exc`), which a shell would run."""
    for index, word in enumerate(words):
        if re.fullmatch(r"-[a-z]*c", word.text) and index + 1 < len(words):
            return words[index + 1]
        if not word.text.startswith("-"):
            return None
    return None


def _unwrap(words: list[Word], env: dict[str, Word]) -> list[Word]:
    """Take `sudo`, `env A=b`, `numactl -N 0` and their like off the front; what they set goes into `env`."""
    while words:
        found = ASSIGNMENT.fullmatch(words[0].text)
        name = PurePosixPath(words[0].text).name
        # `--opt=value` has the form of an assignment and is none
        if found is not None and not words[0].text.startswith("-"):
            env[found[1]] = Word(found[2], words[0].line, words[0].holes)
            words = words[1:]
        elif name in WRAPPERS:
            rest = _skip_options(words[1:], WRAPPERS[name], name)
            env |= read_handed_on(words[1 : len(words) - len(rest)])
            words = rest
            if name == "xargs" and words:  # which puts what it reads behind them
                words = [*words, Word("$xargs", words[-1].line, ("xargs",))]
        elif name in RUNNERS and [w.text for w in words[1:2]] in ([verb] for verb in RUNNERS[name][0]):
            words = _skip_options(words[2:], RUNNERS[name][1], name)
        else:
            break
    return words


def _skip_options(words: list[Word], with_value: frozenset[str], name: str) -> list[Word]:
    while words and words[0].text.startswith("-") and words[0].text != "-":
        if words[0].text == "--":
            return words[1:]
        words = words[2:] if words[0].text in with_value else words[1:]
    if name in ("timeout", "taskset") and words and re.fullmatch(r"[\d.]+[smhd]?|0x[0-9a-f]+|[\d,-]+", words[0].text):
        return words[1:]  # the duration, the mask
    return words
