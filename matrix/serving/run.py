"""Sections from the launch on: start, wait until ready, one question, lines that prove, stop."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, Final

from matrix.condition import compile_condition
from matrix.planning.plan import Plan

LEAST_WAIT_S: Final = 3600  # 300 GB over a slow disk, cold kernels; the deadlines of the engine's stages come on top
# Neither a proxy nor ~/.curlrc counts: where http_proxy is set for everybody, curl would send even 127.0.0.1 there.
WAIT: Final = """WAIT_S=${{WAIT_S:-{wait_s}}}
END=$((SECONDS + WAIT_S))
until curl --disable --noproxy '*' --fail --silent --max-time 5 --output /dev/null "http://127.0.0.1:$PORT"{health}; do
  if ! kill -0 "$SERVER" 2>/dev/null; then
    tail -n 40 -- "$LOG" >&2
    die "the engine ended before it was ready; its log is $LOG"
  fi
  if [ "$SECONDS" -ge "$END" ]; then
    tail -n 40 -- "$LOG" >&2
    die "not ready after $WAIT_S s; its log is $LOG"
  fi
  sleep "${{POLL_S:-2}}"
done"""
ASK: Final = """call() {{ # API_KEY is sent where it is set; it stands on no command line
  curl --disable --noproxy '*' --fail --silent --show-error --max-time 300 \\
    --header @<(printf 'Authorization: Bearer %s\\n' "${{API_KEY:-none}}") "$@"
}}
NAME=$(call "http://127.0.0.1:$PORT/v1/models" | python3 -c '
import json, sys
print(json.load(sys.stdin)["data"][0]["id"])')
BODY=$(python3 -c 'import json, sys
print(json.dumps({{"model": sys.argv[1], **json.loads(sys.argv[2])}}))' \\
  "$NAME" {body})
call --header 'Content-Type: application/json' --data "$BODY" \\
  "http://127.0.0.1:$PORT/v1/chat/completions" | python3 -c '
import json, sys
said = (json.load(sys.stdin)["choices"][0]["message"].get("content") or "").strip()
print(f"answer: {{said}}")
sys.exit(0 if said else "the answer is empty")'"""
QUESTION: Final[Mapping[str, Any]] = {
    "messages": [{"role": "user", "content": "What is the capital of Poland?"}],
    "max_tokens": 64,
    "temperature": 0,
}
THOUGHT_TOKENS: Final = 4096  # room for a thought that no request can switch off, and the answer behind it
SHOWN: Final = ("kv_tokens", "kv_bytes", "attention_backend", "dsa_backends", "dsa_selected", "speculation", "kv_dtype")
STOP: Final = """stop() {{
  trap - EXIT INT TERM
{stop}
}}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM"""
STOP_GROUP: Final = """  kill -TERM -- "-$SERVER" 2>/dev/null || return 0
  for _ in $(seq 300); do
    kill -0 -- "-$SERVER" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -KILL -- "-$SERVER" 2>/dev/null || true"""
STOP_CONTAINER: Final = '  docker stop --time 30 "$NAME_OF_CONTAINER" >/dev/null 2>&1 || true'
KEEP: Final = """if [ "${KEEP:-1}" = 1 ]; then
  say "serving at http://127.0.0.1:$PORT, log $LOG; Ctrl-C stops it"
  wait "$SERVER"
fi"""


def wait_until_ready(plan: Plan) -> str:
    """Wait, bounded, until the health endpoint answers; the log's end is shown where it does not."""
    engine = plan.cell.engine
    wait_s = LEAST_WAIT_S + int(sum(engine.deadlines_s.values()))
    # a canary on a CPU is up within seconds: an hour of waiting would only hide that it is not
    return WAIT.format(wait_s=wait_s if plan.cell.rig.gpus else 600, health=shlex.quote(engine.health_path))


def ask_one_question(plan: Plan) -> str:
    """Ask a question under the name that the server gives its model, without thinking where the template can."""
    checkpoint = plan.cell.checkpoint
    # with a budget for an answer alone, a checkpoint that always thinks would end within its thought: an empty answer
    more: Mapping[str, Any] = {"max_tokens": THOUGHT_TOKENS} if checkpoint.thinking == "always" else {}
    if checkpoint.thinking == "switch":
        more = {"chat_template_kwargs": {checkpoint.thinking_switch: False}}
    return ASK.format(body=shlex.quote(json.dumps({**QUESTION, **more})))


def show_proofs(plan: Plan) -> Iterator[str]:
    """Show the log lines that say what is in effect; end where one says that the launch is another one."""
    observe = plan.cell.engine.observe
    for name in SHOWN:
        # shown, not judged: one line of a log proves what was announced, the suites prove what is in effect
        if pattern := _log_pattern(observe.get(name)):
            yield f"grep --max-count=1 -aoP -- {shlex.quote(pattern)} \"$LOG\" || echo 'not in the log: {name}'"
    for name, pattern, why in _list_refuting(plan):
        yield (
            f'! grep -aP -- {shlex.quote(pattern)} "$LOG" >&2 \\\n'
            f"  || die {shlex.quote(f'{name}: {why}; the launch is not what was asked for')}"
        )


def _list_refuting(plan: Plan) -> Iterator[tuple[str, str, str]]:
    """List lines that refute the plan: a fallback that the cell does not expect, sparse kernels in a dense launch."""
    observe = plan.cell.engine.observe
    for name, how in observe.items():
        if isinstance(how, Mapping) and how.get("fallback") and not _expects(plan, how.get("expected_when")):
            yield name, _log_pattern(how), str(how["fallback"])
    # a dense launch that still selects has the patch in front of nothing: its answers would be those of another cell
    dense = str(plan.settings.get("kv_layout", "")).startswith("dense")
    if dense and plan.patches and (pattern := _log_pattern(observe.get("dsa_selected"))):
        yield "dsa_selected", pattern, "sparse attention was selected although the patch should exclude it"


def _expects(plan: Plan, when: object) -> bool:
    return isinstance(when, Mapping) and compile_condition(when)(plan.cell.facts)


def _log_pattern(how: object) -> str:
    """Return the pattern of a log line as grep -P takes it, or an empty word."""
    found = how.get("log") if isinstance(how, Mapping) else None
    return str(found) if found else ""


def stop_server(*, container: bool) -> str:
    """Stop the server and whatever it started when the script ends, however it ends."""
    return STOP.format(stop=STOP_CONTAINER if container else STOP_GROUP)
