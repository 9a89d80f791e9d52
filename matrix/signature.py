"""Signatures of known failures: what is searched, what a match leaves behind, and which patterns say nothing. Pure.

An engine's log repeats the command that started it, and our messages repeat the cell: words of that kind are no sign
of a failure and are taken out of the text before it is searched.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from math import ceil
from typing import Final

from matrix.wording import list_first

LONGEST_CHARS: Final = 1000  # of the lines that a match touches: more is no sign of one failure
LEAST_FLAGS: Final = 2  # of a command line, named together in one line: an echo
SEARCHED_CHARS: Final = 400_000  # of a failure's text; launchers bound what they add well below it

SHOWN_KINDS: Final = 4  # of the kinds of failures that a pattern fits

# Python's own exceptions: that one was raised says nothing of what failed.
_EXCEPTIONS: Final = sorted(
    name for name, made in vars(builtins).items() if isinstance(made, type) and issubclass(made, BaseException)
)
_GROUP_HEAD: Final = re.compile(r"\((?:\?(?:P<\w+>|:|=|[a-zA-Z]+:))?(?!\?)")  # not of a negative look-around
_FORMALITIES: Final = re.compile(r"\\[AbBZ]|\(\?[a-zA-Z]*:?")  # of a pattern: anchors, flags, groups
# Said by failures of every kind, by our own words around them, or by logs of engines that start well.
COMMON: Final[tuple[str, ...]] = (
    "EngineExited: the engine exited with 137 (SIGKILL) after 6.6 s, before its health endpoint answered (at http)",
    "the engine exited with 1 after 12.0 s, before its first token",
    "EngineNotReady: HANG: no new log line for 600 s while awaiting its health endpoint answered (at weights 3 %)",
    "its health endpoint answered did not come within 7200 s",
    "it was healthy, and then first_token failed: ConnectionResetError: [Errno 104] Connection reset by peer",
    'it was healthy, and answered its first request with HTTP 500: {"error": {"message": "Internal Server Error"}}',
    "EngineReplyMalformed: it answered its first request with HTTP 200 and no token: (empty)",
    'EngineRefused: the engine answered HTTP 400: {"object": "error", "message": "bad request"}',
    "EngineRefused: the engine answered HTTP 500: Internal Server Error",
    "http://127.0.0.1:8000: silent for 300 s inside a request",
    "http://127.0.0.1:8000: a reply did not end within 900 s",
    "http://127.0.0.1:8000: no connection within 5 s",
    "http://127.0.0.1:8000: the connection was refused or cut: ConnectionRefusedError: [Errno 111] Connection refused",
    'it refuses the key (HTTP 401): {"error": "Unauthorized"}',
    "the engine's reply is not JSON; received: '<html>502 Bad Gateway</html>'",
    "SSLCertVerificationError: certificate verify failed: self-signed certificate",
    "PlanRejected: not started, reject: unknown_flag\nSee: glm-matrix explain",
    "Last lines of the log:\n  (empty)\nReproduce: glm-matrix show | bash",
    'Traceback (most recent call last):\n  File "engine.py", line 1, in main\nRuntimeError: Engine core'
    " initialization failed. See root cause above. Failed core proc(s): {}",
    "[TP0] Scheduler hit an exception: Traceback (most recent call last):\nValueError: AssertionError: KeyError: error",
    "Received sigquit from a child process. It usually means the child failed.",
    "SIGQUIT received. signum=None, frame=None. It usually means one child failed.",
    "[rank0]:[W1126 ProcessGroupNCCL.cpp:1524] Warning: destroy_process_group() was not called before program exit",
    "INFO: Started server process [1]\nINFO: Waiting for application startup.\nINFO: Uvicorn running on http://0.0.0.0",
    "Load weight begin. avail mem=90.00 GB\nLoading safetensors checkpoint shards: 100% Completed | 80/80\n"
    "Load weight end. type=GlmMoeDsaForCausalLM, dtype=torch.bfloat16\nKV Cache is allocated. #tokens: 100000\n"
    "Capture cuda graph begin. This can take up to several minutes.\nCapturing batches (bs=1): 100%\n"
    "Capture cuda graph end. Time elapsed: 10 s\nThe server is fired up and ready to roll!",
    "Using FLASHMLA_SPARSE attention backend out of potential backends\nUsing fp8 KV cache\n"
    "Graph capturing finished in 30 secs, took 2 GiB\nAvailable KV cache memory: 40 GiB\nUsing NCCL 2.27",
    '  File "/usr/lib/python3.12/site-packages/vllm/v1/worker/gpu_model_runner.py", line 3000, in execute_model\n'
    "    return self.model.forward(input_ids, positions, kv_caches)\n"
    '  File "/usr/lib/python3.12/site-packages/sglang/srt/managers/scheduler.py", line 100, in run_batch\n'
    "    raise error\n"
    '  File "/usr/lib/python3.12/site-packages/torch/nn/modules/module.py", line 1773, in _wrapped_call_impl\n'
    "Process SpawnProcess-1:\nRuntimeError: Worker failed with error. See stack trace above.",
    "Fatal Python error: Segmentation fault\n\n"
    "Thread 0x00007f2c8d7fe640 (most recent call first):\n  <no Python frame>",
    "!!!!!!! Segfault encountered !!!!!!!\nKilled\n"
    "Aborted (core dumped)\nterminate called after throwing an instance of"
    " 'c10::Error'\n  what():  \nChild process unexpectedly failed with exitcode=-9, the worker was killed by signal 9",
    "EngineDeadError: EngineCore encountered an issue. See stack trace (above) for the root cause.\nShutting down",
    *(f"{name}: " for name in _EXCEPTIONS),
    # The class of a cause, which fixtures.launch.autopsy puts in front of the log's own words.
    *(f"class {name}" for name in ("unknown", "killed", "main_memory", "hang", "hang_under_load")),
    "the engine exited with 1 after 12.0 s, before its first token [class unknown: its log tells no exception]",
    "check: NOT OK\n  got:      nothing\n3 of 6 not ok; failure rate at most 88 % (95 %)",
    "check: NOT OK\n  item:     i\n  expected: e\n  got:      g",
    # The gate's own words about an engine that was being stopped, and about a prediction.
    "its engine crashed while it was being stopped: it ended by when it was stopped: ",
    "it ended with exit code 1 when it was stopped: ",
    "it did not end within 30 s of being asked to stop, and was killed",
    "its log tells an exception while it was being stopped: ",
    "beside , does not change as predicted: .",
    "whether changes as predicted cannot be judged: .",
)

# Signals by which an engine ends that is being stopped: that one of them came says nothing of what failed.
_AT_A_STOP: Final = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE", "SIGSYS", "SIGTRAP")

# One failure of each kind. A signature that fits two of them tells neither from the other.
KINDS: Final[Mapping[str, str]] = {
    "out of memory": "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total",
    "no memory for the KV cache": "ValueError: No available memory for the cache blocks. Not enough memory",
    "illegal access": "RuntimeError: CUDA error: an illegal memory access was encountered",
    "no kernel": "RuntimeError: CUDA error: no kernel image is available for execution on the device",
    "architecture": "RuntimeError: Assertion error (attention.hpp:219): Unsupported architecture",
    "missing library": "ModuleNotFoundError: No module named 'deep_gemm'",
    "symbol": "ImportError: libtorch.so: undefined symbol: _ZN3c10",
    "refused flag": "launch_server.py: error: unrecognized arguments: --no-such-flag",
    "NCCL": "torch.distributed.DistBackendError: NCCL error: unhandled cuda error, NCCL version 2.27",
    "watchdog": "Watchdog timeout (self.watchdog_timeout=300)",
    "port": "OSError: [Errno 98] Address already in use",
    "shape": "RuntimeError: The size of tensor a (3072) must match the size of tensor b (6144) at dimension 1",
    "unknown model": "KeyError: 'glm_moe_dsa'",
    "no backend": "ValueError: No valid attention backend found for cuda with use_sparse=True",
    "dtype": "AssertionError: hidden_states.dtype (torch.bfloat16) == w1_scale.dtype (torch.float16)",
    "shared memory": "No available shared memory broadcast block found in 60 seconds.",
    "no answer": "boot.first_token: NOT OK\n  got:      ",
    "envelope": "protocol.envelope: NOT OK finish_reason is None\n  got:      None",
    "degenerate text": "coherence.text: NOT OK repeats itself\n  got:      the the the the",
    "needle": "needle.found: NOT OK ['332b90'] not in the reply\n  got:      There is no secret code.",
    "invented": "needle.not_invented: NOT OK says a code\n  got:      332b90",
    "tool call": "tools.call: NOT OK no call\n  got:      I cannot do that.",
    "tool result": "tools.result_used: NOT OK '21' not in the reply\n  got:      It is warm.",
    "numbers": "reference.kl: NOT OK\n  got:      1.2e-05 in 15 positions",
    "speed": "throughput.not_slower.median_tpot_ms: NOT OK 0.4 of the baseline\n  got:      0.4",
    "drafts": "mtp.accepted: NOT OK\n  got:      0.0",
    **{
        f"{what} at a stop ({number})": f"it ended by {number} when it was stopped: {words}"
        for number in _AT_A_STOP
        for what, words in (("memory", "free(): invalid pointer"), ("driver", "CUDA driver is shutting down"))
    },
}


# What any check may say of any reply, beside or instead of what it is about. An entry that fits several excuses what
# nobody has looked at, NaN first.
ANSWER_FAULTS: Final[Mapping[str, tuple[str, ...]]] = {
    "NaN": ("position 0: the logprob of 'a' is nan, which is no logarithm of a probability",),
    "an empty reply": ("empty; the answer is not in the reply", "['332b90'] not in the reply; empty"),
    "mojibake": (
        "mojibake: '\x00' at 0; the answer is not in the reply",
        "['332b90'] not in the reply; mojibake: '\x00' at 0",
    ),
    "a tag of the template": (
        "leak: '<|user|>'; the last number is None",
        "['332b90'] not in the reply; leak: '<|user|>'",
    ),
}


def find_pattern_problem(signature: str) -> str:
    """Say why a pattern cannot be a signature at all; empty where it can."""
    try:
        pattern = re.compile(signature)
    except re.error as error:
        return f"no regular expression: {error}"
    if not signature.strip() or any(pattern.search(nothing) for nothing in ("", " ", "\n", "x")):
        return "matches an empty text, so it says nothing; name words that only this failure says"
    return ""


def find_vague_matches(signature: str) -> Iterator[str]:
    """Yield what else a pattern fits: words that failures of every kind say, and failures of several kinds."""
    pattern = re.compile(signature)
    if alone := next((branch for branch in split_branches(signature) if _is_one_word(branch)), None):
        yield f"{alone!r} is one word, which says what failed and not how; name the words around it"
    if common := next((text for text in COMMON if pattern.search(text)), None):
        yield f"matches {_first_match(pattern, common)!r}, which is said by failures of every kind; be more specific"
    if len(kinds := [kind for kind, text in KINDS.items() if pattern.search(text)]) > 1:
        yield f"fits failures of different kinds ({list_first(kinds, SHOWN_KINDS)}); name what only this one says"


def find_answer_faults(signature: str, check: str) -> list[str]:
    """Find the kinds of `ANSWER_FAULTS` that a signature fits when this check reports them."""
    said = f"{check}: NOT OK {{}}\n  item:     i\n  expected: e\n  got:      g"
    return [kind for kind, faults in ANSWER_FAULTS.items() if any(re.search(signature, said.format(f)) for f in faults)]


def split_branches(signature: str) -> list[str]:
    """Split a pattern at each `|` outside of groups and classes: any of these branches alone is enough to match."""
    branches, depth, in_class, at = [""], 0, False, 0
    while at < len(signature):
        piece = signature[at : at + 2] if signature[at] == "\\" else signature[at]
        at += len(piece)
        if in_class:
            in_class = piece != "]" or branches[-1].endswith(("[", "[^"))  # `[]x]` holds a bracket
        else:
            in_class = piece == "["
            depth += (piece == "(") - (piece == ")")
        if piece == "|" and not depth and not in_class:
            branches.append("")
        else:
            branches[-1] += piece
    return branches


def expand_alternatives(signature: str, most: int = 256) -> list[str]:
    """Expand groups with alternatives: each pattern that is returned has one of them, so that each says one thing.

    >>> expand_alternatives(r"a (?:b|c(?:d|e)) f")
    ['a (?:b) f', 'a (?:c(?:d)) f', 'a (?:c(?:e)) f']
    """
    done, waiting = list[str](), split_branches(signature)
    while waiting and len(done) + len(waiting) < most:
        pattern = waiting.pop(0)
        found = min(_find_groups(pattern), default=None)  # the outermost first, so that none is expanded twice
        if found is None:
            done.append(pattern)
            continue
        start, end = found
        waiting[:0] = [f"{pattern[:start]}{one}{pattern[end:]}" for one in split_branches(pattern[start:end])]
    return [*done, *waiting]


def _find_groups(pattern: str) -> Iterator[tuple[int, int]]:
    """Find the insides of groups that have alternatives. Of a negative look-ahead all of them hold, so none is one."""
    opened: list[int] = []
    at, in_class = 0, False
    while at < len(pattern):
        piece = pattern[at : at + 2] if pattern[at] == "\\" else pattern[at]
        if in_class:
            in_class = piece != "]" or pattern[at - 1 : at] == "[" or pattern[at - 2 : at] == "[^"
        elif piece == "[":
            in_class = True
        elif piece == "(":
            head = _GROUP_HEAD.match(pattern, at)
            opened.append(-1 if head is None else head.end())
        elif piece == ")" and opened and (start := opened.pop()) >= 0 and len(split_branches(pattern[start:at])) > 1:
            yield start, at
        at += len(piece)


def _is_one_word(branch: str) -> bool:
    """Return whether each alternative of a branch is a single word, such as a library's name."""
    bare = _FORMALITIES.sub("", branch)
    return all(re.fullmatch(r"\W*\w+\W*", piece) for piece in bare.split("|"))


def _first_match(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[0][:80] if found else ""


def extract_match(signature: str, text: str) -> str:
    """Extract the whole lines that the signature touches; empty where it does not match, or spans too much.

    What is returned matches by itself, so that whoever has only it can ask again.
    """
    found = re.search(signature, text)
    if not found:
        return ""
    start = text.rfind("\n", 0, found.start()) + 1
    end = text.find("\n", found.end())
    for lines in (text[start : len(text) if end < 0 else end], found[0]):
        if len(lines) <= LONGEST_CHARS and re.search(signature, lines):
            return lines
    return ""


def remove_echoes(text: str, *, words: Iterable[str], flags: Sequence[str]) -> str:
    """Remove what repeats the question: the given words, and lines in which an engine prints its arguments.

    `words` are ids; `flags` the arguments of the command, as `--name` or `--name=value`. A line is an echo when it
    names half of the flags, and two at least, or is one flag with its value.
    """
    for word in sorted(filter(None, words), key=len, reverse=True):
        text = text.replace(word, "")
    names = {_normalise_spelling(f.partition("=")[0]) for f in flags if f.startswith("-")} - {""}
    least = max(LEAST_FLAGS, ceil(len(names) / 2))
    settings = set(_iterate_settings(flags))
    kept = (line for line in text[-SEARCHED_CHARS:].split("\n") if not _is_echo(line, names, least, settings))
    return "\n".join(kept)


def _iterate_settings(flags: Sequence[str]) -> Iterator[str]:
    for flag, value in pairwise([*flags, ""]):
        if flag.startswith("-"):
            yield _normalise_spelling(f"{flag} {value}" if "=" not in flag and not value.startswith("-") else flag)


def _is_echo(line: str, names: set[str], least: int, settings: set[str]) -> bool:
    said = _normalise_spelling(line)
    words = said.split()
    return (said in settings and len(words) > 1) or len(names.intersection(words)) >= least


def _normalise_spelling(text: str) -> str:
    """Words in one spelling: `--page-size=64`, `page_size: 64` and `'page_size', 64` are `page_size 64`."""
    words = re.sub(r"[^\w./]+", " ", text.replace("-", "_")).split()
    return " ".join(filter(None, (word.lstrip("_") for word in words)))
