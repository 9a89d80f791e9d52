"""Laws: whatever an engine answers is a Reply or the engine's fault, and whatever a Reply holds gives Findings."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.banks.canary_bank import CanaryBank
from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from fixtures.client.reply_assembly import assemble_whole, parse_document
from fixtures.client.sse import SseParser
from fixtures.launch.readiness import Endpoint, first_token, served_model
from fixtures.traffic.metrics import decode_record, summarise_samples
from fixtures.traffic.wire import WireRecord as Sent
from matrix.errors import EngineError, EngineReplyMalformed
from matrix.judging.observation import Sources, read_observations
from reports.evidence.finding import Finding
from reports.evidence.outbox import Evidence, Outbox
from suites.checks import agreement, answer, isolation, limits, needle, protocol, throughput, tool_choice, tools
from tests.property import hostile

LAW = settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
BANK = CanaryBank()
FACT, CODE = BANK.facts(1)[0], BANK.needle(tokens=64, depth=0.5)
ASKED = BANK.calls(1)[0]
REFERENCE = [{"Paris": -0.01, " other": -5.0}]


def dumped(value: object) -> bytes:
    return json.dumps(value).encode()


@LAW
@given(hostile.somewhere(hostile.WHOLE).map(dumped) | hostile.bent(hostile.WHOLE) | st.binary(max_size=80))
def test_any_body_is_a_reply_or_the_engines_fault(payload: bytes) -> None:
    try:
        assert isinstance(assemble_whole(parse_document(payload)), Reply)
    except EngineReplyMalformed as error:
        assert error.received or not payload


@LAW
@given(st.lists(hostile.somewhere(hostile.EVENT).map(dumped) | hostile.bent(hostile.EVENT), max_size=3))
def test_any_stream_is_a_sample_of_the_load_client(events: list[bytes]) -> None:
    sent = b"".join(b"data: " + event + b"\n\n" for event in [*events, b"[DONE]"])
    sample = decode_record(Sent(sent=0.0, status=200, pieces=[(1.0, sent)]))
    json.dumps(summarise_samples([sample], duration=1.0, concurrency=1), allow_nan=False)


@given(st.lists(st.binary(max_size=30), max_size=8))
def test_any_pieces_are_events(pieces: list[bytes]) -> None:
    parser = SseParser()
    assert all(isinstance(event, bytes) for piece in pieces for event in parser.feed(piece))
    assert isinstance(parser.flush(), list)


@dataclass(frozen=True, slots=True)
class Says(Endpoint):
    """An endpoint that answers everything with these bytes."""

    said: bytes = b""

    def fetch(self, path: str, body: object = None, timeout_s: float = 0.0) -> tuple[int, bytes]:
        return 200, self.said


@LAW
@given(hostile.VALUES.map(dumped) | hostile.somewhere(hostile.WHOLE).map(dumped) | st.binary(max_size=60))
def test_any_first_answer_is_a_token_or_the_engines_fault(payload: bytes) -> None:
    endpoint = Says("http://127.0.0.1:9", said=payload)
    served_model(endpoint)
    try:
        assert first_token(endpoint, "m", 1.0)
    except EngineError as error:
        assert str(error)


METRIC = {"drafted": {"metric": "x", "by": "position", "unit": "tokens"}, "n": {"get": "/p", "path": "a.*"}}


@LAW
@given(
    st.sampled_from(["", '{a="b"}', '{position="1"}']),
    st.sampled_from(["1", "NaN", "+Inf", "-Inf", "1.2.3", "1e999", "0x1", ""]) | st.text(max_size=9),
    hostile.VALUES,
)
def test_any_metrics_are_observations_or_the_engines_fault(labels: str, value: str, served: object) -> None:
    try:
        seen = read_observations(METRIC, Sources(metrics=f"x{labels} {value}\n", documents={"/p": {"a": [served]}}))
    except EngineReplyMalformed:
        return
    assert all(o.number - o.number == 0 for o in seen if o.unit)


def judged(reply: Reply, other: Reply) -> Iterator[Finding | None]:
    """Every check that judges a reply."""
    for item in (FACT, CODE, ASKED):
        yield answer.check_answer(item, reply)
        yield answer.check_text(item, reply)
        yield needle.check_needle(item, reply, index_topk=256)
        yield needle.check_not_invented(item, reply)
        yield protocol.check_envelope(item, reply, max_tokens=8)
        yield protocol.check_prompt_tokens(item, reply, 9)
        yield tools.check_calls(item, reply)
        yield tools.check_no_call(item, reply)
        yield tools.check_stream_equals_whole(item, reply, other)
        yield tool_choice.check_none(item, reply)
        yield tool_choice.check_fitting(item, reply, "named")
        yield tool_choice.check_forced(item, reply, "required", name="f", how="enforced")
        yield limits.check_refusal(item, reply, tokens=9, context=8, exact=True)
        yield limits.check_refusal(item, (400, reply.content), tokens=9, context=8, exact=True)
    yield isolation.check_no_leak(CODE, reply, {CODE.id: "abc123", "y": "def456"})
    yield isolation.check_repeatable(FACT, [reply, other])
    yield isolation.check_same_numbers("batch", FACT, [reply, reply], other, allowed=0.1)
    yield agreement.check_agreement(FACT, reply, REFERENCE, way="FFFF", allowed=1.0)
    agreement.prove_pattern(reply, {"FFFF": REFERENCE, "FFSS": REFERENCE}, wanted="FFSS", allowed=1.0)
    yield throughput.check_cold_and_warm([(reply, reply.cached_tokens)], [(other, other.cached_tokens)])


@LAW
@given(hostile.REPLIES, hostile.REPLIES)
def test_any_reply_gives_findings_that_evidence_can_hold(reply: Reply, other: Reply) -> None:
    evidence = Evidence(Outbox("run"), {"cell": "c", "test": "t", "nodeid": "n"})
    for finding in judged(reply, other):
        assert isinstance(finding, Finding)
        evidence.finding(finding)
        assert finding.explain()


NO_NUMBERS: list[object] = [float("nan"), float("inf"), None, "-0.1", True, 0.5, 10**400, [], {}]
Judge = Callable[[Item, Reply], Finding]
COMPUTES: dict[str, Judge] = {
    "repeatable": lambda item, reply: isolation.check_repeatable(item, [reply, reply]),
    "batch": lambda item, reply: isolation.check_same_numbers(
        "batch", item, [reply], reply, allowed=0.1, sensitive=False
    ),
    "reference": lambda item, reply: agreement.check_agreement(item, reply, REFERENCE, way="FFFF", allowed=1e9),
}


@pytest.mark.parametrize("check", COMPUTES)
@pytest.mark.parametrize("value", [*NO_NUMBERS, "missing", float("-inf")], ids=repr)
@pytest.mark.parametrize("place", ["chosen", "listed"])
def test_what_is_no_log_probability_fails_every_check_that_computes_with_it(
    check: str, value: object, place: str
) -> None:
    if (value, place) == (float("-inf"), "listed"):
        pytest.skip("what a mask forbids")
    wrong = {"token": "Paris"} if value == "missing" else {"token": "Paris", "logprob": value}
    top = wrong if place == "listed" else hostile.TOP
    position = {**hostile.TOP, **wrong} if place == "chosen" else dict(hostile.TOP)
    if place == "chosen" and value == "missing":
        del position["logprob"]
    reply = Reply(content="Paris", logprobs=(hostile.TOKEN, {**position, "top_logprobs": [top]}))
    found = COMPUTES[check](FACT, reply)
    assert not found.ok
    assert found.sensitive
    assert "logprob" in found.detail
