"""Without a fault every byte passes, when it comes; with one, what the fault names is damaged and nothing else."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.banks.canary_bank import CanaryBank
from fixtures.client.client import Client
from fixtures.client.reply import Reply, ToolCall
from fixtures.client.reply_assembly import Assembly, assemble_whole
from matrix.errors import EngineExited, EngineNotReady, EngineReplyMalformed
from tests.faults.catalogue import wire
from tests.faults.catalogue.table import FAULTS
from tests.faults.proxy import FaultProxy
from tests.faults.stub.engine import MODEL, StubEngine
from tests.faults.suite_tests import BASELINE, IDENTITY, LAUNCH, RELEASE
from tests.mutation.target import real_tests

ASK = b'{"messages": [{"role": "user", "content": "hi"}], "stream": true}'
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nAuthorization: Bearer k\r\nContent-Length: %d\r\n\r\n" % len(
    ASK
)
WHOLE = b'HTTP/1.1 200 OK\r\nX-Odd:  spaces \r\nContent-Length: 17\r\n\r\n{"choices" :[]} \n'
STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"9\r\n: ping\r\n\r\r\n10\r\nda",
    b'ta: {"a": "\xc3',
    b'\xa9"}\r\n0\r\n\r\n',
)


class Scripted:
    """An engine of bytes: reads one request, then sends its pieces, each after `go` was told."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.pieces, self.got, self.go = pieces, b"", threading.Semaphore(0)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.base_url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Scripted:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.join(5)
        self._socket.close()

    def _serve(self) -> None:
        connection, _ = self._socket.accept()
        with connection:
            while len(self.got) < len(HEAD + ASK):
                self.got += connection.recv(65536)
            for piece in self.pieces:
                self.go.acquire()
                connection.sendall(piece)


def exchange(base_url: str, engine: Scripted) -> list[bytes]:
    """Return what arrives after each piece. The next is sent only when this one is here: nothing may be held back."""
    arrived: list[bytes] = []
    with socket.create_connection(("127.0.0.1", int(base_url.rpartition(":")[2])), timeout=5) as client:
        client.sendall(HEAD + ASK)
        for piece in engine.pieces:
            engine.go.release()
            seen = b""
            while len(seen) < len(piece):
                seen += client.recv(65536) or b"CLOSED"
            arrived.append(seen)
    return arrived


@pytest.mark.parametrize("pieces", [(WHOLE,), STREAM], ids=["whole", "stream"])
@pytest.mark.parametrize("fault", [None, "too_few_chunks"], ids=["no_fault", "fault_of_another_path"])
def test_every_byte_passes_when_it_comes(pieces: Sequence[bytes], fault: str | None) -> None:
    with Scripted(pieces) as engine, FaultProxy(engine.base_url, fault=fault) as proxy:
        assert exchange(proxy.base_url, engine) == list(pieces)
        assert engine.got == HEAD + ASK, "the request, the key in it, passes as it is"


def test_an_engine_that_is_gone_is_gone_behind_the_proxy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with (
        FaultProxy(f"http://127.0.0.1:{port}") as proxy,
        Client(proxy.base_url, MODEL) as client,
        pytest.raises(EngineExited),
    ):
        client.ask(CanaryBank().facts(1)[0])


# --- with a fault -----------------------------------------------------------------------------------------------------


@contextmanager
def asked(fault: str | None, *, stall_s: float = 600.0) -> Iterator[tuple[Client, CanaryBank]]:
    with (
        StubEngine() as stub,
        FaultProxy(stub.base_url, fault=fault, stall_s=stall_s) as proxy,
        Client(proxy.base_url, MODEL, stub.api_key, silence_s=0.3, total_s=0.5) as client,
    ):
        yield client, stub.learn(CanaryBank())  # type: ignore[misc]


def test_an_unknown_fault_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match="did you mean 'loops'"):
        FaultProxy("http://127.0.0.1:1", fault="lops")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_what_a_fault_does_not_touch_stays(stream: bool) -> None:
    with asked("drops_zero_argument_call") as (client, bank):
        item = next(i for i in bank.calls(20) if i.call[0].arguments)
        reply = client.ask(item, stream=stream)
    assert [json.loads(c.arguments) for c in reply.tool_calls] == [dict(c.arguments) for c in item.call]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ("drops_zero_argument_call", lambda r: not r.tool_calls and r.finish_reason == "stop"),
        ("calls_as_text", lambda r: "<tool_call>" in r.content),
        ("no_usage", lambda r: r.prompt_tokens is None),
        ("wrong_finish_reason", lambda r: r.finish_reason == "length"),
        ("leaks_think_tags", lambda r: r.content.startswith("<think>")),
    ],
)
def test_a_reply_is_damaged_both_ways(fault: str, seen: Callable[[Reply], bool], stream: bool) -> None:
    with asked(fault) as (client, bank):
        assert seen(client.ask(bank.zero_argument_calls(1)[0], stream=stream))


def test_chunks_are_lost_in_passing() -> None:
    with asked("stream_truncates_arguments") as (client, bank):
        item = next(i for i in bank.calls(20) if i.call[0].arguments)
        streamed, answered = client.ask(item, stream=True), client.ask(item)
    assert streamed.done_seen
    assert json.loads(answered.tool_calls[0].arguments) == dict(item.call[0].arguments)
    assert len(streamed.tool_calls[0].arguments) < len(answered.tool_calls[0].arguments)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("empty_200", EngineReplyMalformed),
        ("error_inside_stream", EngineReplyMalformed),
        ("healthy_then_dead", EngineExited),
        ("stuck_stream", EngineNotReady),
    ],
)
def test_a_broken_exchange_is_the_engines_fault(fault: str, error: type[Exception]) -> None:
    with asked(fault) as (client, bank), pytest.raises(error):
        client.ask(bank.long_generation(1)[0], stream=True)


def test_every_second_reply_is_reset() -> None:
    with asked("resets_connection") as (client, bank):
        item = bank.facts(1)[0]
        assert client.ask(item).content
        with pytest.raises(EngineExited):
            client.ask(item)
        assert client.ask(item).content


def test_counting_begins_anew_with_each_fault() -> None:
    with (
        StubEngine() as stub,
        FaultProxy(stub.base_url) as proxy,
        Client(proxy.base_url, MODEL, stub.api_key) as client,
    ):
        item = stub.learn(CanaryBank()).facts(1)[0]
        for _ in range(2):
            proxy.use("resets_connection")
            assert client.ask(item).content, "the first of a fault's requests is spared"
        proxy.use(None)
        assert client.ask(item).content


def test_counters_are_changed_and_the_rest_of_the_page_is_not() -> None:
    with StubEngine() as stub, FaultProxy(stub.base_url, fault="mtp_accepts_everything") as proxy:
        client = Client(proxy.base_url, MODEL, stub.api_key)
        client.ask(stub.learn(CanaryBank()).facts(1)[0])
        before = Client(stub.base_url, MODEL, stub.api_key).metrics().splitlines()
        after = client.metrics().splitlines()
    changed = [b for a, b in zip(before, after, strict=True) if a != b]
    counters = [
        "n_decode_total",
        *(f"spec_decode_num_{n}_total" for n in ("drafts", "draft_tokens", "accepted_tokens")),
    ]
    assert [line.split()[0] for line in changed] == [f"llamacpp:{name}" for name in counters]
    assert len({line.split()[1] for line in changed[2:]}) == 1, "every draft is accepted"


# --- the table --------------------------------------------------------------------------------------------------------


def test_there_are_forty_faults_that_count() -> None:
    assert sum(not f.invisible for f in FAULTS.values()) >= 40


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_names_who_must_notice_it_or_why_nobody_can(name: str) -> None:
    fault = FAULTS[name]
    assert bool(fault.kills) != bool(fault.invisible)
    assert set(fault.kills) <= {*real_tests(), LAUNCH, IDENTITY, BASELINE, RELEASE}
    assert fault.touches_completions() or fault.documents or fault.statuses, "it does something"


# --- replies back into JSON -------------------------------------------------------------------------------------------

RAW = {"id": "x", "model": "m", "choices": [{"index": 0, "message": {"role": "assistant"}}]}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
CALLS = st.builds(ToolCall, id=st.text("abc", min_size=1, max_size=3), name=st.text("abc", min_size=1), arguments=TEXTS)
REPLIES = st.builds(
    Reply,
    content=TEXTS,
    reasoning=TEXTS,
    tool_calls=st.lists(CALLS, max_size=3).map(tuple),
    finish_reason=st.sampled_from(["stop", "length", "tool_calls"]),
    prompt_tokens=st.integers(0, 9),
    completion_tokens=st.integers(0, 9),
    model=st.just("m"),
    raw=st.just(RAW),
)


@given(REPLIES)
def test_a_whole_reply_survives_the_way_back(reply: Reply) -> None:
    assert replace(assemble_whole(wire.whole(reply)), raw=RAW) == reply


@given(REPLIES)
def test_a_streamed_reply_survives_the_way_back(reply: Reply) -> None:
    assembly = Assembly()
    for chunk in wire.chunks(reply):
        assembly.add(json.loads(json.dumps(chunk)))
    back = assembly.reply()
    assert replace(back, raw=RAW, streamed=False, chunks=0) == reply
