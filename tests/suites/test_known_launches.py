"""Whole pytest runs of cells with an entry about the launch: it excuses that launch, in that way, and nothing else."""

from __future__ import annotations

import http.server
import json
import socket
import ssl
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from matrix.judging.status import GREEN, Status
from reports.evidence import files as evidence
from reports.evidence import junit
from reports.evidence.summary import make_board
from reports.evidence.types import Record, Result
from tests.fixtures.launch.docker.docker_plans import CANARY
from tests.pytest_forkserver import run_pytest

NOT_RUN, NOT_ASKED = Status.NOT_RUN_AS_KNOWN, Status.NOT_ASKED
BOOT = "first_token or signature"  # what a stub that knows no bank can answer
SUITE = "suites/test_boot.py", "suites/test_tool_use.py"


@dataclass(frozen=True)
class Run:
    """What a run left."""

    folder: Path
    code: int
    said: str

    @property
    def records(self) -> Sequence[Record]:
        return evidence.read_records(self.folder / "e.jsonl")

    @property
    def results(self) -> list[Result]:
        return [r for r in self.records if isinstance(r, Result)]

    @property
    def statuses(self) -> Counter[Status]:
        return Counter(r.status for r in self.results)


def run(folder: Path, *words: str, launches: str = "", expect: str = "intermittent") -> Run:
    own = {"GLM_TEST_LAUNCHES": launches, "GLM_TEST_EXPECT": expect}
    done = run_pytest(
        "-p",
        "tests.suites.known_launches",
        *SUITE,
        "-q",
        "--cells",
        CANARY,
        "--evidence",
        folder / "e.jsonl",
        "--junitxml",
        folder / "junit.xml",
        *words,
        env=own,
    )
    return Run(folder, done.returncode, done.stdout + done.stderr)


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "xdist"])
def test_a_launch_that_fails_as_known_is_no_pass_and_told_once(tmp_path: Path, workers: tuple[str, ...]) -> None:
    found = run(tmp_path, *workers, launches="capture")
    assert set(found.statuses) == {NOT_RUN}, found.said
    assert found.code == 1  # no engine answered at all
    assert "1 cell did not run, as known" in found.said
    assert {r.known_failure for r in found.results} == {"hangs_in_capture"}
    [told] = [r for r in found.results if r.matched]
    assert (told.at, told.how) == ("before_ready", "hang") and "(at graphs" in told.matched
    assert all("not asked" in r.message for r in found.results if not r.matched)
    row = make_board(found.records).rows[0]
    assert row.not_run and [t.status for t in row.troubles] == [Status.MISSING]  # other suites that were not chosen


@pytest.mark.parametrize(
    ("launch", "status", "why"),
    [
        ("loading", Status.HANG, r"its signature '\\(at graphs' fits nothing that was said"),
        ("exits", Status.CRASH, "shows as hang, this as exit"),
        ("rejected", Status.FAIL, "its signature '--enable-this' fits nothing that was said"),
        ("host", Status.HOST_ERROR, ""),
    ],
)
def test_a_launch_that_fails_otherwise_is_red_and_told_once(
    tmp_path: Path, launch: str, status: Status, why: str
) -> None:
    found = run(tmp_path, launches=launch)
    count = sum(found.statuses.values())
    assert found.statuses == {status: 1, NOT_ASKED: count - 1}, found.said
    assert count > 5 and found.code == 1
    [told] = [r for r in found.results if r.status is status]
    assert why in told.message
    outcomes = Counter(type(o).__name__ for s in junit.load_junit(tmp_path / "junit.xml") for c in s for o in c.result)
    assert outcomes == {"Error": 1, "Skipped": count - 1}
    troubles = [t.status for t in make_board(found.records).rows[0].troubles]
    assert troubles == [
        status,
        NOT_ASKED,
        Status.MISSING,
    ]  # the one that tells it, all others as one, suites not chosen
    assert f"SKIPPED [{count - 1}]" in found.said


def test_a_plan_that_preflight_refuses_is_excused_by_its_own_entry_only(tmp_path: Path) -> None:
    found = run(tmp_path, launches="rejected_as_known")
    assert {r.known_failure for r in found.results} == {"is_rejected"}
    assert set(found.statuses) == {NOT_RUN}


@pytest.mark.parametrize("defect", ["fails_after_the_first", "dies_after_the_first"])
def test_what_happens_after_the_launch_is_never_excused_by_it(tmp_path: Path, defect: str) -> None:
    found = run(tmp_path, launches=defect)
    assert found.code == 1
    assert not set(found.statuses) & {Status.XFAIL, NOT_RUN}, found.said
    assert sum(n for s, n in found.statuses.items() if s not in GREEN) > 5
    assert "hangs_in_capture: is about a failure before the engine was ready, this was in a test" in found.said


def test_a_launch_that_must_fail_and_does_not_is_red_once(tmp_path: Path) -> None:
    found = run(tmp_path, "-k", BOOT, launches="-", expect="always")
    assert found.statuses[Status.XPASS] == 1 and found.code == 1
    assert [r.known_failure for r in found.results if r.status is Status.XPASS] == ["hangs_in_capture"]


def test_a_launch_that_may_fail_and_does_not_is_green(tmp_path: Path) -> None:
    found = run(tmp_path, "-k", BOOT, launches="-")
    assert set(found.statuses) <= {Status.PASS, Status.MEASURED}, found.said
    assert found.code == 0


MODEL = CANARY.split(".")[2]


class Handler(http.server.BaseHTTPRequestHandler):
    """Lists a model, and answers chats as the server's `chat` says: status and body by number."""

    def do_GET(self) -> None:
        listed = {"data": [{"id": MODEL, "owned_by": "llamacpp"}]}  # so that nothing but its trouble is refused
        self._send(200, listed if self.path == "/v1/models" else {})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked += 1  # type: ignore[attr-defined]
        self._send(*self.server.chat(self.server.asked))  # type: ignore[attr-defined]

    def _send(self, status: int, body: Any) -> None:
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: object) -> None:
        pass


Chat = Callable[[int], tuple[int, Any]]
HI = {"model": MODEL, "choices": [{"message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}]}


@contextmanager
def serving(chat: Chat, certificate: Path | None = None) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.chat, server.asked = chat, 0  # type: ignore[attr-defined]
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


def no_server(_: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{probe.getsockname()[1]}"


def unauthorised(_: Path) -> Iterator[str]:
    with serving(lambda _: (401, {"error": "Unauthorized"})) as url:
        yield url


def bad_certificate(folder: Path) -> Iterator[str]:
    pem = folder / "own.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "1",
            "-subj",
            "/CN=other",
            "-keyout",
            pem,
            "-out",
            folder / "cert.pem",
        ],
        check=True,
        capture_output=True,
    )
    pem.write_text(pem.read_text() + (folder / "cert.pem").read_text())
    with serving(lambda _: (200, HI), pem) as url:
        yield url


def out_of_memory_at_first(_: Path) -> Iterator[str]:
    with serving(lambda _: (500, {"error": "out of memory in the sparse decode kernel"})) as url:
        yield url


def broken_after_the_first(_: Path) -> Iterator[str]:
    error = {"error": "CUDA error: an illegal memory access was encountered"}
    with serving(lambda number: (200, HI) if number == 1 else (500, error)) as url:
        yield url


SERVERS: dict[str, tuple[Callable[[Path], Iterator[str]], str]] = {
    "absent": (no_server, "refused|no answer|did not|health"),
    "401": (unauthorised, "401"),
    "certificate": (bad_certificate, "certificate|CERTIFICATE|health"),
    "first chat fails": (out_of_memory_at_first, "out of memory in the sparse decode kernel"),
    "later chats fail": (broken_after_the_first, "illegal memory access"),
}


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_that_cannot_be_used_is_never_a_known_failure(tmp_path: Path, name: str) -> None:
    """All of these were XFAIL under an entry about the launch, with exit code 0."""
    serve, said = SERVERS[name]
    for url in serve(tmp_path):
        found = run(tmp_path, "--endpoint", url, "--accept-identity", "version")
        assert found.code == 1, found.said
        assert not set(found.statuses) & {Status.XFAIL, NOT_RUN, *GREEN}, found.statuses
        assert any(word in found.said for word in said.split("|")), found.said
