"""Evidence of one failed test with its kept exchanges, for the tests of this room."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from reports.evidence import kept
from reports.evidence.kept import Exchange, KeptTape, digest_question
from tests.reports import world
from tests.reports.world import PLAIN, Json

NODE = world.nodeid("needle", PLAIN)
WHO: Json = {"cell": PLAIN, "fingerprint": "f0", "test": "test_finds_the_needle", "nodeid": NODE}
CODE = "b0d860"
WRONG = "I do not know. \x1b[2J"


def chat(text: str, finish: str = "stop") -> str:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    return json.dumps({"id": "x1", "model": "glm-5", "choices": [choice]})


def question(text: str) -> Json:
    body = {"model": "glm-5", "messages": [{"role": "user", "content": text}], "max_tokens": 9}
    return {"method": "POST", "path": "/v1/chat/completions", "body": json.dumps(body)}


def exchange(text: str, reply: str, lane: str = "") -> Exchange:
    asked = question(text)
    answer = {"status": 200, "headers": {}, "body": reply, "at_s": [0.1], "sizes": [len(reply)], "whole": True}
    return Exchange(kind="http", asked=digest_question("http", asked), question=asked, answer=answer, lane=lane)


PROMPT = f"What is the code? Birds fly. The code is {CODE}. Fish swim. Answer now."
FIRST = exchange("Say hello.", chat("hello"))


def write_evidence(folder: Path, *exchanges: Exchange, finding: Json | None = None, **result: Any) -> Path:
    path = folder / "e.jsonl"
    fields = world.green()[:4]
    fields[0] |= {"host": {"description": "1 x H100", "driver": "580.1"}, "commit": "c0ffee"}
    fields[1] |= {"script": "#!/bin/bash\nexec engine --api-key sk-abcdefghijklmnopqrstuv\n"}
    fields[1]["facts"] |= {"engine": "vllm", "version": "0.26.0", "canary": True, "gpus": 1}
    fields[3] |= {"versions": {"vllm": "0.26.0"}, **result.pop("launch", {})}
    found = {
        "kind": "finding",
        **WHO,
        "check": "needle.found",
        "ok": False,
        "expected": f"The code is {CODE}.",
        "got": WRONG,
        "item": "i1",
        "detail": f"['{CODE}'] not in the reply",
    }
    fields.append(found | (finding or {}))
    if exchanges:
        tape = KeptTape(run="r1", nodeid=NODE, cell=PLAIN, fingerprint="f0", exchanges=exchanges)
        stored = kept.write_tape(kept.folder_of(path), tape)
        fields.append({"kind": "kept", **WHO, "sha256": stored.sha256, "bytes": stored.bytes, "exchanges": 1})
    fields.append(world.result(PLAIN, "needle", "FAIL", message="bad", **result))
    path.write_bytes(world.write(world.seal(fields)))
    return path
