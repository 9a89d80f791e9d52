"""Signatures: what they may fit, what is taken out of a text before they are asked, and what a match leaves behind."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.checkout import CHECKOUT
from matrix.judging.engine_end import FATAL, judge_end
from matrix.signature import (
    COMMON,
    KINDS,
    LONGEST_CHARS,
    extract_match,
    find_pattern_problem,
    find_vague_matches,
    remove_echoes,
    split_branches,
)
from matrix.yaml.load import load_matrix

LOGS = sorted((CHECKOUT / "tests" / "fixtures" / "logs").rglob("*.log"))
COMMAND = ("serve", "--model", "/m", "--page-size", "64", "--kv-cache-dtype", "fp8_e4m3", "--enable-mtp")


@pytest.mark.parametrize("signature", ["", " ", ".*", "(?s).*", "x*", ".", "|oom", r"\s", r"\w+", "^", "(?:)"])
def test_a_pattern_that_fits_nothing_said_is_none(signature: str) -> None:
    assert "matches an empty text" in find_pattern_problem(signature)


def test_a_pattern_that_does_not_compile_says_why() -> None:
    assert find_pattern_problem("(oom").startswith("no regular expression: ")


@pytest.mark.parametrize(
    "signature",
    [
        "Error",
        "(?i)error",
        "HANG",
        "exited with",
        "HTTP 500",
        "NOT OK",
        "Traceback",
        "(?i)cuda",
        "sigquit",
        "refused",
        "engine",
        r"\d{2}",
        "certificate",
        "Capture cuda graph",
        "Last lines",
        "no new log line",
        "Uvicorn",
        "TypeError",
        "AttributeError",
        "Exception",
        "NotImplementedError",
        r"E\w+Error",
        "killed",
        "(?i)signal",
        "worker",
        "Segmentation fault",
        "core dumped",
        "terminate called",
        "c10",
        "forward",
        "raise ",
        r"self\.",
        "vllm",
        "sglang",
        "0x[0-9a-f]+",
        "(?i)abort",
        "scheduler",
        "EngineDeadError",
        "(?i)shut",
        r"\.py",
        "(?i)segfault",
        "model",
        "expected",
        "class ",
        "class unknown",
        "class killed",
        "class main_memory",
        r"class \w+",
        "flashinfer",
        r"(?i)\btriton\b",
        "(?:triton|flashinfer)",
        "KeyError: 'layers|GLM",
        "ended by",
        "ended by SIG",
        "ended by SIGSEGV when it was stopped",
        "ended by SIGBUS when it was stopped: ",
        r"with exit code \d+",
        "crashed while",
        "as predicted",
        "does not change",
        "cannot be judged",
    ],
)
def test_words_that_every_failure_says_are_too_vague(signature: str) -> None:
    assert list(find_vague_matches(signature))


@pytest.mark.parametrize("code", [1, *(128 + number for number in sorted(FATAL))])
def test_what_we_say_of_a_stop_without_the_engines_words_is_too_vague(code: int) -> None:
    """Else a clause about one crash at a stop would excuse each: after another change, with other words in its log."""
    ours, theirs = (judge_end(code, 1.0, said).text for said in ("", "glm: a pool of its own is freed twice"))
    assert list(find_vague_matches(re.escape(ours)))
    assert not list(find_vague_matches(re.escape(theirs)))


@pytest.mark.parametrize(
    ("signature", "branches"),
    [
        ("a b", ["a b"]),
        ("a|b", ["a", "b"]),
        ("(a|b)c|d", ["(a|b)c", "d"]),
        ("[|]a|b", ["[|]a", "b"]),
        ("[]|]a|b", ["[]|]a", "b"]),
        ("[^]|(]a|b", ["[^]|(]a", "b"]),
        (r"\||\(|\[|b", [r"\|", r"\(", r"\[", "b"]),
        (r"[\]|]|b", [r"[\]|]", "b"]),
    ],
)
def test_a_pattern_has_the_branches_that_match_alone(signature: str, branches: list[str]) -> None:
    assert split_branches(signature) == branches


def test_a_pattern_that_fits_two_kinds_tells_neither() -> None:
    [said] = find_vague_matches(r"out of memory|illegal memory access")
    assert "fits failures of different kinds (out of memory, illegal access)" in said


@pytest.mark.parametrize("signature", [re.escape(text) for text in KINDS.values()])
def test_the_words_of_one_failure_are_a_signature(signature: str) -> None:
    assert not find_pattern_problem(signature) and not list(find_vague_matches(signature))


def test_no_entry_fits_a_log_of_an_engine_that_ran() -> None:
    """The logs kept for other tests are of starts that went well, or of failures that no entry is about."""
    texts = [path.read_text(errors="replace") for path in LOGS]
    for known in load_matrix().known_failures:
        assert not any(extract_match(known.value.fails.signature, text) for text in [*texts, *COMMON]), known.value.id


@pytest.mark.parametrize(
    "echo",
    [
        "server_args=ServerArgs(model='/m', page_size=64, kv_cache_dtype='fp8_e4m3', enable_mtp=True)",
        "non-default args: {'page_size': 64, 'kv_cache_dtype': 'fp8_e4m3'}",
        "+ serve --model /m --page-size 64 --kv-cache-dtype fp8_e4m3 --enable-mtp",
        "kv_cache_dtype: fp8_e4m3",
        "  'kv_cache_dtype': 'fp8_e4m3',",
        "--kv-cache-dtype=fp8_e4m3",
        "cell.one: see cell.one",
    ],
)
def test_an_echo_is_no_word_of_the_failure(echo: str) -> None:
    text = remove_echoes(f"before\n{echo}\nafter", words=["cell.one"], flags=COMMAND)
    assert "fp8_e4m3" not in text and "cell.one" not in text
    assert text.startswith("before\n") and text.endswith("\nafter")


def test_a_complaint_about_one_flag_is_kept() -> None:
    said = "ValueError: kv_cache_dtype fp8_e4m3 is not supported by this backend"
    assert remove_echoes(said, words=[], flags=COMMAND) == said


def test_what_is_kept_of_a_match_are_whole_lines_that_match_again() -> None:
    text = "first\n[TP0] RuntimeError: 3072 against 6144 at dimension 1\nlast"
    assert extract_match("3072 against 6144", text) == "[TP0] RuntimeError: 3072 against 6144 at dimension 1"
    assert extract_match("(?s)first.*last", text) == text
    assert extract_match(r"(?<=first\n).TP0", text) == ""  # alone, it would not match


def test_a_match_that_spans_everything_is_none() -> None:
    assert extract_match("(?s)a.*b", "a" + "\n" * (LONGEST_CHARS + 1) + "b") == ""


@given(st.text(max_size=300), st.sampled_from(["oom", "a+b", r"(?m)^x.*$", r"\d{3}", "(?s)o.*m"]))
def test_whatever_is_extracted_can_be_asked_again(text: str, signature: str) -> None:
    found = extract_match(signature, text)
    assert not found or (re.search(signature, found) and found in text and len(found) <= LONGEST_CHARS)
