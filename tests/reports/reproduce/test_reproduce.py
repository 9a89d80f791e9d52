"""From evidence with kept replies to a folder that asks again, a shorter prompt and a text for upstream."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fixtures.banks.canary_bank import CanaryBank
from matrix.errors import ConfigError
from matrix.yaml.load import load_matrix
from reports import __main__ as cli
from reports.evidence import kept, redact
from reports.evidence.cause_line import find_cause
from reports.evidence.files import read_records
from reports.evidence.kept import KeptTape, digest_question
from reports.reproduce import judge, minimise
from reports.reproduce.failures import ATTACHED, ReproducedFailure, list_failures, pick_failure
from reports.reproduce.folder import write_folder
from reports.reproduce.issue import make_issue
from reports.reproduce.judge import NewReply, judge_replies
from reports.reproduce.minimise import minimise_folder
from reports.reproduce.requests import choose_request, digest_prompt, list_requests, read_tape_of
from suites.checks.frozen import prompt_sha256
from tests.reports import world
from tests.reports.reproduce.world import (
    CODE,
    FIRST,
    NODE,
    PROMPT,
    WHO,
    WRONG,
    chat,
    exchange,
    question,
    write_evidence,
)
from tests.reports.world import PLAIN


def read(path: Path) -> list[ReproducedFailure]:
    return list_failures([(path, read_records(path))])


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    return write_evidence(tmp_path, FIRST, exchange(PROMPT, chat(WRONG)))


@pytest.fixture
def folder(evidence: Path, tmp_path: Path) -> Path:
    return write_folder(read(evidence)[0], tmp_path / "out")


@dataclass
class Server:
    """A server whose answer is a function of the prompt; it counts what it was asked."""

    answer: Callable[[str], str] = lambda _: WRONG
    status: int = 200
    url: str = ""
    asked: int = 0
    key: str | None = None


@pytest.fixture
def server() -> Iterator[Server]:
    own = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            own.asked, own.key = own.asked + 1, self.headers.get("Authorization")
            data = chat(own.answer("".join(m["content"] for m in body["messages"]))).encode()
            self.send_response(own.status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    http = HTTPServer(("127.0.0.1", 0), Handler)
    own.url = f"http://127.0.0.1:{http.server_port}"
    threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
    yield own
    http.shutdown()
    http.server_close()


def load_ask(folder: Path) -> ModuleType:
    """Return the script of the folder, as its reader runs it."""
    spec = importlib.util.spec_from_file_location("ask_of_folder", folder / "ask.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_folder_holds_all_that_shows_the_failure(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    assert names >= {"launch.sh", "request.curl.sh", "ask.py", "reply.txt", "run.sh", "README.md", "reproduction.json"}
    assert json.loads((folder / "request.body.json").read_text())["messages"][0]["content"] == PROMPT
    assert json.loads((folder / "reply.txt").read_text())["choices"][0]["message"]["content"] == WRONG
    readme = (folder / "README.md").read_text()
    assert CODE in readme and "not in the reply" in readme and "580.1" in readme and "\x1b" not in readme
    facts = json.loads((folder / "reproduction.json").read_text())
    assert facts["versions"] == {"vllm": "0.26.0"} and facts["digests"]["commit"] == "c0ffee"
    assert all(os.access(folder / name, os.X_OK) for name in ("run.sh", "launch.sh", "request.curl.sh"))
    assert not any("sk-abcdef" in path.read_text() for path in folder.iterdir() if path.is_file())


def test_the_shell_scripts_are_valid(folder: Path) -> None:
    names = [str(folder / n) for n in ("run.sh", "request.curl.sh", "launch.sh")]
    assert all(subprocess.run(["bash", "-n", name], check=False).returncode == 0 for name in names)


def test_curl_asks_the_named_server_past_any_proxy_and_with_the_key(folder: Path, server: Server) -> None:
    environment = {**os.environ, "OPENAI_API_KEY": "mine", "http_proxy": "http://127.0.0.1:9", "HOME": str(folder)}
    (folder / ".curlrc").write_text("proxy = http://127.0.0.1:9\n")
    done = subprocess.run([folder / "request.curl.sh", server.url], env=environment, capture_output=True, check=False)
    assert (done.returncode, server.key) == (0, "Bearer mine"), done.stderr


@pytest.mark.parametrize(
    ("answer", "judged", "word", "code"),
    [
        (WRONG, None, "same", 1),
        ("Another wrong answer", None, "differs", 3),
        (f"The code is {CODE}.", "right now", "right now", 0),
        ("Another wrong answer", "differs", "differs", 3),
        (f"It is {CODE}", "the check broke", "differs", 3),
    ],
)
def test_run_says_same_differs_or_right_now(
    *,
    folder: Path,
    server: Server,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    judged: str | None,
    word: str,
    code: int,
) -> None:
    server.answer = lambda _: answer
    fake = folder / "glm-matrix"
    fake.write_text(f"#!/bin/bash\necho '{judged}'\n")
    fake.chmod(0o755)
    monkeypatch.setenv("GLM_MATRIX", str(fake) if judged else "")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("OPENAI_API_KEY", "mine")
    assert load_ask(folder).main([server.url]) == code
    shown = capsys.readouterr().out
    assert shown.startswith(f"{word}\n") and "\x1b" not in shown and server.key == "Bearer mine"


def test_a_check_that_cannot_be_started_is_no_failure_that_is_the_same(
    folder: Path, server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A traceback ends with 1, which says that the failure is the same."""
    server.answer = lambda _: "Another wrong answer"
    monkeypatch.setenv("GLM_MATRIX", "python -m cli")
    assert load_ask(folder).main([server.url]) == 3
    assert "the check could not be run again with python -m cli" in capsys.readouterr().out


def test_a_server_that_is_not_there_is_no_answer(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert load_ask(folder).main(["http://127.0.0.1:9"]) == 2
    assert "no answer" in capsys.readouterr().err


def test_all_requests_of_the_test_are_sent_and_groups_together(
    folder: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = load_ask(folder)
    with pytest.raises(SystemExit) as ended:
        ask.main(["--minimized"])
    assert ended.value.code == 2
    assert "unrecognized arguments: --minimized; did you mean --minimised?" in capsys.readouterr().err
    ask.main([server.url, "--all"])
    assert server.asked == 2
    lanes = [{"exchange": n, "lane": lane} for n, lane in enumerate(["", "1.0", "1.1", "2.0", ""])]
    assert [[r["exchange"] for r in group] for group in ask.group_requests(lanes)] == [[0], [1, 2], [3], [4]]


def test_a_stream_says_what_a_whole_reply_says(folder: Path) -> None:
    parts = [{"choices": [{"index": 0, "delta": {"content": c}, "finish_reason": None}]} for c in ("he", "llo")]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    stream = "".join(f"data: {json.dumps(p)}\n\n" for p in (*parts, end)) + "data: [DONE]\n\n"
    ask = load_ask(folder)
    assert ask.read_reply(200, stream.encode()) == ask.read_reply(200, chat("hello").encode())
    assert ask.read_reply(500, b"oh no") == {"status": 500, "text": "oh no"}


def test_a_prompt_has_the_digest_that_findings_have() -> None:
    item = CanaryBank().calls(1)[0]
    assert digest_prompt({"messages": list(item.messages), "tools": list(item.tools)}) == prompt_sha256(item)


def test_the_request_is_chosen_by_prompt_reply_or_failure(tmp_path: Path) -> None:
    other = exchange("What else?", chat("something"))
    path = write_evidence(tmp_path, other, exchange(PROMPT, chat(WRONG)), FIRST)
    failure = read(path)[0]
    requests = list_requests(read_tape_of(failure))
    chosen = choose_request(requests, failure.finding)
    assert chosen and chosen.exchange == 1 and chosen.certain and "its reply is the quoted one" in chosen.why
    sha = digest_prompt(requests[0].body)
    assert failure.finding
    named = replace(failure.finding, got="unseen", data={"prompt_sha256": sha})
    assert (chosen := choose_request(requests, named)) and chosen.exchange == 0 and "recorded hash" in chosen.why
    guessed = choose_request(requests, replace(failure.finding, got="unseen"))
    assert guessed and guessed.exchange == 2 and not guessed.certain and guessed.why.startswith("a guess")
    equal = [requests[1], replace(requests[1], exchange=7)]
    second = choose_request(equal, replace(failure.finding, item="i2"), ("i1", "i2"))
    assert second and (second.exchange, second.certain) == (7, True) and "in the order of the items" in second.why
    assert choose_request([], None) is None
    refused = replace(requests[1], status=500)
    assert (chosen := choose_request([requests[0], refused, requests[2]], None)) and chosen.status == 500


def test_without_kept_replies_the_folder_says_so_and_invents_nothing(tmp_path: Path) -> None:
    failure = read(write_evidence(tmp_path))[0]
    out = write_folder(failure, tmp_path / "out")
    assert "written before replies were kept" in (out / "README.md").read_text()
    assert not (out / "request.json").exists()
    assert subprocess.run([out / "run.sh", "http://x"], check=False, capture_output=True).returncode == 2
    with pytest.raises(ConfigError, match="no request that could be shortened"):
        minimise_folder(out, "http://127.0.0.1:9")
    text = make_issue(failure, [], [failure], [])
    assert "The request and the raw reply are not known" in text and "curl" not in text


def test_an_engine_that_did_not_start_is_one_failure_with_its_cause(tmp_path: Path) -> None:
    log = "EngineExited: died after 0.6 s\n  RuntimeError: Expected size 256\n  shards: 0%"
    dead = {"outcome": "EngineExited", "message": log}
    path = write_evidence(tmp_path, launch=dead, at="before_ready", finding={"ok": True})
    (failure,) = read(path)
    assert failure.at_launch and find_cause(log) == "RuntimeError: Expected size 256"
    text = make_issue(failure, [(path, read_records(path))], [failure], [])
    assert text.startswith("# [vllm 0.26.0] does not start") and "None: the engine did not start." in text
    assert "nothing was asked" in (write_folder(failure, tmp_path / "out") / "README.md").read_text()


def test_the_text_for_upstream_says_all_that_is_known(evidence: Path) -> None:
    failures = read(evidence)
    known = [k.value for k in load_matrix().known_failures if k.value.fails.test == "test_obeys_required_tool_choice"]
    mine = [replace(k, fails=replace(k.fails, test="test_finds_the_needle")) for k in known[:1]]
    text = make_issue(failures[0], [(evidence, read_records(evidence))], failures, mine)
    for said in (
        "vllm 0.26.0",
        "1 x H100",
        "driver: 580.1",
        "One GPU, and a small canary",
        f"The code is {CODE}.",
        "curl $URL/v1/chat/completions",
        "bad (FAIL), by this evidence",
        "not asked in this evidence",
        mine[0].issue,
        "The engine's log is not on this host",
    ):
        assert said in text, said
    assert "\x1b" not in text and "sk-abcdef" not in text


def test_of_a_server_that_was_attached_to_nothing_is_claimed_that_nobody_saw(tmp_path: Path) -> None:
    """The cell's version, its launch and the asking host's GPU stood in the text as if they were the server's."""
    caution = "identity accepted by name: version: it tells none"
    seen = {"attached": True, "cautions": {"version": caution}}
    path = write_evidence(tmp_path, FIRST, exchange(PROMPT, chat(WRONG)), launch=seen)
    failure = read(path)[0]
    text = make_issue(failure, [(path, read_records(path))], [failure], [])
    assert (
        text.startswith("# [vllm of unknown version]") and caution in text and "Not known: it was attached to" in text
    )
    assert "1 x H100" not in text and "580.1" not in text and "the server did not tell it" in text
    folder = write_folder(failure, tmp_path / "out")
    assert ATTACHED in (folder / "README.md").read_text() and ATTACHED in (folder / "launch.sh").read_text()
    assert (folder / "launch.sh").read_text().startswith("#!/bin/bash\n# note")


def test_a_failure_of_a_run_that_was_cut_or_edited_says_so(evidence: Path, tmp_path: Path) -> None:
    """Only `gate` and `diff` said it; a text for maintainers said nothing."""
    whole = evidence.read_text()
    for name, text, told in (
        ("cut", "".join(line for line in whole.splitlines(keepends=True) if '"kind":"end"' not in line), "has no end"),
        ("edited", whole.replace("580.1", "580.2"), "not those that its end sealed"),
        ("whole", whole, ""),
    ):
        path = tmp_path / f"{name}.jsonl"
        path.write_text(text)
        failure = read(path)[0]
        said = make_issue(failure, [(path, read_records(path))], [failure], [])
        notes = [line for line in said.splitlines() if "NOTE" in line]
        assert (told in "".join(notes)) if told else not notes, (name, notes)


def test_a_registered_secret_is_in_no_file(tmp_path: Path) -> None:
    redact.register_secrets("hunter2hunter2")
    try:
        path = write_evidence(tmp_path, exchange(f"{PROMPT} hunter2hunter2", chat(f"{WRONG} hunter2hunter2")))
        out = write_folder(read(path)[0], tmp_path / "out")
        assert not any("hunter2" in p.read_text() for p in out.iterdir() if p.is_file())
        assert "hunter2" not in make_issue(read(path)[0], [], [], [])
    finally:
        redact.forget_secrets()


def test_a_failure_is_named_by_number_or_part_and_else_refused(evidence: Path) -> None:
    failures = read(evidence)
    assert pick_failure(failures, "1") is pick_failure(failures, "needle.found i1") is failures[0]
    with pytest.raises(ConfigError, match="0 failed tests fit 'needel'"):
        pick_failure(failures, "needel")
    with pytest.raises(ConfigError, match="holds no failure"):
        pick_failure([], "x")
    other = replace(failures[0], number=2, result=replace(failures[0].result, nodeid="suites/test_x.py::test_y"))
    with pytest.raises(ConfigError, match="2 failed tests fit"):
        pick_failure([failures[0], other], "needle")


def test_a_folder_of_something_else_is_not_written_to(evidence: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds something else"):
        write_folder(read(evidence)[0], tmp_path)
    out = write_folder(read(evidence)[0], tmp_path / "out")
    assert write_folder(read(evidence)[0], out) == out, "its own folder may be written again"


def test_the_new_reply_takes_the_place_of_the_recorded_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[KeptTape] = []

    def replay(path: Path, run: str, target: Path) -> subprocess.CompletedProcess[str]:
        own = next(r for r in read_records(path) if r.nodeid == NODE)
        seen.append(kept.read_tape(kept.folder_of(path), own.sha256))  # type: ignore[attr-defined]
        found = {"kind": "finding", **WHO, "check": "needle.found", "item": "i1", "ok": True, "expected": "", "got": ""}
        target.write_bytes(world.write(world.typed([found, world.result(PLAIN, "needle")])))
        return subprocess.CompletedProcess([], 0, "", "")

    monkeypatch.setattr(judge, "run_replay", replay)
    reply = chat(CODE).replace("glm-5", "another-name")
    assert judge_replies(folder, {1: NewReply(status=200, body=reply)}).word == "right now"
    first, second = seen[0].exchanges
    assert first.answer == FIRST.answer and second.asked == digest_question("http", question(PROMPT))
    assert json.loads(second.answer["body"])["model"] == "glm-5", "a server may call the model by another name"


def test_a_prompt_is_shortened_while_it_fails_and_keeps_what_the_answer_needs(
    folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer = lambda prompt: WRONG if "Fish swim" in prompt else f"The code is {CODE}."

    def judged(_: Path, replies: dict[int, NewReply]) -> judge.JudgedReplies:
        right = CODE in replies[1].body
        return judge.JudgedReplies(
            word="right now" if right else "same", why="", kind="" if right else "not in the reply"
        )

    monkeypatch.setattr(minimise, "judge_replies", judged)
    found = minimise_folder(folder, server.url)
    text = json.loads((folder / "request.min.json").read_text())["body"]["messages"][0]["content"]
    assert text == f"What is the code? The code is {CODE}. Fish swim. Answer now."
    assert found.minimal and found.after_chars < found.before_chars and server.asked == found.trials + 1
    server.answer = lambda _: CODE
    with pytest.raises(ConfigError, match="there is no failure to shorten"):
        minimise_folder(folder, server.url)


def test_an_http_error_is_a_failure_that_can_be_shortened(folder: Path, server: Server) -> None:
    server.status = 500
    assert minimise_folder(folder, server.url).minimal


def test_the_verbs_list_write_and_judge(evidence: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = ("--evidence", str(evidence))
    assert cli.main(["repro", *named]) == 0
    assert capsys.readouterr().out.startswith("1 FAIL suites/test_needle.py")
    assert cli.main(["repro", "1", *named, "--out", str(tmp_path / "o")]) == 0
    assert cli.main(["issue", "1", *named, "--out", str(tmp_path / "issue.md")]) == 0
    assert "## Environment" in (tmp_path / "issue.md").read_text()
    for words in (["--judge", str(tmp_path / "o")], ["--judge", str(tmp_path), "--replies", str(evidence)]):
        assert cli.main(["repro", *words]) == 2
