"""python -m tests.suites.reaching: write matrix/reach.json, how far each suite test reaches.

Every suite test is run as a plain function, at every depth and with every plan's settings, against a client that
answers nothing right or wrong: it notes what it is asked. Long prompts are not made, only their length is; the others
are rendered and counted by the canary's own template and tokenizer.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest

from fixtures.banks import bank_for
from fixtures.banks.item import Item
from fixtures.client.client import Client, EngineRefused
from fixtures.client.reply import Reply, ToolCall
from matrix.errors import ConfigError
from matrix.known.reach import COMMAND, FILE, ReachRequest, keep_frontier
from matrix.model import Cell, Checkpoint
from matrix.planning.expand import expand_matrix
from matrix.planning.owed import asked_by_marks
from matrix.planning.plan import Plan, make_plan
from matrix.yaml.load import load_matrix
from reports.compare.baselines import Baseline
from reports.evidence.finding import Finding
from suites import test_effective
from suites.asking.as_many import AsMany
from suites.asking.depth import DEPTHS, Depth
from suites.measure import loads, speed
from suites.measure.baseline_with_relaunch import Load, MeasuredInputs
from suites.measure.references import WEIGHTS
from suites.measure.rendering import make_encoder
from tests.faults.stub.refusals import read_request
from tests.suites import world

PARTS = ("context", "chunk_tokens", "page_tokens", "index_topk", "max_running_requests", "thinking")  # lengths follow
MODULES = (*world.MODULES, test_effective)
UNDECIDED_TOKENS = 2952  # of the undecided prompt at index_topk 2048, suites/data/canary_references.json
Written = dict[str, dict[str, dict[str, list[list[int | bool]]]]]


class Notes(list[ReachRequest]):
    """What a test asked."""

    def note(self, item: Item, *, at_once: int = 1, thinking: bool = False) -> None:
        users = sum(m.get("role") == "user" for m in item.messages)
        self.append(ReachRequest(count_tokens(item), at_once, max(1, users), thinking))


@cache
def _encoder() -> Any:
    return make_encoder(WEIGHTS)


def count_tokens(item: Item) -> int:
    """By the canary's tokenizer; what was never written out has the length that was asked for."""
    if item.kind == "length":
        return item.tokens_prompt_about or 0
    if item.id not in _COUNTED:
        _COUNTED[item.id] = len(_encoder()(item))
    return _COUNTED[item.id]


_COUNTED: dict[str, int] = {}  # by item: ids name one text for ever
SAME_FOR_PLANS = frozenset({"bank", "client", "client_bank", "depth", "evidence", "rendered"})  # as `noted` gives them
THINKING_ROUTES = ("/v1/responses", "/v1/messages")  # by default
CODE = "3fa91c"  # that a needle's answer is looked through for


@cache
def of_length(tokens: int, turns: int = 1) -> Item:
    said = {"role": "user", "content": f"The code is {CODE}."}
    name = f"length.{tokens}.{turns}"
    return Item(id=name, kind="length", messages=(said,) * turns, answer=CODE, tokens_prompt_about=tokens)


@dataclass(frozen=True)
class Lengths:
    """A bank whose long prompts are only their lengths."""

    bank: Any
    asked: dict[str, Any] = field(default_factory=dict)

    def needle(self, *, tokens: int, **_: Any) -> Item:
        return of_length(tokens)

    def no_needle(self, *, tokens: int, **_: Any) -> Item:
        return of_length(tokens)

    def needle_tier(self, _tier: str, *, tokens: int, **_: Any) -> Item:
        return of_length(tokens)

    def long_turns(self, *, tokens: int, turns: int, **_: Any) -> tuple[Item, ...]:
        return tuple(of_length(tokens, turn) for turn in range(1, turns + 1))

    def long_call(self, *, tokens: int, **_: Any) -> Item:
        return of_length(tokens)

    def load_prompts(self, n: int, *, tokens: int) -> tuple[Item, ...]:
        return (of_length(tokens),) * n

    def __getattr__(self, name: str) -> Any:
        """Everything else is the bank's own, and each call is made once: it is frozen."""
        return self.asked.setdefault(name, cache(getattr(self.bank, name)))


class NotingClient(Client):
    """A client that sends nothing: it notes every request and answers as if all were well, so that no test ends early.

    It is a real one in everything else, so what tests learn to ask of a client is here, too.
    """

    def __init__(self, notes: Notes) -> None:
        super().__init__("http://127.0.0.1:1", "noted")
        object.__setattr__(self, "notes", notes)

    notes: Notes

    def ask(self, item: Item, *, thinking: bool = False, **_: Any) -> Reply:
        self.notes.note(item, thinking=thinking)
        calls = tuple(ToolCall(id=f"c{i}", name=c.name, arguments=_write(c.arguments)) for i, c in enumerate(item.call))
        return Reply(
            content=item.answer or "", tool_calls=calls, prompt_tokens=1, completion_tokens=1, finish_reason="stop"
        )

    def together(self, asks: Sequence[tuple[Item, Mapping[str, Any]]], **_: Any) -> list[Reply]:
        for item, options in asks:
            self.notes.note(item, at_once=len(asks), thinking=bool(options.get("thinking")))
        return [Reply(content=item.answer or "") for item, _ in asks]

    def hang_up(self, item: Item, *, after_s: float, **options: Any) -> bool:
        self.ask(item, **options)
        return True

    def post(self, path: str, body: Mapping[str, Any], **_: Any) -> Reply:
        """Note a chat whose body the test wrote itself."""
        with suppress(EngineRefused):
            self.post_document(path, body)
        return Reply(content="", prompt_tokens=1, completion_tokens=1, finish_reason="stop")

    def post_document(self, path: str, body: Mapping[str, Any] | str) -> Mapping[str, Any]:
        """Note a request that is no chat, without its tools; no route is there."""
        given, wrong = read_request((body if isinstance(body, str) else json.dumps(body)).encode())
        if wrong:  # no valid request, and asked as such
            raise EngineRefused(400, "")
        said = given.get("messages") or given.get("input") or [{"role": "user", "content": given.get("prompt")}]
        name = hashlib.sha256(json.dumps(said).encode()).hexdigest()
        self.notes.note(Item(id=name, kind="noted", messages=tuple(said)), thinking=path in THINKING_ROUTES)
        raise EngineRefused(404, "")

    def post_events(self, path: str, body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        self.post_document(path, body)
        return []

    def get(self, *_: Any, **__: Any) -> str:
        return ""

    def metrics(self) -> str:
        return ""

    def health(self) -> bool:
        return True


@dataclass(frozen=True, kw_only=True)
class NotingJudged(MeasuredInputs):
    """Notes the loads instead of running them."""

    notes: Notes = field(default_factory=Notes)

    def findings(self, engine: Any, asked: Iterable[Load]) -> Iterator[Finding]:
        for one in asked:
            self.notes.note(of_length(one.prompt_tokens), at_once=one.streams)
            yield Finding(check="reach", ok=True, expected="", got="")


class Unwritten(world.Recorder):
    """Findings that nobody reads: making a record of each would take most of the time."""

    def finding(self, finding: Finding) -> Finding:
        return finding


def _write(arguments: Mapping[str, Any]) -> str:
    return json.dumps(dict(arguments), ensure_ascii=False)


_BANKS: dict[str, Lengths] = {}


def bank_of(checkpoint: Checkpoint) -> Any:
    """One for all checkpoints of a bank: which member of a family it is changes words and no lengths."""
    return _BANKS.setdefault(checkpoint.banks[0], Lengths(AsMany(bank_for(checkpoint))))


def noted(test: str, planned: Plan, depth: Depth) -> Notes:
    """Return what `test` asks of this launch at this depth. That it is red does not matter: nothing was answered.

    Raises:
        Exception: it ended for another reason than its findings, so the notes may be less than what it asks.
    """
    notes, cell = Notes(), planned.cell
    bank = bank_of(cell.checkpoint)
    if test in UNJUDGED:
        UNJUDGED[test](notes, planned.settings, depth)
        return notes
    given: dict[str, Any] = {
        "cell": cell,
        "plan": planned,
        "engine": world.FakeRunning("", None),
        "client": NotingClient(notes),
        "bank": bank,
        "client_bank": bank,
        "evidence": Unwritten(),
        "depth": depth,
        "rendered": None,
        "boot_count": 1,
        "soak_s": 0.0,
        "token_budget": None,
        "reboot": lambda why: None,
    }
    what: Any = {name: given[name] for name in ("cell", "bank", "evidence", "depth")}
    given["judged"] = NotingJudged(**what, baseline=Baseline(), relaunch=lambda _: None, notes=notes)
    function = suite_tests()[test]
    with suppress(AssertionError, ConfigError, pytest.skip.Exception, pytest.fail.Exception):  # it: frozen prompts
        function(**{name: given[name] for name in inspect.signature(function).parameters})
    return notes


def _sweep(notes: Notes, settings: Mapping[str, Any], depth: Depth) -> None:
    for streams in loads.limit_streams(settings, depth.load_sweep):
        notes.note(of_length(depth.load_prompt_tokens), at_once=streams)


def _loaded(notes: Notes, _: Mapping[str, Any], depth: Depth) -> None:
    if depth.loaded_streams:
        notes.note(of_length(speed.LOADED_PROMPT_TOKENS), at_once=depth.loaded_streams + speed.AT_ONCE)


def _offered(notes: Notes, settings: Mapping[str, Any], depth: Depth) -> None:
    for _ in depth.open_shares:
        notes.note(
            of_length(depth.open_prompt_tokens), at_once=loads.limit_streams(settings, (depth.open_streams,))[-1]
        )


def _selected(notes: Notes, _: Mapping[str, Any], __: Depth) -> None:
    notes.note(of_length(UNDECIDED_TOKENS))


UNJUDGED = {
    "test_concurrency_sweep": _sweep,  # its load runs in processes, as that of the next
    "test_answers_right_under_load": _loaded,
    "test_keeps_up_with_arrivals_by_the_clock": _offered,
    "test_selects_what_the_reference_selects": _selected,  # it sends tokens, not words
}


@cache
def suite_tests() -> Mapping[str, Any]:
    """Every test function of the suites by name."""
    found: dict[str, Any] = {}
    for module in MODULES:
        own = (v for n, v in vars(module).items() if n.startswith("test_") and inspect.isfunction(v))
        found |= {v.__name__: v for v in own if v.__module__ == module.__name__}
    return found


def from_depth(test: str) -> int:
    marks = [m.args[0] for m in _list_marks(test) if m.name == "from_depth"]
    return max((list(DEPTHS).index(name) for name in marks), default=0)


def _list_marks(test: str) -> list[Any]:
    """List the marks of the function and of its module."""
    function = suite_tests()[test]
    return [*getattr(function, "pytestmark", []), *getattr(sys.modules[function.__module__], "pytestmark", [])]


def is_for(test: str, cell: Cell) -> bool:
    """Whether the suite asks it of this cell at all (its `for_cells` mark)."""
    marks = [m.kwargs for m in _list_marks(test) if m.name == "for_cells"]
    return asked_by_marks(marks).takes_cell(cell)


def is_alike_for_plans(test: str) -> bool:
    """Whether nothing that the test takes differs between the plans of one bank."""
    return test not in UNJUDGED and SAME_FOR_PLANS.issuperset(inspect.signature(suite_tests()[test]).parameters)


def distinct_plans() -> dict[str, list[Plan]]:
    """By bank, one plan for each way in which lengths follow from settings; of those, the one with most features."""
    matrix = load_matrix()
    found: dict[tuple[str, bool, tuple[Any, ...]], Plan] = {}
    for cell in sorted(expand_matrix(matrix).runnable, key=lambda c: (len(c.features), c.id)):
        planned = make_plan(matrix, cell)
        own = tuple(planned.settings.get(part) for part in PARTS)
        found[cell.checkpoint.banks[0], cell.checkpoint.canary, own] = planned
    by_bank: dict[str, list[Plan]] = {}
    for (bank, *_), planned in found.items():
        by_bank.setdefault(bank, []).append(planned)
    return by_bank


def reached() -> Written:
    """Return the table, as it is written."""
    out: Written = {}
    for bank, plans in sorted(distinct_plans().items()):
        for test in sorted(suite_tests()):
            for number, depth in enumerate(DEPTHS.values()):
                every = Notes()
                asked_of = [p for p in plans if number >= from_depth(test) and is_for(test, p.cell)]
                for planned in asked_of[: 1 if is_alike_for_plans(test) else None]:
                    every += noted(test, planned, depth)
                asked = [list(a) for a in keep_frontier(every)]
                out.setdefault(bank, {}).setdefault(test, {})[depth.name] = asked
    return out


def as_text(table: Written) -> str:
    """JSON, one depth a line."""
    banks = []
    for bank, tests in table.items():
        rows = [
            f'  "{test}": {{\n' + ",\n".join(f'   "{d}": {json.dumps(asked)}' for d, asked in by.items()) + "\n  }"
            for test, by in tests.items()
        ]
        banks.append(f' "{bank}": {{\n' + ",\n".join(rows) + "\n }")
    return "{\n" + ",\n".join(banks) + "\n}\n"


def main(argv: Sequence[str]) -> int:
    """Write it, or with --check say whether it is what would be written."""
    text = as_text(reached())
    if "--check" not in argv:
        FILE.write_text(text, encoding="utf-8")
        return 0
    if FILE.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"{FILE.name} is stale: {COMMAND}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
