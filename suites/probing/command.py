"""probe: what serves at an address, which cell it comes nearest to, and whether it answers right. Any model.

    probe http://127.0.0.1:8000                      a server of your own
    probe https://api.example.com/v1 --model glm-5.1   a vendor's; its key in GLM_MATRIX_ENDPOINT_KEY
    probe URL --no-questions                         identity only, no token is spent
Asks 16 questions (about 10,000 prompt tokens) and judges them by the checks of the suites. It is a look, and no
evidence: a gate wants `pytest --endpoint URL --cells CELL`, which compares identity first and keeps every reply.
Exit code: 0 all right, 1 an answer is wrong, 2 bad usage or not reachable, 3 not everything could be asked.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace

from fixtures.banks import bank_for
from fixtures.banks.bank import Bank
from fixtures.banks.glm5 import Glm5Bank
from fixtures.client.client import Client
from fixtures.client.exchange import Access
from fixtures.launch.attached.attachment import KEY_VARIABLE, checked_ca, checked_url, parse_header
from fixtures.launch.readiness import Endpoint
from matrix.errors import EngineError, EngineNotReady, HostError, MatrixError
from matrix.output.command_line import CommandLine
from matrix.wording import list_first
from matrix.yaml.load import load_matrix
from reports.evidence import redact
from suites.probing.asking import Asker, LimitReached
from suites.probing.identify import ServedModel, identify_server
from suites.probing.questions import NEEDLE_TOKENS, ProbeQuestion, list_questions
from suites.probing.result import Answered, Probe, render_json, render_text

SILENCE_S, TOTAL_S = 60.0, 300.0
SHOWN_NAMES = 5
MOST_TOKENS = 2_000_000
MOST_PATIENCE_S = 86_400


def make_parser() -> argparse.ArgumentParser:
    made = CommandLine(
        prog="glm-matrix probe", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("url", metavar="URL", help="http://HOST:PORT or https://HOST, with the path prefix of a gateway")
    made.add_argument(
        "--model",
        default="",
        help="the served name to ask; default: the first that it lists; needed where it lists none",
    )
    made.add_argument(
        "--header", action="append", default=[], metavar="'NAME: VALUE'", help="an extra header; may be repeated"
    )
    made.add_argument("--ca", metavar="FILE", help="the certificate authority of the server (PEM)")
    made.add_argument("--insecure-tls", action="store_true", help="do not verify TLS; the report says so")
    made.add_argument("--thinking", action="store_true", help="ask with thinking on (default: off where it can be)")
    made.add_argument("--no-questions", action="store_true", help="identity only; no token is spent")
    made.add_argument(
        "--needles",
        type=read_length,
        nargs="*",
        default=list(NEEDLE_TOKENS),
        metavar="TOKENS",
        help=f"prompt lengths of the needle questions (default {' '.join(map(str, NEEDLE_TOKENS))})",
    )
    made.add_argument(
        "--patience",
        type=read_patience,
        default=SILENCE_S,
        metavar="SECONDS",
        help=f"how long a reply may be silent (default {SILENCE_S:g}); a long prompt on a CPU takes minutes",
    )
    made.add_argument("--json", action="store_true", help="one JSON object")
    return made


def main(words: Sequence[str]) -> int:
    options = make_parser().parse_args(words)
    try:
        probe = _probe(options)
    except MatrixError as error:
        sys.stderr.write(f"{redact.redact_text(name_our_options(str(error)))}\n")
        return 2
    sys.stdout.write(render_json(probe) if options.json else render_text(probe))
    return probe.exit_code


def name_our_options(text: str) -> str:
    """Name this command's options in an error that is shared with `pytest --endpoint`."""
    return text.replace("--endpoint-", "--").replace("--endpoint", "URL")


def read_length(text: str) -> int:
    """Read a prompt length in tokens, for argparse."""
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:12]) <= MOST_TOKENS):
        raise argparse.ArgumentTypeError(f"expected a number of tokens from 1 to {MOST_TOKENS:,}, got {text[:20]!r}")
    return int(text)


def read_patience(text: str) -> float:
    """Read seconds of patience, for argparse."""
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:9]) <= MOST_PATIENCE_S):
        raise argparse.ArgumentTypeError(f"expected whole seconds from 1 to {MOST_PATIENCE_S:,}, got {text[:20]!r}")
    return float(text)


def _probe(options: argparse.Namespace) -> Probe:
    headers = tuple(parse_header(text) for text in options.header)
    access = Access(headers=headers, ca_file=checked_ca(options.ca), insecure_tls=options.insecure_tls)
    key = os.environ.get(KEY_VARIABLE)
    redact.register_secrets(*(s for s in (key, *(value for _, value in headers)) if s))
    endpoint = Endpoint(checked_url(options.url), key, access)
    matrix, model, patience_s = load_matrix(), options.model, options.patience
    bounds = {"silence_s": patience_s, "total_s": patience_s * TOTAL_S / SILENCE_S}
    greeter = Asker(Client(endpoint.base_url, model, key, access=access, **bounds), options.thinking)
    served = greeter.greet(lambda: identify_server(endpoint, matrix, model))
    # the waits of the greeting count, too
    asker = replace(greeter, client=Client(endpoint.base_url, served.model, key, access=access, **bounds))
    probe = Probe(url=endpoint.base_url, served=served, insecure=options.insecure_tls, waited_s=asker.waited_s)
    if not options.no_questions:
        try:
            ask_all(probe, asker, list_questions(choose_bank(served), needle_tokens=options.needles))
        except HostError as error:  # a list of several models does not say which of them answers chats
            names = list_first([repr(name) for name in served.told.names], SHOWN_NAMES)
            raise HostError(
                f"{str(error).rstrip('.')}. Asked as {served.model!r}; it lists {names or 'no model'}"
            ) from error
    return probe


def choose_bank(served: ServedModel) -> Bank:
    """Return the bank of the checkpoint that is served; for a model on no axis, the questions for any chat model."""
    return bank_for(served.checkpoints[0]) if served.checkpoints else Glm5Bank()


def ask_all(probe: Probe, asker: Asker, questions: Sequence[ProbeQuestion]) -> None:
    """Ask one by one and say on standard error how far it is; a limit ends the asking, a failed question does not."""
    for number, question in enumerate(questions, 1):
        _show_progress(f"{number} of {len(questions)}: {question.kind}")
        try:
            probe.answered += [
                Answered(question.kind, f) for f in question.judge(asker.ask, [question.item], room=asker.room)
            ]
        except LimitReached as limit:
            probe.stopped = f"{limit}; {len(questions) - number + 1} questions were not asked"
            break
        except EngineNotReady as error:  # slow, or hanging: which of them nobody knows, and no answer was wrong
            probe.late.append((question.kind, question.item.id, redact.redact_text(str(error))))
        except EngineError as error:  # a HostError ends the probe: nobody is judged by our missing key
            probe.failed.append((question.kind, question.item.id, redact.redact_text(str(error))))
    _show_progress("")
    probe.waited_s, probe.left_out, probe.tokens = asker.waited_s, asker.left_out, (asker.tokens[0], asker.tokens[1])


def _show_progress(text: str) -> None:
    """Rewrite one line of a terminal; a pipe gets none."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{text:<40}" + ("" if text else "\r"))
        sys.stderr.flush()
