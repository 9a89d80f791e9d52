"""The parser and the function behind every verb, imported late: `glm-matrix show` must not wait for Docker."""

from __future__ import annotations

import argparse
import gc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cli.verb import Program
from matrix.errors import HostError

if TYPE_CHECKING:
    from matrix.preflight.checkpoints.files import CheckpointFiles
    from matrix.recommending.command import HostSurroundings
    from matrix.recommending.owned import Owned
    from matrix.recommending.ran import LastRun
    from matrix.yaml.loaded import Matrix


def matrix_verb(name: str) -> Callable[[], Program]:
    """Make a verb of `python -m matrix`."""

    def load() -> Program:
        from matrix import __main__ as command

        def main(words: Sequence[str]) -> int:
            gc.disable()  # 40,000 cells that all live until the end: looking for garbage is a sixth of the time
            return command.main([name, *words])

        return Program(lambda: take_subparser(command.make_parser(), name), main)

    return load


# not a plain verb of the matrix: only here are the user's folders known, which the matrix must not read
def load_show() -> Program:
    from matrix import __main__ as command

    def main(words: Sequence[str]) -> int:
        from fixtures.host.local_config import read_local
        from fixtures.launch.docker.image_lock import ImageLock
        from matrix.checkout import CHECKOUT
        from matrix.serving.places import ServingPlaces
        from matrix.yaml.load import load_matrix

        gc.disable()
        options = take_subparser(command.make_parser(), "show").parse_args(words)
        places = ServingPlaces(checkout=str(CHECKOUT), local=read_local(), read_images=ImageLock().read_all)
        return command.show_cell(load_matrix(), options, places)

    return Program(lambda: take_subparser(command.make_parser(), "show"), main)


def reports_verb(name: str) -> Callable[[], Program]:
    """Make a verb of `python -m reports`."""

    def load() -> Program:
        from reports import __main__ as command

        return Program(lambda: take_subparser(command.make_parser(), name), lambda words: command.main([name, *words]))

    return load


def take_subparser(parser: argparse.ArgumentParser, name: str) -> argparse.ArgumentParser:
    """Take the parser of one verb out of a parser with verbs."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) and name in action.choices:
            found: argparse.ArgumentParser = action.choices[name]
            return found
    raise KeyError(name)


def load_preflight() -> Program:
    from matrix.preflight import __main__ as preflight

    return Program(preflight.make_parser, preflight.main)


def load_why() -> Program:
    from cli.codes import why

    return Program(why.make_parser, why.main)


# checkpoints are read by fixtures and secrets hidden by reports: the matrix is handed both, and imports neither
def load_check() -> Program:
    from matrix.checking import command
    from reports.evidence.redact import redact_data

    return Program(command.make_parser, lambda words: command.main(words, _read_folder, redact_data))


def load_probe() -> Program:
    from suites.probing import command

    return Program(command.make_parser, command.main)


def load_upgrade() -> Program:
    from matrix.upgrading import command
    from reports.evidence.redact import redact_data

    return Program(command.make_parser, lambda words: command.main(words, _read_folder, redact_data))


def load_bisect() -> Program:
    from cli.bisecting import command

    def main(words: Sequence[str]) -> int:
        gc.disable()
        return command.main(words)

    return Program(command.make_parser, main)


def _read_folder(folder: Path) -> CheckpointFiles:
    """Read a checkpoint's folder: above the matrix, which judges what it holds."""
    from fixtures.weights.checkpoint_files import read_checkpoint

    return read_checkpoint(folder)


def load_recommend() -> Program:
    from matrix.recommending import command

    def main(words: Sequence[str]) -> int:
        gc.disable()
        return command.main(words, _look_around())

    return Program(command.make_parser, main)


def _look_around() -> HostSurroundings:
    """Read this host, directories of weights and own runs above the matrix; they are judged in it."""
    from matrix.recommending.command import HostSurroundings

    return HostSurroundings(host_rigs=_host_rigs, recognise=_recognise, own_runs=_own_runs, certified=_read_certified)


def _host_rigs() -> tuple[list[str], str]:
    from fixtures.host.detected import detect_host
    from matrix.yaml.load import load_matrix

    host = detect_host()
    return sorted(host.find_rigs(load_matrix().rigs.values())), host.describe()


def _recognise(matrix: Matrix, folder: Path) -> Owned:
    from fixtures.weights.recognise import recognise_checkpoint

    return recognise_checkpoint(matrix, folder)


def _own_runs() -> Mapping[str, LastRun]:
    from reports.evidence.ran import locate_own, summarise_files

    return summarise_files([locate_own()])


def _read_certified(registry: Path) -> Mapping[str, LastRun]:
    from reports.registry.ran import read_certified

    return read_certified(registry)


def load_parsers() -> Program:
    from matrix.parsers import command

    return Program(command.make_parser, command.main)


def load_facts() -> Program:
    from matrix.facts import __main__ as facts

    return Program(facts.make_parser, facts.main)


def load_plan() -> Program:
    from reports.planning import command

    return Program(command.make_parser, lambda words: command.main(words, _read_driver))


def _read_driver() -> str:
    from fixtures.host.detected import detect_host

    return str(detect_host().facts().get("driver") or "")


# a rig by its GPUs is read by the room that reads a user's own lines, which fixtures do not import
def load_doctor() -> Program:
    from fixtures.session import doctor
    from matrix.recommending.asked import name_rig

    return Program(doctor.make_parser, lambda words: doctor.main(words, name_rig))


def load_who() -> Program:
    from fixtures.host import who

    return Program(who.make_parser, who.main)


def load_reap() -> Program:
    from fixtures.session import reap

    return Program(reap.make_parser, reap.main)


def load_add() -> Program:
    from cli.adding import command

    return Program(command.make_parser, command.main)


def load_weights() -> Program:
    from fixtures.weights import locate

    return Program(locate.make_parser, locate.main)


def load_judge_checkpoint() -> Program:
    from fixtures.weights import checkpoint_files

    return Program(checkpoint_files.make_parser, checkpoint_files.main)


def load_patch() -> Program:
    from fixtures.weights import patching

    return Program(patching.make_parser, patching.main)


def load_overlay() -> Program:
    from fixtures.weights import overlay

    return Program(overlay.make_parser, overlay.main)


def load_venv() -> Program:
    from fixtures.launch.venv import build

    return Program(build.make_parser, build.main)


def load_image() -> Program:
    from fixtures.launch.docker import image_pin

    return Program(image_pin.make_parser, image_pin.main)


def load_canary() -> Program:
    from fixtures.canary import __main__ as canary

    return Program(canary.make_parser, canary.main)


def load_gguf() -> Program:
    from fixtures.canary.gguf import gguf

    return Program(gguf.make_parser, gguf.main)


def load_damage() -> Program:
    from fixtures.canary.derive import damage

    return Program(damage.make_parser, damage.main)


def load_llamacpp() -> Program:
    # help needs the options alone, and must not wait for llama.cpp's library
    from fixtures.llamacpp import options

    def main(words: Sequence[str]) -> int:
        from fixtures.llamacpp.__main__ import main  # loads llama.cpp's library

        return main(words)

    return Program(options.make_parser, main)


def load_load() -> Program:
    from fixtures.workload import command

    return Program(command.make_parser, command.main)


def load_load_bench() -> Program:
    from fixtures.traffic import bench

    return Program(bench.make_parser, bench.main)


def load_mock_server() -> Program:
    from fixtures.traffic import mock_server

    return Program(mock_server.make_parser, mock_server.main)


def load_snapshot() -> Program:
    from lab.snapshot import __main__ as snapshot

    return Program(snapshot.make_parser, snapshot.main)


def load_record_references() -> Program:
    from lab.references import record_references

    return Program(record_references.make_parser, _with_lab_extra(record_references.main))


def load_record_recordings() -> Program:
    from lab.references import record_recordings

    return Program(record_recordings.make_parser, record_recordings.main)


def load_tolerances() -> Program:
    from lab.references import tolerances

    return Program(tolerances.make_parser, tolerances.main)


def load_prompt_seed() -> Program:
    from lab.references import choose_undecided_prompt

    return Program(choose_undecided_prompt.make_parser, _with_lab_extra(choose_undecided_prompt.main))


def load_train_canary() -> Program:
    from lab.canary_training import options

    def main(words: Sequence[str]) -> int:
        from lab.canary_training.__main__ import main

        return main(words)

    return Program(options.make_parser, _with_lab_extra(main))


def load_known_wrong() -> Program:
    from lab.canary_training import options

    def main(words: Sequence[str]) -> int:
        from lab.canary_training.known_wrong import main

        return main(words)

    return Program(options.known_wrong_parser, _with_lab_extra(main))


EXTRA = frozenset({"torch", "transformers", "safetensors"})  # requirements/lab.in


def _with_lab_extra(main: Callable[[Sequence[str]], int]) -> Callable[[Sequence[str]], int]:
    """Return the same, with an error that says how to install what only the lab needs."""

    def run(words: Sequence[str]) -> int:
        try:
            return main(words)
        except ModuleNotFoundError as error:
            # any other missing module is a fault of this checkout, and its traceback says which
            if error.name not in EXTRA:
                raise
            advice = "install it with: .venv/bin/uv pip install --python .venv/bin/python -r requirements/lab.in"
            raise HostError(f"this verb needs {error.name}, which only maintainers need; {advice}") from error

    return run


def load_recipe() -> Program:
    from ci.recipes import command

    return Program(command.make_parser, command.main)


def load_submit() -> Program:
    from fixtures.fleet import command

    return Program(command.make_parser, command.main)


def load_fleet() -> Program:
    from fixtures.fleet import follow

    return Program(follow.make_parser, follow.main)
