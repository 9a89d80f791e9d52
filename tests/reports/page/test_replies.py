"""The prompt and the reply of a finding, from what was kept beside the evidence."""

from __future__ import annotations

import json
from pathlib import Path

from reports.evidence import kept
from reports.evidence.kept import Exchange, KeptTape
from reports.evidence.summary import CellRow, make_board
from reports.page.cell import About, render_cell
from reports.page.places import PagePlaces
from reports.page.replies import EDGE_CHARS, Replies
from tests.reports import world
from tests.reports.page.test_cell import WORD
from tests.reports.world import PLAIN, Json

NODE = world.nodeid("needle", PLAIN)
LOG = "\n".join(f"line {n}" for n in range(30))


def exchange(kind: str, question: Json, answer: Json) -> Exchange:
    return Exchange(kind=kind, asked=kept.digest_question(kind, question), question=question, answer=answer)


def asked(prompt: str, said: str) -> Exchange:
    body = json.dumps({"model": "m", "temperature": 0, "messages": [{"role": "user", "content": prompt}]})
    reply = json.dumps({"choices": [{"message": {"role": "assistant", "content": said}, "finish_reason": "stop"}]})
    question = {"method": "POST", "path": "/v1/chat/completions", "body": body}
    return exchange("http", question, {"status": 200, "headers": {}, "body": reply})


def row_with(folder: Path, *exchanges: Exchange) -> CellRow:
    stored = kept.write_tape(folder / "e.kept", KeptTape(run="r1", nodeid=NODE, cell=PLAIN, exchanges=exchanges))
    finding = {"kind": "finding", "cell": PLAIN, "nodeid": NODE, "check": "needle.found", "ok": False}
    fields: list[Json] = [
        *world.green(),
        {**finding, "expected": "81", "got": "the code is 82"},
        {"kind": "kept", "cell": PLAIN, "nodeid": NODE, "sha256": stored.sha256, "bytes": stored.bytes},
    ]
    return next(row for row in make_board(world.typed(fields)).rows if row.cell == PLAIN)


def test_a_finding_has_the_prompt_and_the_reply_that_it_quotes(tmp_path: Path) -> None:
    row = row_with(tmp_path, asked("hello?", "hello"), asked("which code?", "the code is 82"))
    test = next(t for t in row.tests if t.nodeid == NODE)
    talk = Replies.beside([tmp_path / "other.jsonl", tmp_path / "e.jsonl"]).find_talk(row, test, test.findings[-1])
    assert talk is not None
    assert (talk.prompt, talk.reply, talk.sampling) == ("user: which code?", "the code is 82", "temperature=0")


def test_a_long_prompt_keeps_its_beginning_and_its_end(tmp_path: Path) -> None:
    row = row_with(tmp_path, asked("a" * 9_000 + "which code?", "the code is 82"))
    test = next(t for t in row.tests if t.nodeid == NODE)
    talk = Replies.beside([tmp_path / "e.jsonl"]).find_talk(row, test, test.findings[-1])
    assert talk is not None and talk.prompt.endswith("which code?") and len(talk.prompt) < 2 * EDGE_CHARS + 100


def test_the_log_is_what_the_test_looked_at_last(tmp_path: Path) -> None:
    row = row_with(tmp_path, exchange("log", {}, {"value": {"text": LOG}}))
    test = next(t for t in row.tests if t.nodeid == NODE)
    assert Replies.beside([tmp_path / "e.jsonl"]).find_log(row, test).splitlines()[-1] == "line 29"


def test_every_request_stands_on_the_page_shortened_and_inert(tmp_path: Path) -> None:
    row = row_with(tmp_path, asked("<script>1" + "a" * 9_000, "hello"), asked("which code?", "the code is 82"))
    about = About(judgement=WORD, places=PagePlaces(Path("i.html")), replies=Replies.beside([tmp_path / "e.jsonl"]))
    page = render_cell(row, about)
    assert "Every prompt and reply" in page and "&lt;script&gt;1aaa" in page and "characters ...]" in page
    assert page.count('class="said"') == 4 and "<script>1" not in page


def test_the_commands_of_a_failure_name_the_evidence_it_lies_in(tmp_path: Path) -> None:
    """Pasted as they stood they read the last run of the folder, which is another one or none."""
    row = row_with(tmp_path, asked("which code?", "the code is 82"))
    for files, said in (
        ((tmp_path / "my night.jsonl",), f" --evidence &#39;{tmp_path}/my night.jsonl&#39;"),
        ((), "]&#39;"),
        (tuple(Path(f"e{n}.jsonl") for n in range(9)), " --evidence EVIDENCE"),
    ):
        page = render_cell(row, About(judgement=WORD, places=PagePlaces(Path("i.html")), evidence=files))
        lines = [line for line in page.splitlines() if "glm-matrix repro" in line]
        assert lines and all(line.count(said) >= 2 for line in lines), (said, lines)


def test_without_kept_replies_there_is_none(tmp_path: Path) -> None:
    row = row_with(tmp_path, asked("which code?", "the code is 82"))
    test = next(t for t in row.tests if t.nodeid == NODE)
    assert Replies().find_talk(row, test, test.findings[-1]) is None
