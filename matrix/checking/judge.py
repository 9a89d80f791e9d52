"""A command, a release, GPUs and a checkpoint -> one judgement, the worst first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from matrix.checking.as_before import judge_as_before
from matrix.checking.bounds import judge_bounds
from matrix.checking.buckets import judge_buckets
from matrix.checking.checkpoint_findings import tell_remarks
from matrix.checking.circumstances import judge_circumstances, split_glued
from matrix.checking.closed_names import judge_names
from matrix.checking.environment_values import judge_environment_values
from matrix.checking.facts import collect_facts
from matrix.checking.finding import CheckFinding, LineJudgement, make_finding, sort_findings
from matrix.checking.image_tag import judge_image_tag
from matrix.checking.known_failures import find_known
from matrix.checking.launchers import Command
from matrix.checking.llama_line import judge_llama
from matrix.checking.memory import judge_memory
from matrix.checking.model_config import Model, describe_model
from matrix.checking.model_word import judge_model_word
from matrix.checking.overrides import judge_sharing
from matrix.checking.parser_answers import judge_parsers
from matrix.checking.parser_findings import judge_words
from matrix.checking.releases import AskedRelease, release_of_image, release_of_requirement
from matrix.checking.rigs import Host
from matrix.checking.rules import Check, fill_holes, find_applying, find_undecided, read_checks
from matrix.checking.settings import UNKNOWN, Settings, config_words, read_settings
from matrix.checking.variables import Word
from matrix.checking.worded import judge_worded
from matrix.preflight.guards import read_guards
from matrix.preflight.verdict import Remark

SHOWN: Final = (
    "kv",
    "attention",
    "dsa_prefill",
    "dsa_decode",
    "moe",
    "moe_layer",
    "fp4_gemm_chosen",
    "fp8_gemm_chosen",
    "draft_moe",
    "draft_moe_layer",
    "page",
    "indexer_layers",
    "stage_starts",
)
GPUS: Final = "the GPUs (--rig or --gpus)"
WAITING: Final = {
    "sm": GPUS,
    "gpus": GPUS,
    "sm_family": GPUS,
    "fabric": GPUS,
    "version": "a release (--release)",
    "guard": "a release that was read (--release)",
    "pins": "exact pins (--installed)",
    "format": "the weight format (--config)",
}
GIVEN: Final = {
    "kv": "kv_given",
    "dsa_prefill": "dsa_prefill_given",
    "dsa_decode": "dsa_decode_given",
    "moe": "moe_given",
    "draft_moe": "draft_moe_given",
    "page": "page_size",
    "attention": "attention_backend",
}


@dataclass(frozen=True, kw_only=True)
class CheckRequest:
    """What the user says beside the command. `files`: texts of configuration files that the command names, by path."""

    release: AskedRelease | None = None
    host: Host | None = None
    config: Mapping[str, Any] | None = None
    tensors: frozenset[str] = frozenset()
    size_bytes: int = 0
    json_names: frozenset[str] | None = None  # of the checkpoint's folder; None: not known
    installed: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    remarks: Sequence[Remark] = ()  # of the checkpoint linter about the checkpoint's files
    dense: bool = False  # a patch of the engine takes sparse attention out
    thinks_always: bool = False  # the template has no switch, whatever the name says


@dataclass(frozen=True, kw_only=True)
class Examined:
    """A command as one release understands it: everything that a judgement is made of."""

    command: Command
    release: AskedRelease
    host: Host | None
    model: Model
    settings: Settings
    facts: Mapping[str, Any]
    findings: tuple[CheckFinding, ...]


def examine_command(command: Command, asked: CheckRequest) -> Examined:
    """Collect the facts of one command and everything found about it: parser, pairs, overrides, memory, known
    failures."""
    command = split_glued(command)
    release, findings = _choose_release(command, asked)
    installed = {**command.installed, **asked.installed}
    # the release itself is judged by its version; as an installed package it would be compared with its own pins
    for own in ("sglang", "vllm"):
        installed.pop(own, None)
    snapshot = release.nearest_snapshot()
    # twice: the line says where the file is, and the file's entries are read together with the line's
    first = read_settings(command, snapshot)
    words, extra, from_file = _config_file(command, first, asked, release)
    findings += from_file
    settings = read_settings(command, snapshot, words) if words else first
    # CUDA_VISIBLE_DEVICES or --gpus hides some of the host: eight GPUs of which a container sees four are four
    host = _visible(asked.host, command)
    model = describe_model(_read_model_name(settings), asked.config, asked.tensors, asked.size_bytes)
    model = replace(model, thinks_always=model.thinks_always or asked.thinks_always, json_names=asked.json_names)
    facts = collect_facts(
        command, release, model, settings, host=host, installed=installed, extra=extra, dense=asked.dense
    )
    # first: words that never reach the engine are the cause of what follows
    findings += judge_circumstances(command, facts, release, model.size_bytes)
    # bare options of --release llamacpp are the embedded engine's, which has one; llama-server has no Python parser
    if command.engine == "llamacpp" and not command.entry.startswith("llamacpp"):
        findings += judge_llama(command)
    else:
        findings += judge_words(command, release, settings, str(facts["architecture"]), installed)
    # with the facts as they were: afterwards the value that the release replaced is gone
    findings += [_of_check(check, before, settings) for check, before in facts["settled"]]
    findings += [_of_check(check, facts, settings) for check in find_applying(facts, read_checks(command.engine))]
    findings += judge_as_before(facts, release, settings, _of_check)
    findings += judge_image_tag(command, release)
    findings += judge_bounds(facts, settings)
    findings += judge_worded(facts, settings, snapshot)
    findings += judge_buckets(facts, settings)
    findings += judge_names(facts, settings, snapshot)
    findings += judge_model_word(facts, settings)
    findings += judge_environment_values(command, release)
    findings += judge_sharing(facts, model, settings)
    limit = next((int(c.facts["bytes"]) for c in command.circumstances if c.id == "container_memory"), 0)
    findings += judge_memory(facts, model, host, settings, limit=limit)
    findings += judge_parsers(facts, release, settings)
    findings += find_known(facts, model, release)
    findings += _assumptions(model, asked)
    findings += _partly_read(command)
    # after the rest: it leaves out what the findings so far have said of sharing
    findings += tell_remarks(asked.remarks, frozenset(f.id for f in findings))
    return Examined(
        command=command,
        release=release,
        host=host,
        model=model,
        settings=settings,
        facts=facts,
        findings=sort_findings(findings),
    )


def judge_command(command: Command, asked: CheckRequest) -> LineJudgement:
    """Judge one command, the worst first."""
    return judge_examined(examine_command(command, asked))


def judge_examined(found: Examined, more: Sequence[CheckFinding] = ()) -> LineJudgement:
    """Judge a command whose facts are collected. `more`: what was found about it beside other commands."""
    facts, command = found.facts, found.command
    waiting = find_undecided(facts, read_checks(command.engine))
    return LineJudgement(
        command=command,
        release=found.release.name,
        rig=str(found.host) if found.host else "",
        model=shown_model(found.model),
        findings=sort_findings((*found.findings, *more)) if more else found.findings,
        derived={
            name: facts[name]
            for name in SHOWN
            if facts.get(name) not in (None, UNKNOWN) and _derived(name, facts, found.settings)
        },
        why={name: str(why) for name, why in facts["why"].items() if name in SHOWN},
        undecided=len(waiting),
        waits_for=tuple(dict.fromkeys(WAITING[f] for fs in waiting.values() for f in fs if f in WAITING)),
    )


def _choose_release(command: Command, asked: CheckRequest) -> tuple[AskedRelease, list[CheckFinding]]:
    """Return the release that the user named, else the one that the text names, and a finding if they contradict."""
    named = release_of_image(command.image.text) if command.image is not None else None
    # a command may run another engine than the image is called after
    named = named if named is not None and named.engine == command.engine else None
    if named is None or not named.version:
        # an image without a version still says that it is a fork: kept where pip names nothing better
        named = release_of_requirement(command.engine, dict(command.installed)) or named
    if asked.release is None:
        return named or AskedRelease(engine=command.engine, version="", by="the text"), []
    if named is None or not named.version or named.version == asked.release.version:
        return asked.release, []
    more = {"named": f"{named.name} ({named.by})", "asked": asked.release.name}
    return asked.release, [make_finding("releases_disagree", more, named.by, line=command.line)]


def _config_file(
    command: Command, settings: Settings, asked: CheckRequest, release: AskedRelease
) -> tuple[tuple[Word, ...], Mapping[str, Any] | None, list[CheckFinding]]:
    """Read the file behind `--config`: words of a flat one (SGLang, vLLM), data of a nested one (TensorRT-LLM).

    None for the data: there is such a file, and it could not be read here.
    """
    path = settings.value("config_file")
    if not isinstance(path, str):
        return (), {}, []
    # a ConfigMap has file names, and the command the path of its mount
    own = command.files.get(path) or next((t for name, t in command.files.items() if path.endswith(f"/{name}")), None)
    text = own.text if own is not None else asked.files.get(path)
    subject, line = settings.written("config_file"), settings.line("config_file")
    if text is None:
        # None, not {}: an absent file may set anything, and its defaults are not the engine's
        return (), None, [make_finding("config_file_absent", {}, subject, line=line, path=path)]
    from matrix.checking.yaml_nodes import compose_documents, make_plain  # late: most lines name no file

    documents, problems = compose_documents(text, path)
    data = make_plain(documents[0]) if documents else {}
    if problems or not isinstance(data, dict):
        at = max(problems[0].line, 1) if problems else 1
        what = problems[0].message if problems else "expected a mapping of option names to values"
        told = make_finding(
            "config_file_unreadable", {"line": at + (own.line - 1 if own else 0)}, subject, path=path, problem=what
        )
        return (), None, [told]
    if command.engine == "trtllm":
        from matrix.checking.file_keys import find_overridden, judge_file_keys

        offset = own.line - 1 if own is not None else None
        of_keys = [*judge_file_keys(documents[0], path, release, offset)] if documents else []
        return (), data, [*of_keys, *find_overridden(settings, data, path, release)]
    # an entry `config` would name a further file, which nothing here has read
    data.pop("config", None)
    return config_words(data), {}, []


def _visible(host: Host | None, command: Command) -> Host | None:
    """Return the GPUs that the command can see: fewer than the host's where the text says so."""
    if host is None:
        return None
    listed = command.env.get("CUDA_VISIBLE_DEVICES")
    count = (
        len({d.strip() for d in listed.text.split(",") if d.strip()})
        if listed is not None and listed.known and listed.text.strip()
        else 0
    )
    given = command.gpus.removeprefix("device=").strip("\"'")
    if not count and given.isdigit():
        # device=3 is one GPU, 3 are three
        count = 1 if command.gpus.startswith("device=") else int(given)
    elif not count and "," in given:
        count = len(given.split(","))
    # more devices than the host has is a slip of the text, not more GPUs
    if 0 < count < host.gpus:
        return Host(sm=host.sm, gpus=count, name=host.name, vram_bytes=host.vram_bytes, fabric=host.fabric)
    return host


def _read_model_name(settings: Settings) -> str:
    value = settings.value("model")
    return value if isinstance(value, str) else ""


def _with_guard(check: Check, facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """Add the whole words of the release's guard, and where they stand."""
    guard = next((g for g in facts["guards"] if any(words in g.says for words in check.guard)), None)
    if guard is None:
        return facts
    return {**facts, "guard_says": guard.says, "guard_at": read_guards(facts["engine"]).cite(guard)}


def _of_check(check: Check, facts: Mapping[str, Any], settings: Settings) -> CheckFinding:
    facts = _with_guard(check, facts) if check.guard else facts
    given = [name for name in check.subject if name in settings.given]
    # the words that are really on the line; where the check is about silence, the usual flag
    subject = tuple(dict.fromkeys(settings.written(name) for name in given)) or (settings.written(check.subject[0]),)
    return CheckFinding(
        id=check.id,
        level=check.level,
        subject=subject,
        cause=fill_holes(check.cause, facts),
        consequence=fill_holes(check.consequence, facts),
        remedy=fill_holes(check.remedy, facts),
        decided_by=replace(check.decided_by, fact=fill_holes(check.decided_by.fact, facts))
        if check.guard
        else check.decided_by,
        sources=check.sources,
        conflict=check.conflict,
        line=settings.given[given[0]].line if given else 0,
    )


def _assumptions(model: Model, asked: CheckRequest) -> Iterator[CheckFinding]:
    # a name that nobody published: everything below was judged as if it were a GLM-5, which must be said
    if asked.config is None and not model.family:
        name, architecture = model.name or "The line", model.config["architectures"][0]
        yield make_finding("checkpoint_assumed", {}, model.name or "no model", name=name, architecture=architecture)


def _partly_read(command: Command) -> Iterator[CheckFinding]:
    """List the parts of the text that were not here or were read by guess."""
    if command.unread_env:
        yield make_finding("environment_file_absent", {}, command.unread_env, path=command.unread_env)
    if command.read_as:
        yield make_finding("form_read_by_names", {}, command.entry, what=command.read_as)


def shown_model(model: Model) -> str:
    what = f"{model.family or model.config['architectures'][0]} {model.format}".strip()
    by = "config.json given" if model.given else "by its name" if model.family else "assumed"
    return f"{what} ({by})"


def _derived(name: str, facts: Mapping[str, Any], settings: Settings) -> bool:
    """Whether the engine, and not the line, set it."""
    given = GIVEN.get(name)
    # a given value that the release replaced is the engine's choice, too
    return given is None or given not in settings.given or facts.get(name) != facts.get(given)
