"""Sends the request of this folder to a server and compares its reply with the recorded one. Standard library only.

    python3 ask.py URL                  one request
    python3 ask.py URL --all            every request of the test, simultaneous ones together
    python3 ask.py URL --minimised      the shortened request, where there is one

The first line says `same`, `differs` or `right now`. The last needs glm-matrix (on PATH, or in $GLM_MATRIX), which runs
the same check on the new reply; without it a reply can only be the same or differ. Exit codes: 0 right now, 1 same,
3 differs, 2 the server gave no answer. A key is read from $OPENAI_API_KEY and is sent to that URL only.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

CODES = {"right now": 0, "same": 1, "differs": 3}
NO_ANSWER = 2
SILENCE_S = 900.0
BODY_BYTES = 64 << 20
AT_ONCE = 64
JUDGE_S = 900.0
SHOWN_CHARS = 600
API_ROOT = re.compile(r"/v\d+(?:(?:alpha|beta)\d*)?(?:/openai)?$")  # of an address that says its own version
Json = Any


class NoAnswer(OSError):
    """The server could not be reached, or its reply did not end."""


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: Json) -> None:
        """Follow no redirect: another server was not asked."""


class _CommandLine(argparse.ArgumentParser):
    """Names the nearest option for a misspelt one, as every verb of glm-matrix does. This file may import none of them:
    whoever is sent the folder has it alone."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Look at the options first: argparse would only say that the URL is missing."""
        known = [name for action in self._actions for name in action.option_strings]
        for word in sys.argv[1:] if args is None else args:
            name = word.partition("=")[0]
            if name.startswith("-") and not any(option.startswith(name) for option in known):
                near = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean {near[0]}?" if near else f"valid: {', '.join(known)}"
                self.error(f"unrecognized arguments: {name}; {hint}")
        return super().parse_known_args(args, namespace)


def place_path(url: str, path: str) -> str:
    """Put a recorded path behind an address, whose own version of the API stands for the recorded `/v1`."""
    url = url.rstrip("/")
    return url + (path.removeprefix("/v1") if API_ROOT.search(url.partition("://")[2]) else path)


def send_request(url: str, request: Json, model: str = "", key: str = "") -> tuple[int, bytes]:
    """Send one recorded request and return status and body.

    Raises:
        NoAnswer: no whole reply came.
    """
    body = request.get("body")
    if isinstance(body, dict) and model:
        body = {**body, "model": model}
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    asked = urllib.request.Request(place_path(url, request["path"]), data, headers, method=request["method"])  # noqa: S310
    # Past every proxy, and after no redirect: the reply must be that of the server which was named.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay())
    try:
        with opener.open(asked, timeout=SILENCE_S) as reply:
            return reply.status, reply.read(BODY_BYTES)
    except urllib.error.HTTPError as refused:  # an answer like any other: a failure may be a refusal
        with refused:
            return refused.code, refused.read(BODY_BYTES)
    except (OSError, ValueError) as error:
        raise NoAnswer(f"{url}: {error}") from None


def read_reply(status: int, body: bytes) -> dict[str, Json]:
    """Read what a reply says, without ids, times and counts: equal replies are equal here."""
    text = body.decode("utf-8", "replace")
    chunks = _parse_events(text) if text.lstrip().startswith("data:") else _parse_whole(text)
    if chunks is None:
        return {"status": status, "text": text}
    said: dict[str, Json] = {"status": status, "content": "", "reasoning": "", "finish_reason": None, "calls": {}}
    for chunk in chunks:
        if "choices" not in chunk:
            said["text"] = text
        for choice in chunk.get("choices") or ():
            _add_choice(said, choice)
    return {**said, "calls": list(said["calls"].values())}


def _parse_whole(text: str) -> list[Json] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return [found] if isinstance(found, dict) else None


def _parse_events(text: str) -> list[Json] | None:
    lines = [line[5:].strip() for line in text.splitlines() if line.startswith("data:")]
    found = [_parse_whole(line) for line in lines if line != "[DONE]"]
    return None if any(each is None for each in found) else [each[0] for each in found if each]


def _add_choice(said: dict[str, Json], choice: Json) -> None:
    part = choice.get("delta") or choice.get("message") or {}
    said["content"] += part.get("content") or choice.get("text") or ""
    said["reasoning"] += part.get("reasoning_content") or part.get("reasoning") or ""
    said["finish_reason"] = choice.get("finish_reason") or said["finish_reason"]
    for place, call in enumerate(part.get("tool_calls") or ()):
        own = said["calls"].setdefault(call.get("index", place), {"name": "", "arguments": ""})
        function = call.get("function") or {}
        own["name"] += function.get("name") or ""
        own["arguments"] += function.get("arguments") or ""


def main(words: list[str] | None = None) -> int:
    """Ask, compare, print and return the exit code."""
    here = Path(__file__).resolve().parent
    args = _parser().parse_args(words)
    try:
        replies = _send_requests(here, args)
    except NoAnswer as error:
        sys.stderr.write(f"no answer: {error}\n")
        return NO_ANSWER
    recorded = json.loads((here / "reproduction.json").read_text("utf-8"))
    saved = here / "replies.new.json"
    saved.write_text(json.dumps({str(n): _keep(*reply) for n, reply in replies.items()}, indent=1), "utf-8")
    # With --all the others are asked for what they do to the server; the recorded failure is of this one.
    mine = replies.get(recorded["exchange"]) or next(iter(replies.values()))
    said = read_reply(*mine)
    word, why = _compare_replies(here, said, recorded, saved, args)
    shown = said.get("content") or said.get("text") or json.dumps(said.get("calls") or "")
    sys.stdout.write(
        f"{word}\n{why}expected: {recorded['expected']!r}\nbefore:   {recorded['got']!r}\nnow:      {shown!r}\n"
    )
    return CODES[word]


def _parser() -> argparse.ArgumentParser:
    own = _CommandLine(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    own.add_argument("url", help="the server, e.g. http://127.0.0.1:8000")
    own.add_argument("--model", default="", help="the model's name there (default: the recorded one)")
    own.add_argument("--all", action="store_true", help="send every request of the test")
    own.add_argument("--minimised", action="store_true", help="send the shortened request")
    return own


def _send_requests(here: Path, args: argparse.Namespace) -> dict[int, tuple[int, bytes]]:
    key = os.environ.get("OPENAI_API_KEY", "")
    if not args.all:
        name = "request.min.json" if args.minimised else "request.json"
        request = json.loads((here / name).read_text("utf-8"))
        return {request["exchange"]: send_request(args.url, request, args.model, key)}
    requests = json.loads((here / "requests.json").read_text("utf-8"))
    replies: dict[int, tuple[int, bytes]] = {}
    for together in group_requests(requests):
        with ThreadPoolExecutor(min(len(together), AT_ONCE)) as pool:
            asked = [(r["exchange"], pool.submit(send_request, args.url, r, args.model, key)) for r in together]
            replies |= {number: reply.result() for number, reply in asked}
    return replies


def group_requests(requests: list[Json]) -> list[list[Json]]:
    """Group neighbouring requests that were sent together: those of one lane group (`1.0`, `1.1`)."""
    groups: list[list[Json]] = []
    for request in requests:
        lane = request.get("lane", "").rpartition(".")[0]
        if lane and groups and groups[-1][0].get("lane", "").rpartition(".")[0] == lane:
            groups[-1].append(request)
        else:
            groups.append([request])
    return groups


def _cut_text(text: str) -> str:
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}... ({len(text):,} characters)"


def _keep(status: int, body: bytes) -> Json:
    return {"status": status, "body": body.decode("utf-8", "replace")}


def _compare_replies(here: Path, said: Json, recorded: Json, saved: Path, args: argparse.Namespace) -> tuple[str, str]:
    # The recorded reply was judged before, so nothing but Python is needed to see it again.
    if said == recorded["said"] and not args.all and not args.minimised:
        return "same", "the reply is the recorded one\n"
    found = os.environ.get("GLM_MATRIX") or shutil.which("glm-matrix")
    if not found or not (here / "judge").is_dir():
        word = "same" if said == recorded["said"] else "differs"
        return word, "the check was not run again: glm-matrix is not on PATH\n"
    try:
        done = subprocess.run(
            [found, "repro", "--judge", str(here), "--replies", str(saved)],
            capture_output=True,
            text=True,
            check=False,
            timeout=JUDGE_S,
        )
    except (OSError, subprocess.SubprocessError) as error:  # a traceback would end with 1, which means "same"
        return "differs", f"the check could not be run again with {found}: {error}\n"
    word, _, why = done.stdout.partition("\n")
    if word not in CODES:
        return "differs", f"the check could not be run again: {(done.stderr or done.stdout).strip()[-400:]}\n"
    return word, why


if __name__ == "__main__":
    sys.exit(main())
