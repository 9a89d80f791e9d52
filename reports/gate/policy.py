r"""Reads what must be green from a YAML file, and expands it over the current matrix.

title: Every CPU cell on the embedded engine
require:
  - marks: cpu and not transformers      # a `-m` expression over the cells
    glob: "cpu.*"                        # and/or a glob over cell ids
    when: {canary: true, without: [mtp]} # and/or a condition, as recipes have it
    suites: [boot, coherence, needle]    # each must report something real for each of these cells
    tests: [test_invents_no_needle]
allow: [PASS, MEASURED, XFAIL]           # statuses that do not turn it red
unproven:                                # features that were asked for and not seen to work
  - {cells: "cpu.*", features: [chunked_prefill], owner: me, why: only speed shows it, until: 2027-01-31}
predictions:                             # what a feature must change beside the same cell without it, and did not
  - {cells: "cpu.*", features: [indexcache], signature: "indexcache does not change bytes as predicted",
     owner: me, why: the pool is shared, until: 2027-01-31}
attached:                                # engines that somebody else started (--endpoint)
  - {cells: "cpu.*", owner: me, why: I started it by hand, until: 2027-01-31}
allow_tags:                              # images that were launched by a tag, which somebody may move
  - {image: "vllm/vllm-openai:*", owner: me, why: recorded before images had pins, until: 2027-01-31}
speed_unasked:                           # cells whose tests of throughput left no result; never of another suite
  - {cells: "sm90x1.*", owner: me, why: engines shared the GPU throughout, until: 2027-01-31}
identity:                                # parts of an attached server (--accept-identity) that may be another's
  - {cells: "cpu.llamacpp_*", parts: [version], owner: me, why: it tells a build number only, until: 2027-01-31}
not_replayed:                            # cells whose replies were not kept, each by name and until a day
  - {cells: "sm90x1_h100.*", owner: me, why: recorded before replies were kept, until: 2027-01-31}
accepted:                                # evidence that is of another source, or does not say: see `Accepted`
  - {what: another_commit, of: "8b0f908*", owner: me, why: nothing that it ran has changed, until: 2027-01-31}
not_run:                                 # launches that may fail as a known failure says, each by name
  - {known_failure: sglang_gptq_experts_in_bf16, cells: "sm90x1*.sglang_*", owner: me, until: 2027-01-31}
shutdown:                                # engines that crash while they are being stopped
  - {cells: "cpu.*", signature: "ended by SIGSEGV when it was stopped: free.* invalid pointer",
     issue: "https://example.org/1", owner: me, until: 2027-01-31}
flakes:                                  # failures that `pytest --retry-of RUN` may answer, while they are rare
  - {cells: "cpu.*", tests: [test_invents_no_needle], signature: 'needle\.not_invented: NOT OK gave \[',
     issue: "https://example.org/1", owner: me, rate: 0.02, least_asked: 50, until: 2027-01-31}
throughput: {baseline: ../baselines}     # earlier launches that speed is held against; without, it is told only.
                                         # `release: sglang_0_5_17` holds it against those of that release
depth: quick                             # or first, full, release: what its cells owe, and the least that a run asked
depth_unknown:                           # cells whose runs do not say their depth, each by name and until a day
  - {cells: "sm90x1_h100.*", owner: me, why: recorded before runs said it, until: 2027-01-31}
max_age_h: 24                            # of the run, in hours
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from matrix.errors import ConfigError, Problem, suggest_nearest
from matrix.judging.requested import read_requested
from matrix.judging.roofline import find_bounds
from matrix.judging.status import GREEN, Status
from matrix.known.failures import LAUNCH, select_of_cell
from matrix.model import Cell, Release
from matrix.output import script as shell
from matrix.planning.beside import find_bases, list_owed
from matrix.planning.owed import Depth, Owed, read_owed
from matrix.planning.plan import make_plan
from matrix.yaml import yamltext
from matrix.yaml.document import Document, Loc
from matrix.yaml.loaded import Matrix
from matrix.yaml.structure import structure_data
from reports.compare import baselines
from reports.compare.baselines import Baseline
from reports.compare.earlier_release import name_sibling
from reports.expected import ExpectedCell
from reports.gate.allowances import (
    AcceptedIdentity,
    AllowedTag,
    Attached,
    FailedStop,
    NotReplayed,
    NotRun,
    UnaskedSpeed,
    Unpredicted,
    Unproven,
    find_allowance_problems,
    find_unmatched_allowances,
)
from reports.gate.clauses import Flake, Throughput, find_flake_problems, find_unmatched_flakes
from reports.gate.depth import DepthUnknown, find_unmatched_depths
from reports.gate.policy_accepted import Accepted, find_accepted_problems, find_unmatched_accepted
from reports.gate.policy_lint import (
    Names,
    find_ageless,
    find_endless,
    find_unaskable,
    find_unknown_names,
    find_wrong_numbers,
)
from reports.gate.requirement import Requirement, compile_requirement, find_wrong_requirement, list_candidates

NEVER_ALLOWED = frozenset(
    {
        Status.FAIL,
        Status.CRASH,
        Status.HANG,
        Status.XPASS,
        Status.TEST_ERROR,
        Status.HOST_ERROR,
        Status.MISSING,
        Status.NOT_ASKED,
        Status.FLAKE,
    }
)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A gate, as its file describes it."""

    title: str
    require: tuple[Requirement, ...]
    max_age_h: float
    allow: tuple[Status, ...] = (Status.PASS, Status.MEASURED, Status.XFAIL)
    unproven: tuple[Unproven, ...] = ()  # else a feature that nothing proves is red
    predictions: tuple[Unpredicted, ...] = ()  # else a prediction that does not hold, or is not judged, is red
    attached: tuple[Attached, ...] = ()  # else an engine that somebody else started is red
    allow_tags: tuple[AllowedTag, ...] = ()  # else an image that was launched without a digest is red
    speed_unasked: tuple[UnaskedSpeed, ...] = ()  # else an owed test of throughput that left no result is red
    identity: tuple[AcceptedIdentity, ...] = ()  # else what the user accepted of an attached server is red
    not_replayed: tuple[NotReplayed, ...] = ()  # else what cannot be judged again from its replies is red
    accepted: tuple[Accepted, ...] = ()  # else evidence of another source, or of an unknown one, is red
    depth: Depth = "quick"  # of what cells owe, and the least that a run asked
    depth_unknown: tuple[DepthUnknown, ...] = ()  # else a run that does not say its depth is red
    not_run: tuple[NotRun, ...] = ()  # else a cell that did not run, as known, is red
    shutdown: tuple[FailedStop, ...] = ()  # else an engine that crashed while it was being stopped is red
    flakes: tuple[Flake, ...] = ()  # else a failure is red although a retry did not show it again
    throughput: Throughput | None = None  # else speed is told and not judged


def load_policy(path: Path, owed: Owed | None = None) -> tuple[Policy, Document]:
    """Load a policy and its document (for line numbers). `owed`: what the suites ask, by default the generated table.

    Raises:
        ConfigError: every problem of the file, with its line and the nearest valid word.
    """
    doc = yamltext.require_document(path, str(path))
    problems: list[Problem] = []
    policy = structure_data(Policy, doc, doc.data, (), problems)
    problems += [*find_wrong_numbers(doc), *find_endless(doc, datetime.now(UTC).date())]
    if policy:
        problems += [*find_ageless(doc, policy.max_age_h), *_find_unallowable(doc, policy)]
        problems += find_unknown_names(doc, _iterate_names(policy), owed or read_owed())
    if policy is None or problems:
        raise ConfigError(problems)
    return policy, doc


def _explain_unallowable(status: Status) -> str:
    """Explain why no policy can allow a status; empty for one that an engine's answer gave."""
    if status is Status.FLAKE:
        return "is allowed by name, with a rate, see `flakes`"
    if status is Status.NOT_RUN_AS_KNOWN:
        return "is allowed by name, see `not_run`"
    if status in NEVER_ALLOWED:
        return "can never be allowed; a deviation goes into known_failures.yaml"
    if status not in GREEN:
        return (
            "can never be allowed: no engine was asked what it could have failed; require fewer tests, or the hardware"
        )
    return ""


def _find_unallowable(doc: Document, policy: Policy) -> Iterator[Problem]:
    for i, status in enumerate(policy.allow):
        if why := _explain_unallowable(status):
            yield doc.problem(("allow", i), f"{status} {why}")
    yield from find_allowance_problems(doc, vars(policy))
    yield from find_flake_problems(doc, policy.flakes)
    yield from find_accepted_problems(doc, policy.accepted)
    if not policy.require:
        yield doc.problem(("require",), "a gate that requires nothing is always green")


def _iterate_names(policy: Policy) -> Iterator[tuple[Loc, Names]]:
    """Yield every requirement that names suites or tests, with its place; flakes have their own check."""
    yield from ((("require", i), clause.names) for i, clause in enumerate(policy.require))


def expect_cells(policy: Policy, doc: Document, matrix: Matrix, owed: Owed | None = None) -> tuple[ExpectedCell, ...]:
    """List the cells that the policy requires of this matrix, each with everything required of it.

    Raises:
        ConfigError: a requirement names a mark, id or condition that no runnable cell has, or what is never asked.
    """
    table = owed or read_owed()
    cells = list_candidates(matrix, policy.require)
    problems = [
        doc.problem(("require", i, *loc), message)
        for i, wanted in enumerate(policy.require)
        for loc, message in find_wrong_requirement(wanted, matrix, cells)
    ]
    if problems:
        raise ConfigError(problems)
    chosen: dict[Cell, list[Requirement]] = {}
    wanted_of = [(i, wanted, [*filter(compile_requirement(wanted), cells)]) for i, wanted in enumerate(policy.require)]
    for _, wanted, own in wanted_of:
        for cell in own:
            chosen.setdefault(cell, []).append(wanted)
    bases = find_bases(chosen, policy.depth)  # the policy's own cells: whatever else ran with them carries none of them
    for i, wanted, own in wanted_of:
        unaskable = find_unaskable(wanted.names, own, table, policy.depth, bases)
        problems += (doc.problem(("require", i, *loc), message) for loc, message in unaskable)
    if problems:
        raise ConfigError(problems)
    wrong = [doc.problem(("not_run", i, *loc), why) for i, loc, why in _find_wrong_not_run(policy, matrix, [*chosen])]
    wrong += find_unmatched_accepted(doc, policy.accepted, [c.id for c in chosen])
    wrong += find_unmatched_depths(doc, policy.depth_unknown, [c.id for c in chosen])
    wrong += find_unmatched_allowances(doc, vars(policy), [*chosen])
    if wrong:
        raise ConfigError(wrong)
    if odd := [doc.problem(loc, why) for loc, why in find_unmatched_flakes(policy.flakes, [c.id for c in chosen])]:
        raise ConfigError(odd)
    release = _find_release(policy, doc, matrix, [*chosen])
    alone = (make_expected(matrix, cell, wants) for cell, wants in chosen.items())
    made = [_add_owed(e, table, policy.depth, c, bases.get(c)) for e, c in zip(alone, chosen, strict=True)]
    if release is None:
        return tuple(made)
    return tuple(replace(one, sibling=name_sibling(cell, release)) for one, cell in zip(made, chosen, strict=True))


def _find_release(policy: Policy, doc: Document, matrix: Matrix, cells: Sequence[Cell]) -> Release | None:
    """Find the earlier release that the clause `throughput` names; None where it names none.

    Raises:
        ConfigError: there is no such release, or no required cell is another release of its engine.
    """
    name = policy.throughput.release if policy.throughput else ""
    if not name:
        return None
    release = matrix.releases.get(name)
    if release is None:
        why = f"there is no release {name!r}{suggest_nearest(name, matrix.releases)}"
    elif not any(name_sibling(cell, release) for cell in cells):
        why = f"no required cell is another release of {release.engine}, so {name} would judge nothing"
    else:
        return release
    raise ConfigError([doc.problem(("throughput", "release"), why)])


def _add_owed(made: ExpectedCell, table: Owed, depth: Depth, cell: Cell, base: Cell | None) -> ExpectedCell:
    """Add what the cell owes; beside its base it owes less, and the base must be right about the rest."""
    owed = list_owed(table, cell, depth, base)
    carried = dict.fromkeys(i.test for i in table.asked_of(cell, depth) if i not in owed)
    nodeids = tuple(i.nodeid(cell.id) for i in owed)
    return replace(made, owed=nodeids, base=base.id if base else "", carried=tuple(carried))


def read_baseline(policy: Policy, doc: Document, folder: Path) -> Baseline | None:
    """Read the earlier launches that the policy names, relative to its folder; None where it names none.

    Raises:
        ConfigError: there is no such file or folder, or it holds no evidence.
    """
    if policy.throughput is None:
        return None
    path = folder / policy.throughput.baseline
    if not path.exists():
        why = f"there is no file or folder {path} of earlier launches"
        raise ConfigError([doc.problem(("throughput", "baseline"), why)])
    return baselines.read_baseline([path])


def _find_wrong_not_run(policy: Policy, matrix: Matrix, cells: Sequence[Cell]) -> Iterator[tuple[int, Loc, str]]:
    """Yield each allowance that names no launch which could fail so."""
    known = {k.value.id: k for k in matrix.known_failures if k.value.fails.at in LAUNCH}
    for i, clause in enumerate(policy.not_run):
        entry = known.get(clause.known_failure)
        if entry is None:
            hint = suggest_nearest(clause.known_failure, known)
            yield i, ("known_failure",), f"no known failure about a launch is {clause.known_failure!r}{hint}"
        elif not any(fnmatchcase(c.id, clause.cells) and entry.condition(c.facts) for c in cells):
            yield i, ("cells",), f"{clause.cells!r} matches no required cell that {clause.known_failure} speaks about"


def make_expected(
    matrix: Matrix, cell: Cell, required: Sequence[Requirement] = (), owed: Sequence[str] = ()
) -> ExpectedCell:
    """Make an expected cell from today's plan, with everything that is required of it."""
    made = make_plan(matrix, cell)
    return ExpectedCell(
        id=cell.id,
        facts=cell.facts,
        features=cell.features,
        varied=frozenset(name for name in cell.features if matrix.features[name].varies),
        fingerprint=made.fingerprint,
        wanted=read_requested(made),
        rig=cell.rig,
        release=cell.release,
        revision=cell.checkpoint.revision or "",
        dialect=cell.engine.dialect,
        script=shell.render_script(made),
        owed=tuple(owed),
        suites=tuple(dict.fromkeys(s for r in required for s in r.suites)),
        tests=tuple(dict.fromkeys(t for r in required for t in r.tests)),
        bounds=find_bounds(cell, (c.value for c in matrix.claims), matrix.rigs, matrix.checkpoints),
        known_failures={k.value.id: k.value for k in select_of_cell(matrix, cell)},
    )
