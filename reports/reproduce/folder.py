"""Writes the folder that shows one failure: launch script, request, raw reply, what was expected, and `run.sh URL`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from matrix import variables
from matrix.checkout import CHECKOUT
from matrix.errors import ConfigError, HostError, Problem
from matrix.output.markdown import format_markdown_table
from reports.evidence import redact
from reports.evidence.defuse import defuse_for_code, defuse_for_markdown, defuse_line
from reports.evidence.kept import KeptTape, Unreadable
from reports.reproduce import judge
from reports.reproduce.failures import ReproducedFailure
from reports.reproduce.requests import AskedRequest, choose_request, list_requests, read_tape_of

ASK: Final = CHECKOUT / "reports" / "reproduce" / "ask.py"
TEXT_CHARS: Final = 20_000  # of a message
SHOWN_CHARS: Final = 600  # of an answer; the whole is in reproduction.json
RUNNABLE: Final = 0o755
RUN: Final = """#!/usr/bin/env bash
# usage: run.sh URL [--all] [--model NAME]      says: same, differs, or right now
set -euo pipefail
exec python3 "$(dirname "$0")/ask.py" "$@"
"""
NO_REQUEST: Final = """#!/usr/bin/env bash
# {why}
echo "no request to send: {why}" >&2
exit 2
"""
# The key goes through a pipe: every user of a host can read its command lines. Neither ~/.curlrc nor a proxy counts:
# the reply must be that of the server which was named.
CURL: Final = """#!/usr/bin/env bash
# usage: request.curl.sh URL
set -euo pipefail
URL=${{1:?usage: request.curl.sh URL}}
curl --disable --noproxy '*' -sS "${{URL%/}}{path}" -H 'Content-Type: application/json' \\
  -H @<(printf '%s' "${{OPENAI_API_KEY:+Authorization: Bearer $OPENAI_API_KEY}}") \\
  --data-binary @"$(dirname "$0")/{body}"
"""
Json = Any


def write_folder(failure: ReproducedFailure, out: Path) -> Path:
    """Write everything about one failure to a new or empty folder and return the folder.

    Raises:
        ConfigError: the folder holds files of something else.
        HostError: it cannot be written.
    """
    _require_free(out)
    requests, why, tape = _read_requests(failure)
    chosen = choose_request(requests, failure.finding, failure.alike)
    facts = make_facts(failure, chosen, why)
    try:
        out.mkdir(parents=True, exist_ok=True)
        _write_text(out / judge.FACTS, _as_json(facts))
        _write_text(out / "README.md", make_readme(facts))
        _write_text(out / "launch.sh", _make_launch(failure), run=True)
        # Without a request there is still a `run.sh`: it says why, where a missing file would look like a bug of ours.
        if chosen is None or tape is None:
            _write_text(out / "run.sh", NO_REQUEST.format(why=_one_line(facts["request"])), run=True)
        else:
            _write_requests(out, chosen, requests)
            _write_judge(out, failure, tape)
    except OSError as error:
        raise HostError(f"{out}: cannot be written: {error.strerror or error}") from None
    return out


def _make_launch(failure: ReproducedFailure) -> str:
    """Make the launch script; of a server that was attached to it is the cell's, and says so in its second line."""
    if failure.facts is None:
        return NO_SCRIPT
    first, _, rest = redact.redact_text(failure.facts.script).partition("\n")
    notes = "".join(f"# note        {defuse_line(said)}\n" for said in failure.unseen)
    return f"{first}\n{notes}{rest}"


NO_SCRIPT: Final = "#!/usr/bin/env bash\n# the launch script was not recorded\nexit 2\n"


def _require_free(out: Path) -> None:
    # A folder of an earlier `repro` is written over: whoever tries again with --minimise keeps its name.
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / judge.FACTS).exists())):
        raise ConfigError([Problem(str(out), 0, "", "it holds something else; name a new or empty folder with --out")])


def _read_requests(failure: ReproducedFailure) -> tuple[list[AskedRequest], str, KeptTape | None]:
    if failure.at_launch:
        return [], "the engine did not start, so nothing was asked", None
    try:
        tape = read_tape_of(failure)
    except Unreadable as error:
        return [], f"the request and its reply are not known: {error}", None
    requests = list_requests(tape)
    return requests, "" if requests else "its test sent no request", tape


def make_facts(failure: ReproducedFailure, chosen: AskedRequest | None, why: str) -> Mapping[str, Json]:
    """Make `reproduction.json`: the failure, its request, versions and digests. Secrets are removed."""
    result, found, run, launch = failure.result, failure.finding, failure.run, failure.launch
    facts = {
        "cell": failure.cell,
        "nodeid": result.nodeid,
        "status": result.status,
        "known_failure": result.known_failure,
        "message": result.message,
        "check": found.check if found else "",
        "item": found.item if found else "",
        "nth": failure.nth,
        "expected": found.expected if found else "",
        "got": found.got if found else "",
        "detail": found.detail if found else "",
        "request": chosen.why if chosen else why,
        "certain": bool(chosen and chosen.certain),
        "exchange": chosen.exchange if chosen else None,
        "said": chosen.said if chosen else None,
        "facts": failure.facts.facts if failure.facts else {},
        "versions": launch.versions if launch else {},
        "command": launch.command if launch else (),
        "host": run.host if run else {},
        "notes": failure.notes,
        "digests": _gather_digests(failure),
        "run": result.run,
        "depth": run.depth if run else "",
    }
    # Through JSON first, so that secrets are looked for in the very texts that are written, of dates and enums too.
    made: Mapping[str, Json] = redact.redact_data(json.loads(json.dumps(facts, default=str)))
    return made


def _gather_digests(failure: ReproducedFailure) -> Mapping[str, str]:
    run, facts, found = failure.run, failure.facts, failure.finding
    digests = {
        "fingerprint": failure.result.fingerprint,
        "commit": run.commit if run else "",
        "matrix_sha256": run.matrix_sha256 if run else "",
        "cell_sha256": facts.sha256 if facts else "",
        "replies_sha256": failure.kept.sha256 if failure.kept else "",
        "prompt_sha256": str(found.data.get("prompt_sha256", "")) if found else "",
    }
    return {name: value for name, value in digests.items() if value}


def _write_requests(out: Path, chosen: AskedRequest, requests: Sequence[AskedRequest]) -> None:
    _write_text(out / "request.json", _as_json(redact.redact_data(chosen.request)))
    # The body again, alone: curl sends a file as it is.
    _write_text(out / "request.body.json", _as_json(redact.redact_data(chosen.body)))
    _write_text(out / "request.curl.sh", CURL.format(path=chosen.path, body="request.body.json"), run=True)
    _write_text(out / "requests.json", _as_json(redact.redact_data([asked.request for asked in requests])))
    _write_text(out / "reply.txt", redact.redact_text(chosen.reply.decode("utf-8", "replace")))
    shutil.copyfile(ASK, out / "ask.py")
    _write_text(out / "run.sh", RUN, run=True)


def _write_judge(out: Path, failure: ReproducedFailure, tape: KeptTape) -> None:
    """Write the test's own evidence, with which its check runs again on another reply."""
    assert failure.kept is not None
    # A replay begins with the record of its run. Evidence without one, a part of a file, can be shown and not judged.
    if failure.run is not None:
        judge.write_test(out / judge.FOLDER / judge.EVIDENCE, [failure.run, failure.kept], tape)


def write_shrunk(out: Path, request: Mapping[str, Json], body: Json) -> None:
    """Write the shortened request beside the recorded one."""
    # Beside it and not in its place: that the shorter prompt fails alike is the word of one server on one day.
    clean = redact.redact_data(body)
    _write_text(out / "request.min.json", _as_json({**request, "body": clean}))
    _write_text(out / "request.min.body.json", _as_json(clean))
    text = CURL.format(path=request["path"], body="request.min.body.json")
    _write_text(out / "request.min.curl.sh", text.replace("request.curl.sh URL", "request.min.curl.sh URL"), run=True)


def make_readme(facts: Mapping[str, Json]) -> str:
    """Describe the failure and the files of its folder in Markdown."""
    return "\n".join(_iterate_readme(facts)) + "\n"


def _iterate_readme(facts: Mapping[str, Json]) -> Iterator[str]:
    yield f"# {facts['status']} {defuse_for_code(facts['nodeid'])}\n"
    # The message of a test that failed by a finding is that finding again.
    for title in ("check", "item", "detail", "message"):
        if facts[title] and not (title == "message" and facts["check"]):
            yield f"- {title}: {defuse_for_markdown(facts[title], TEXT_CHARS)}"
    if facts["known_failure"]:
        yield f"- known failure: {defuse_for_code(facts['known_failure'])} (`glm-matrix why {facts['known_failure']}`)"
    yield f"- expected: {defuse_for_code(facts['expected'] or 'see the message', SHOWN_CHARS)}"
    yield f"- got: {defuse_for_code(facts['got'] or 'see the message', SHOWN_CHARS)}"
    yield f"- request: {defuse_for_markdown(facts['request'])}"
    yield from _say_choice(facts)
    yield from (f"- note: {defuse_for_markdown(said)}" for said in facts["notes"])
    told = (*facts["facts"].items(), *facts["versions"].items(), *_host_rows(facts["host"]), *facts["digests"].items())
    rows = ((defuse_for_markdown(str(name)), defuse_for_code(str(value))) for name, value in told)
    yield f"\n{format_markdown_table(('what', 'value'), rows)}".rstrip()
    yield FILES if facts["exchange"] is not None else FILES_WITHOUT


def _say_choice(facts: Mapping[str, Json]) -> Iterator[str]:
    if facts["exchange"] is not None and not facts["certain"]:
        yield "- More than one request of the test fits, or none is certain: `./run.sh URL --all` sends them all."


def _host_rows(host: Mapping[str, Json]) -> Iterator[tuple[str, Json]]:
    named = {"asking host": "description", "driver": "driver", "cuda": "cuda", "machine": "machine"}
    yield from ((name, host[key]) for name, key in named.items() if host.get(key))


FILES: Final = """
```bash
bash launch.sh                        # in a checkout with the weights, or start the engine your own way
./run.sh http://127.0.0.1:8000        # same, differs, or right now
```

| file | what |
| --- | --- |
| `request.curl.sh`, `ask.py` | the request with curl, and with Python's standard library |
| `request.json`, `requests.json` | the request, and every request of its test in order |
| `reply.txt` | the recorded reply, as it came |
| `reproduction.json` | all of the above as data |
| `judge/` | the test's replies, with which glm-matrix runs the same check on a new reply |

`right now` needs glm-matrix on PATH (or in `$COMMAND`). Without it, a reply can only be the same or differ.
""".replace("$COMMAND", f"${variables.REPRO_COMMAND.name}")
FILES_WITHOUT: Final = """
There is no request in this folder, for the reason above. `launch.sh` starts the engine as it was started.
"""


def _write_text(path: Path, text: str, *, run: bool = False) -> None:
    path.write_text(text, encoding="utf-8", errors="backslashreplace")
    if run:
        path.chmod(RUNNABLE)


def _as_json(value: Json) -> str:
    return json.dumps(value, indent=1, ensure_ascii=True) + "\n"


def _one_line(text: str) -> str:
    """Make a text that is harmless inside a comment and between double quotes of a shell."""
    return "".join(char if char.isalnum() or char in " .,:;()-_/" else " " for char in " ".join(text.split()))
