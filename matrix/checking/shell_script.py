"""Shell text -> the engines it starts. Assignments of the same text are followed; nothing is executed or opened."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import PurePosixPath
from typing import Final

from matrix.checking.circumstances import note_early, note_sudo, note_variables
from matrix.checking.containers import entry_point_of, image_engine, note_container, read_docker_run
from matrix.checking.environment_file import note_docker_file, read_environment_file
from matrix.checking.jobs import read_job_gpus, read_step_gpus, read_step_image
from matrix.checking.launchers import (
    CONTAINERS,
    STARTS,
    Circumstance,
    Command,
    Start,
    Text,
    find_script,
    find_start,
    split_remote,
)
from matrix.checking.lost_environment import drops_environment
from matrix.checking.releases import parse_requirement
from matrix.checking.set_variables import expand_to_one, read_into, set_loop
from matrix.checking.translated import needs_translation, translate_script
from matrix.checking.variables import Variables, Word, array_words, assign_defaults, expand_word, split_assignment
from matrix.checking.words import NAME, RawWord, Redirection, Statement, split_statements
from matrix.errors import Problem

Beside = Callable[[str], str | None]  # the text of a file that the read text names, where it is there
MAX_DEPTH: Final = 6  # scripts in `bash -c` in containers in scripts
MOST_WRITTEN: Final = 20  # scripts that a script writes
MAX_COMMANDS: Final = 50
MOST_SHOWN: Final = 4  # words of a command that is none
OPTION: Final = re.compile(r"--?[A-Za-z]")
DETACHED: Final = re.compile(r"--detach|-[itq]*d[itq]*")  # options of docker by which it returns at once
PIP: Final = ("pip", "pip3", "uv")
SHELLS: Final = frozenset({"bash", "sh", "zsh", "dash"})
NO_SHELL: Final = frozenset(
    {"cat", "tee", "echo", "grep", "sed", "awk", "python", "python3"}
)  # a name among their words


def no_file(path: str) -> str | None:
    """There is nothing beside a text that came alone."""
    return None


class ShellReader:
    """Reads one text; `commands`, `problems` and `files` grow as it goes."""

    def __init__(self, name: str, beside: Beside = no_file) -> None:
        self.name, self.beside = name, beside
        self.commands: list[Command] = []
        self.problems: list[Problem] = []
        self.files: dict[str, Text] = {}
        self.installed: dict[str, str] = {}
        self.unread_env = ""
        self.followed: set[str] = set()  # scripts that were read: each once
        self.documents: list[Text] = []  # here-documents that are not a shell's text: what a program is fed with
        self.ended = 0  # commands for whose end the script has waited
        self.branches = False  # an if or a case came before: of what follows not everything runs
        self.job_gpus = ""  # what the directives of a batch job ask for on each host

    def read(self, text: str, variables: Variables | None = None, first_line: int = 1, depth: int = 0) -> None:
        """Read the statements of a script in their order."""
        variables = variables if variables is not None else Variables()
        statements, problems = split_statements(text, self.name, first_line)
        self.problems += problems
        before = len(self.commands)  # how many there were when the statement before began
        for statement, after in zip_longest(statements, statements[1:]):
            self._read_piped(statement, after, depth)
            self._note_lost_words(statement, before)
            before = len(self.commands)
            if len(self.commands) >= MAX_COMMANDS:
                self.problems.append(
                    Problem(self.name, statement.line, "", f"more than {MAX_COMMANDS} commands: the rest was not read")
                )
                return
            self._statement(statement, variables, depth)

    def _read_piped(self, statement: Statement, after: Statement | None, depth: int) -> None:
        """Read `cat <<EOF | ssh HOST bash`: a document that the next command runs."""
        if after is None or not after.piped or not statement.redirections or depth >= MAX_DEPTH:
            return
        words = [Word(raw.literal or "$", raw.line) for raw in after.words]
        if [raw.literal for raw in statement.words[:1]] == ["cat"] and _reads_script(words):
            for document in statement.redirections:
                self.read(document.body, Variables(), document.body_line or statement.line, depth + 1)

    def _note_lost_words(self, statement: Statement, before: int) -> None:
        """Note an option that begins a command of its own: the start in the line before was meant to take it."""
        first = statement.words[0] if statement.words else None
        if len(self.commands) == before or first is None or not OPTION.match(first.literal or ""):
            return
        words = " ".join(raw.literal or "..." for raw in statement.words[:MOST_SHOWN])
        lost = Circumstance(id="words_cut_off", subject=words, line=first.line, facts={"line": str(first.line)})
        self.commands[-1] = replace(self.commands[-1], circumstances=(*self.commands[-1].circumstances, lost))

    def start(self, found: Start, line: int, env: dict[str, Word], depth: int) -> None:
        """Note an engine, or read on in what a container or a shell would run."""
        merged = {**env, **found.env}
        before = len(self.commands)
        self.installed.update(pair for text in found.requirements if (pair := parse_requirement(text)) is not None)
        if found.kind == "engine":
            self._note(
                Command(
                    engine=found.engine,
                    entry=found.entry,
                    argv=found.argv,
                    env=merged,
                    file=self.name,
                    line=line,
                    around=found.around,
                )
            )
        elif depth >= MAX_DEPTH:
            self.problems.append(
                Problem(self.name, line, "", f"scripts within scripts, deeper than {MAX_DEPTH}: not read")
            )
        elif found.kind == "shell":
            inner = Variables({n: (w,) for n, w in merged.items()}, set(merged))
            self.read(found.argv[0].text, inner, found.argv[0].line or line, depth + 1)
        else:
            self.container(found, line, merged, depth)
        self.add_circumstances(before, found.circumstances)
        if found.host:
            self.commands[before:] = [replace(c, host=c.host or found.host) for c in self.commands[before:]]

    def add_circumstances(self, before: int, noted: Sequence[Circumstance]) -> None:
        """Add what was noted around them to the commands that were read since there were `before` of them."""
        self.commands[before:] = [replace(c, circumstances=(*c.circumstances, *noted)) for c in self.commands[before:]]

    def container(self, found: Start, line: int, env: dict[str, Word], depth: int = 0) -> None:
        """Read `docker run` words: what the container starts has only the environment it was given."""
        made = read_docker_run(found.argv, env)
        unread = self.unread_env
        given: dict[str, Word] = {}
        of_files: list[Circumstance] = []
        for file in made.env_files:
            given |= self.environment_of(file.text)
            if found.entry in CONTAINERS and (there := self._find_file(file.text)) is not None:
                of_files += note_docker_file(there.text, file.text, there.line)
        if made.image is None:
            self.problems.append(Problem(self.name, line, "docker run", "no image among its words"))
            return
        entry = (made.entrypoint,) if made.entrypoint is not None and made.entrypoint.text else ()
        before = len(self.commands)
        inside = {**given, **made.env}
        # kubectl run and apptainer exec start their words themselves, whatever the image's own entry point is
        own = bool(entry) or found.entry.partition(" ")[0] not in CONTAINERS
        self.start_in_image(made.image, (*entry, *made.command), inside, line, gpus=made.gpus, depth=depth, own=own)
        noted = (*of_files, *note_container(made, found.entry, line))
        if any(DETACHED.fullmatch(name.text) for name, _ in made.options):
            self.commands[before:] = [replace(c, beside="shell") for c in self.commands[before:]]
        if noted and self.unread_env == unread and not any(name.text == "--env-host" for name, _ in made.options):
            noted += note_variables(env, inside, line)
        self.add_circumstances(before, noted)
        self.unread_env = unread

    def environment_of(self, path: str) -> dict[str, Word]:
        """Return what a file of NAME=value sets: of the same text, or beside it. A missing one is noted."""
        own = self._find_file(path)
        if own is None:
            self.unread_env = self.unread_env or path
            return {}
        return dict(read_environment_file(own.text, own.line))

    def _find_file(self, path: str) -> Text | None:
        """Return a file that the text itself writes, else the one that lies beside it."""
        own = self.files.get(path)
        text = None if own is not None else self.beside(path)
        return own if text is None else Text(text=text, file=path, line=1)

    def read_environment(self, path: str, line: int, variables: Variables) -> None:
        """Assign and export what a file of NAME=value sets."""
        for name, word in self.environment_of(path).items():
            variables.assign(name, (replace(word, line=word.line or line),), export=True)

    def start_in_image(
        self,
        image: Word,
        words: tuple[Word, ...],
        env: dict[str, Word],
        line: int,
        *,
        gpus: str = "",
        depth: int = 0,
        read_as: str = "",
        own: bool = True,
    ) -> None:
        """Read what an image is told to run; without a program it is the image's own engine.

        `own` False: the image's entry point stays in front of the words.
        """
        before = len(self.commands)
        found = find_start(words)
        if found is not None and not own and (program := entry_point_of(image.text)):
            facts = {"program": program, "words": " ".join(w.text for w in words[:MOST_SHOWN])}
            twice = Circumstance(id="entry_point_twice", subject=words[0].text, line=words[0].line or line, facts=facts)
            found = replace(found, circumstances=(*found.circumstances, twice))
        if found is None and (engine := image_engine(image.text)) in ("vllm", "llamacpp") and not _names_program(words):
            entry = "vllm serve" if engine == "vllm" else "llama-server"
            found = Start(kind="engine", engine=engine, entry=f"{entry} (the image's entry point)", argv=words)
        if found is not None:
            self.start(found, line, env, depth + 1)
        else:
            self.follow(words, env, depth + 1)
        self.commands[before:] = [
            replace(c, image=c.image or image, gpus=c.gpus or gpus, line=c.line or line, read_as=read_as)
            for c in self.commands[before:]
        ]

    def _note(self, command: Command) -> None:
        self.commands.append(
            replace(command, installed=dict(self.installed), files=dict(self.files), unread_env=self.unread_env)
        )

    def _statement(self, statement: Statement, variables: Variables, depth: int) -> None:
        first = statement.words[0].literal if statement.words else ""
        self.branches = self.branches or first in ("if", "case", "elif", "else")
        if first == "wait":
            self.ended = len(self.commands)
        assign_defaults(statement.words, variables)
        rest = self._assign(statement.words, variables)
        if rest is None:
            return
        leading = {
            a[0]: expand_to_one(a[2], variables)
            for raw in statement.words[: len(statement.words) - len(rest)]
            if (a := split_assignment(raw))
        }
        words = [w for raw in rest for w in expand_word(raw, variables)]
        self._write_file(words, statement.redirections, variables)
        if words and words[0].text in ("source", ".") and len(words) > 1:
            self.read_environment(words[1].text, words[1].line, variables)
            return
        if not words or self._builtin(words, rest, variables) or self._install(words):
            return
        if words[0].text == "for" and len(words) > 3:
            set_loop(words, variables)
            return
        if words[0].text == "read":
            read_into(words, statement.redirections, variables)
            return
        if words[0].text == "eval" and depth < MAX_DEPTH:
            self.read(" ".join(w.text for w in words[1:]), variables, words[0].line, depth + 1)
            return
        found = find_start(words)
        if found is None:
            self.follow(words, {**variables.environment(), **leading}, depth)
            return
        before = len(self.commands)
        env = {} if drops_environment(words) else {**variables.environment(), **leading}
        self.start(found, words[0].line, env, depth)
        noted = (*note_early(words, leading), *note_sudo(words, env, words[0].line))
        gpus, image = read_step_gpus(words) or self.job_gpus, read_step_image(words)
        # of two branches one runs, and the steps of a job get GPUs of their own
        alone = self.branches or PurePosixPath(words[0].text).name == "srun"
        beside = "shell" if statement.background and not alone else ""
        self.commands[: self.ended] = [replace(c, beside="") for c in self.commands[: self.ended]]
        self.commands[before:] = [
            replace(c, gpus=c.gpus or gpus, image=c.image or image, beside=c.beside or beside)
            for c in self.commands[before:]
        ]
        self.add_circumstances(before, noted)

    def _assign(self, raws: list[RawWord], variables: Variables) -> list[RawWord] | None:
        """Take leading assignments off; alone they change the variables, and None is returned."""
        count = 0
        while count < len(raws) and split_assignment(raws[count]) is not None:
            count += 1
        if count < len(raws) or not raws:
            return raws[count:]
        for raw in raws:
            self._set(raw, variables, export=False)
        return None

    def _set(self, raw: RawWord, variables: Variables, *, export: bool) -> None:
        found = split_assignment(raw)
        if found is None:
            return
        name, appends, value = found
        array = array_words(value, variables, self.name)
        words = array if array is not None else (expand_to_one(value, variables),)
        if appends:
            variables.append(name, words, array=array is not None)
        else:
            variables.assign(name, words)
        if export:
            variables.exported.add(name)

    def follow(self, words: Sequence[Word], env: dict[str, Word], depth: int) -> None:
        """Read on in a script that the words name, where the text writes it or it lies beside: `bash run.sh MODEL`."""
        named = find_script(words)
        if named is None or depth >= MAX_DEPTH or named[0].text in self.followed:
            return
        path, arguments = named
        self.followed.add(path.text)
        # a ConfigMap has file names, and the command the path of its mount
        own = next(
            (t for name, t in self.files.items() if name.rpartition("/")[2] == path.text.rpartition("/")[2]), None
        )
        there = own or self._find_file(path.text)
        if there is None:
            return
        inner = Variables({name: (word,) for name, word in env.items()}, set(env))
        inner.values |= {str(number): (word,) for number, word in enumerate(arguments, 1)}
        inner.values |= {"@": tuple(arguments), "*": tuple(arguments)}
        self.read(there.text, inner, there.line, depth + 1)

    def _builtin(self, words: list[Word], raws: list[RawWord], variables: Variables) -> bool:
        """`export A=b C`, `declare -x`, `unset`, `set -a`: what changes variables."""
        if words[0].text not in ("export", "declare", "typeset", "local", "readonly", "unset"):
            return False
        options = {w.text for w in words[1:] if w.text.startswith("-")}
        export = words[0].text == "export" or "-x" in options
        for raw in raws[1:]:
            for path in (text for part in raw.parts if part.kind == "command" for text in part.text.split()):
                if export and self._find_file(path) is not None:  # export $(grep -v '^#' .env | xargs)
                    self.read_environment(path, raw.line, variables)
            if split_assignment(raw) is not None:
                self._set(raw, variables, export=export)
            elif (name := raw.literal) and NAME.fullmatch(name):
                if words[0].text == "unset":
                    variables.values.pop(name, None)
                    variables.exported.discard(name)
                elif export:
                    variables.exported.add(name)
        return True

    def _install(self, words: list[Word]) -> bool:
        """`pip install NAME==VERSION`: what stands beside the release's own pins."""
        texts = [w.text for w in words]
        if "install" not in texts[:5] or not any(PurePosixPath(t).name in PIP for t in texts[:4]):
            return False
        self.installed.update(found for text in texts if (found := parse_requirement(text)) is not None)
        return True

    def _write_file(self, words: list[Word], redirections: list[Redirection], variables: Variables) -> None:
        """`cat > file <<EOF`, `tee file <<EOF`: the file that a later `--config` names."""
        bodies = [r for r in redirections if r.operator in ("<<", "<<-")]
        targets = [expand_to_one(r.target, variables).text for r in redirections if r.operator in (">", ">>", ">|")]
        if words and words[0].text == "tee":
            targets += [w.text for w in words[1:] if not w.text.startswith("-")]
        for document in bodies:
            self.documents.append(Text(text=document.body, file=self.name, line=document.body_line))
            if not targets and _reads_script(words):
                self.read(
                    document.body,
                    Variables(dict(variables.values), set(variables.exported)),
                    document.body_line,
                    MAX_DEPTH,
                )
            for target in targets:
                self.files[target] = Text(text=document.body, file=self.name, line=document.body_line)


def _reads_script(words: Sequence[Word]) -> bool:
    """Whether the words run what they read: `bash -s`, `ssh HOST`, `sudo bash`, `docker exec -i NAME sh`, `sbatch`."""
    names = [PurePosixPath(word.text).name for word in words]
    if not names or "-c" in names or any(name in NO_SHELL for name in names[:1]):
        return False
    if names[0] == "ssh":
        # behind the host either nothing, which is a shell, or a shell by name
        _, *rest = split_remote(words) or [Word("")]
        return not rest or any(PurePosixPath(word.text).name in SHELLS for word in rest)
    return names[0] == "sbatch" or any(name in SHELLS for name in names)


def read_script(text: str, name: str, beside: Beside = no_file) -> ShellReader:
    """Read every engine that the text of a shell script (or a single line) starts."""
    reader = ShellReader(name, beside)
    reader.job_gpus = read_job_gpus(text)
    reader.read(translate_script(text, name) if needs_translation(text, name) else text)
    for path, file in tuple(reader.files.items())[:MOST_WRITTEN]:
        # what it writes and another program runs: cloud tools, cron, a service
        if (
            file.text.startswith("#!")
            and path not in reader.followed
            and (STARTS.search(file.text) or "docker run" in file.text)
        ):
            reader.read(file.text, Variables(), file.line, 1)
    return reader


def _names_program(words: tuple[Word, ...]) -> bool:
    """Whether the words after an image begin with a program rather than with arguments of the image's own."""
    if not words:
        return False
    first = words[0].text
    if first.startswith("-"):
        return False
    known = ("bash", "sh", "python", "python3", "sleep", "tail", "nvidia-smi", "ls", "cat", "env")
    return PurePosixPath(first).name in known or first.startswith(("/bin/", "/usr/"))
