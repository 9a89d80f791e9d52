# ruff: noqa: RUF001, SIM905
"""Is this text language at all? What broken kernels, caches and detokenizers look like from outside.

defect       seen when
empty        an engine answers 200 with nothing
loop         attention state stuck: the tail repeats itself
repetition   sampling or MTP gone wrong: n-grams recur without exact looping
gibberish    wrong RoPE, wrong scales, missing expert weights
stray        language switch (Chinese or Cyrillic in an English answer)
mojibake     bytes of one character split over tokens and decoded apart
leak         special tokens or tags of the chat template in the text
truncated    the text stops in mid-sentence although the engine says `stop`
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator

from suites.checks.normal import split_words

LOOP_REPEATS = 4  # MiniMax's verifier flags an n-gram four times in a row
LOOP_CHARS = 60  # "ha ha ha ha" is fun, sixty characters of it are not
LOOP_UNIT_CHARS = 400  # longest repeated unit looked for: a paragraph
NGRAM = 4
NGRAM_FROM_WORDS = 80  # below that the share of repeats is noise
# Our own haystack prose, the most monotonous sound text there is here, stays under 0.25
# (tests/suites/checks/test_text.py measures it); a text that says everything twice has 0.5.
NGRAM_REPEATED_SHARE = 0.40
MALFORMED_FROM_TOKENS = 8
MALFORMED_SHARE = 0.25  # of the tokens between spaces; sound answers here stay under 0.1, codes and all
GIBBERISH_FROM_WORDS = 40
# English prose has 40 to 55 % function words, shuffled dictionary words none; a quarter of the normal share.
FUNCTION_WORD_SHARE = 0.12
# The 30 commonest characters are about 20 % of Chinese prose; random CJK hits them in 0.2 %.
COMMON_HAN_SHARE = 0.04
STRAY_LETTERS = 8  # "Beijing (北京)" is not a language switch
STRAY_SHARE = 0.02
STRAY_RUN = 12  # a clause: in a text of 2,000 tokens one is under the share, and a switch all the same
ODD_SHARE = 0.35  # letters, digits and spaces make up over 65 % even of a table
LONG_WORD_CHARS = 45  # longest word of an English dictionary; URLs are cut out before
TERMINAL = ".!?:;。！？；：…)]}\"'”’`*|>"  # how a finished text may end

FUNCTION_WORDS = frozenset(
    """the of and a to in is was it for on are as with his they at be this from i have or by one had not but what
    all were when we there can an your which their said if do will each about how up out them then she many some
    so these would into has more her two him see could no make than been its who now my over did down only way may
    he you that after before while where because through every under until again both very""".split()
)
COMMON_HAN = frozenset("的一是不了在人有我他这个们中来上大为和国地到以说时要就出会")
LEAKS = re.compile(
    r"<\|[a-z_]+\|>|</?think>|</?tool_call>|</?tool_response>|</?arg_(?:key|value)>|\[gMASK\]|<sop>|<eop>"
    r"|\[MASK\]|<s>|</s>|<unk>"
)
_MOJIBAKE = re.compile(r"\ufffd|[\ud800-\udfff]|Ã[\u0080-\u00bf]|â[\u0080-\u00bf€]|[åæçè][\u0080-\u00bf]{2}")
# C0 and C1: no language has them, and terminals obey them.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_SHAPED = re.compile(r"[^\W\d_]+(?:['\u2019/.-][^\W\d_]+)*|[-+~$\u20ac\u00a3]?\d[\d.,:/-]*[^\W\d_%°]{0,4}[%°]?")
_EDGES = " .,;:!?\"'()[]*_`\u2026\u2014\u2013-\u201c\u201d\u2018\u2019\u3002\uff0c\uff01\uff1f\uff1b\uff1a\u3001"
_URL = re.compile(r"https?://\S+|\S*[/_=]\S*")


def find_half_character(text: str) -> str:
    """Find the first lone surrogate of a text: half of an emoji that a detokenizer or an escape cut in two. Empty
    for none."""
    found = _SURROGATE.search(text)
    return found.group() if found else ""


def find_defects(text: str, *, prompt: str = "", prose: bool = False) -> tuple[str, ...]:
    """Find every defect, with its evidence. `prose` also requires function words and a proper end."""
    return tuple(_iterate_defects(text, prompt, prose))


def _iterate_defects(text: str, prompt: str, prose: bool) -> Iterator[str]:
    if not text.strip():
        yield "empty"
        return
    if leak := LEAKS.search(text):
        yield f"leak: {leak.group()!r}"
    if (odd := _MOJIBAKE.search(text)) or (odd := _CONTROL.search(text)):
        yield f"mojibake: {odd.group()!r} at {odd.start()}"
    if unit := find_loop(text):
        yield f"loop: {unit!r}"
    if (share := repeated_share(text)) > NGRAM_REPEATED_SHARE:
        yield f"repetition: {share:.0%} of the {NGRAM}-grams were said before"
    if script := find_stray_script(text, prompt):
        yield f"stray: {script}"
    if reason := find_gibberish(text, prose=prose):
        yield f"gibberish: {reason}"
    if prose and text.rstrip()[-1] not in TERMINAL:
        yield f"truncated: ends with {text.rstrip()[-30:]!r}"


def find_loop(text: str) -> str:
    """Find the unit that the text repeats, at its end or over a long stretch; empty for none."""
    # Four times the longest unit is what LOOP_REPEATS of it need; the loop below is quadratic in this length.
    tail = text[-4 * LOOP_UNIT_CHARS :]
    for size in range(1, len(tail) // LOOP_REPEATS + 1):
        run = _run_at_end(tail, size)
        if run >= LOOP_REPEATS * size and run >= LOOP_CHARS:
            return tail[-size:][:60]
    return _inner_loop(text)


def _run_at_end(text: str, size: int) -> int:
    run = size
    while run < len(text) and text[-run - 1] == text[-run - 1 + size]:
        run += 1
    return run


def _inner_loop(text: str) -> str:
    """Find three words that occur 8 times in a row anywhere: a loop that the model left again."""
    # Three words bound the work of the backreference; a longer unit is found by `find_loop` where the text ends in it.
    found = re.search(r"(\b\w+\W+\w+\W+\w+\W+)\1{7,}", text)
    return found.group(1) if found else ""


def repeated_share(text: str) -> float:
    """Return the share of n-grams that occurred before in the text; 0 for short texts."""
    told = split_words(text)
    if len(told) < NGRAM_FROM_WORDS:
        return 0.0
    grams = Counter(zip(*(told[i:] for i in range(NGRAM)), strict=False))
    total = sum(grams.values())
    return (total - len(grams)) / total


def find_stray_script(text: str, prompt: str) -> str:
    """Find letters of a script that the prompt does not use. Latin and Greek (formulas) are always allowed."""
    letters = Counter(_script_of(c) for c in text if c.isalpha())
    # The prompt's own scripts are welcome: a translation, or a name it quotes, is no switch.
    welcome = {"LATIN", "GREEK", ""} | {_script_of(c) for c in prompt if c.isalpha()}
    total = sum(letters.values())
    for script, count in letters.items():
        if script in welcome or count < STRAY_LETTERS:
            continue
        # Either suffices: a long answer dilutes a clause of Chinese below the share, and scattered letters make no run.
        if count / total >= STRAY_SHARE or _longest_run(text, script) >= STRAY_RUN:
            return f"{count} of {total} letters are {script}"
    return ""


def _longest_run(text: str, script: str) -> int:
    """Count the longest run of letters of a script that the text has; only a letter of another script ends a run."""
    letters = (_script_of(c) == script for c in text if c.isalpha())
    return max(sum(1 for _ in run) for mine, run in itertools.groupby(letters) if mine)


def _script_of(letter: str) -> str:
    if letter.isascii():
        return "LATIN"
    # Python has no script property; the first word of a letter's name is its script (CJK, CYRILLIC, HIRAGANA).
    return unicodedata.name(letter, "").split(" ")[0]


def find_gibberish(text: str, *, prose: bool = False) -> str:
    """Explain why this cannot be language, or return nothing. Only `prose` is held against word statistics."""
    odd = sum(not (c.isalnum() or c.isspace()) for c in text) / len(text)
    if len(text) >= LOOP_CHARS and odd > ODD_SHARE:
        return f"{odd:.0%} of the characters are neither letters, digits nor spaces"
    if (share := malformed_share(text)) > MALFORMED_SHARE:
        return f"{share:.0%} of the tokens are neither words nor numbers"
    # A URL or a path is one long "word" without being gibberish.
    told = split_words(_URL.sub(" ", text))
    if long := next((w for w in told if len(w) > LONG_WORD_CHARS), ""):
        return f"a word of {len(long)} characters: {long[:30]!r}"
    return _unlike_language(told) if prose and len(told) >= GIBBERISH_FROM_WORDS else ""


def malformed_share(text: str) -> float:
    """Return the share of space-separated tokens without the shape of a word or number; 0 for short texts."""
    found = text.split()
    if len(found) < MALFORMED_FROM_TOKENS:
        return 0.0
    return sum(not _well_formed(token) for token in found) / len(found)


def _well_formed(token: str) -> bool:
    bare = token.strip(_EDGES)
    if not bare:  # nothing but punctuation: a dash, a bullet, a rule, but not `]]`
        return len(token) == 1 or (len(set(token)) == 1 and token[0] in "-*_.`=")
    return len(token) == 1 or _SHAPED.fullmatch(bare) is not None


def _unlike_language(told: list[str]) -> str:
    han = [w for w in told if len(w) == 1 and "\u3400" <= w <= "\u9fff"]
    # `split_words` gives one word per Han character, so more than half of the words is a text in Chinese.
    if len(han) > len(told) / 2:
        share, floor, what = _share_of(han, COMMON_HAN), COMMON_HAN_SHARE, "common characters"
    else:
        latin = [w for w in told if w.isascii()]
        share, floor, what = _share_of(latin, FUNCTION_WORDS), FUNCTION_WORD_SHARE, "function words"
    return "" if share >= floor else f"only {share:.0%} {what} in {len(told)} words"


def _share_of(told: list[str], common: frozenset[str]) -> float:
    return sum(w in common for w in told) / max(1, len(told))
