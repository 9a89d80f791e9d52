# ruff: noqa: RUF001, SIM905  Chinese punctuation is meant
"""Sound text passes whatever it is about; each kind of damage is named."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.banks.glm5.facts import CHINESE, ENGLISH
from fixtures.banks.glm5.prose import draw_prose, join_paragraphs
from suites.checks import text
from suites.checks.text import find_defects, find_stray_script
from tests.faults.stub.answers import STORY

SOUND = {
    "sentence": "The capital of France is Paris.",
    "number": "1440",
    "word": "Au",
    "sum": "12 x 15 = 180, and 180 - 18 + 36 = 198.\n\n**198**",
    "latex": "The total is $2 \\times 60 + 50 = 170$ km, so the answer is \\boxed{170}.",
    "list": "1. First, wash the rice.\n2. Then boil it for 12 minutes.\n3. Let it rest.\n- Serve it warm.",
    "table": "| city | country |\n|---|---|\n| Oslo | Norway |\n| Lima | Peru |",
    "code": "625bdd",
    "uuids": "921d84bf-c7aa-426b-bf30-56440082005e a384d1d7-2d06-45c1-9e6a-24fe734c44f7",
    "json": '{"orchard": 49}',
    "count": ", ".join(str(n) for n in range(100, 250)),
    "chinese": "中国的首都是北京。",
    "mixed": "The Chinese name of Beijing is 北京, which means northern capital.",
    "laugh": "Ha ha ha ha, that was a good one!",
    "units": "Water boils at 100°C (212°F) at sea level, i.e. at 101.3 kPa, and light travels at 300,000 km/s.",
    "story": STORY,
    "emphasis": "I *really* mean it - \u201cnever\u201d - do that; it's John's, not mine\u2026",
}
STORY_ZH = (
    "老人在海上的一天很长，他看着天上的云，想起了家里的人。"
    "他把网放到水里，然后等着，一句话也不说。到了中午，风大了起来，船在浪里上上下下。"
)


@pytest.mark.parametrize("name", SOUND)
def test_sound_text_has_no_defect(name: str) -> None:
    assert find_defects(SOUND[name], prompt="北京") == ()


@pytest.mark.parametrize("answer", [f.answer for f in ENGLISH])
def test_every_expected_answer_is_sound(answer: str) -> None:
    assert find_defects(answer) == ()


@pytest.mark.parametrize("fact", CHINESE)
def test_chinese_answers_to_chinese_questions_are_sound(fact: tuple[str, str]) -> None:
    assert find_defects(fact[1], prompt=fact[0]) == ()


@pytest.mark.parametrize("tokens", [100, 400, 2000, 20_000])
@pytest.mark.parametrize("seed", range(5))
def test_generated_prose_is_sound(tokens: int, seed: int) -> None:
    """The measurement behind NGRAM_REPEATED_SHARE: the most monotonous sound text here."""
    told = join_paragraphs(draw_prose(random.Random(seed), tokens))
    assert find_defects(told, prose=True) == ()
    assert text.repeated_share(told) < 0.25


def test_chinese_prose_is_sound() -> None:
    assert find_defects(STORY_ZH, prompt="请", prose=True) == ()


DAMAGED = {
    "empty": ("", "empty"),
    "blank": (" \n\t", "empty"),
    "loop": (STORY + " and so on" * 20, "loop"),
    "character loop": ("The answer is " + "a" * 200, "loop"),
    "chinese loop": ("北京是中国的首都。" * 12, "loop"),
    "paragraph loop": ("start. " + (STORY[:300] + "\n\n") * 4, "loop"),
    "left loop": ("It was the old " + "one and only " * 9 + "lighthouse on the coast of the sea.", "loop"),
    "said twice": (f"{STORY}\n{STORY}", "repetition"),
    "leaked turn": ("Paris.<|user|>", "leak"),
    "leaked thought": ("</think>Paris.", "leak"),
    "leaked call": ("<tool_call>get_weather", "leak"),
    "replacement": ("caf\ufffd", "mojibake"),
    "surrogate": ("caf\udce9", "mojibake"),
    "double encoding": ("It\u00e2\u0080\u0099s", "mojibake"),
    "control": ("abc\x00def", "mojibake"),
    "russian": ("The capital is Paris. Однако это предложение продолжается.", "stray"),
    "chinese in english": (STORY + "然后他就去了海边看到了很多的船只", "stray"),
    "symbols": ("#$%^&*()_+{}|:<>?~!@#$%^&*()_+{}|:<>?[];',./#$%^&*()_+{}|:<>?~!@#$%", "gibberish"),
    "glued": ("w" + "xyzabc" * 10, "gibberish"),
    "salad": ("qu#m v!x 7g9 ]] {{ zz@@ o0o &&&k ;;; p%q r$s t^u", "gibberish"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_named(name: str) -> None:
    damaged, kind = DAMAGED[name]
    assert any(d.startswith(kind) for d in find_defects(damaged)), find_defects(damaged)


def test_chinese_is_welcome_when_the_prompt_is_chinese() -> None:
    assert find_defects("北京是中华人民共和国的首都。", prompt="中国的首都是哪里？") == ()
    assert find_defects("北京是中华人民共和国的首都。", prompt="Capital of China?")


def test_shuffled_dictionary_words_are_no_prose() -> None:
    salad = " ".join(random.Random(3).choices(NOUNS, k=60))
    assert any(d.startswith("gibberish") for d in find_defects(salad + ".", prose=True))


NOUNS = "lamp harbour quarry mill orchard ferry copper violet canal bridge tailor wagon".split()


def test_random_han_is_no_prose() -> None:
    dice = random.Random(5)
    salad = "".join(chr(dice.randrange(0x4E00, 0x9F00)) for _ in range(120))
    assert any(d.startswith("gibberish") for d in find_defects(salad + "。", prompt="请", prose=True))


def test_a_text_that_stops_in_mid_sentence_is_truncated() -> None:
    assert any(d.startswith("truncated") for d in find_defects(STORY[: len(STORY) // 2].rstrip(" ."), prose=True))


@given(st.integers(20, 60), st.integers(4, 30))
def test_any_unit_said_often_enough_is_a_loop(size: int, repeats: int) -> None:
    unit = STORY[100 : 100 + size]
    assert text.find_loop(STORY[:100] + unit * repeats)


@given(st.integers(0, len(STORY)))
def test_no_prefix_of_a_sound_text_is_a_loop(length: int) -> None:
    assert not text.find_loop(STORY[:length])


@given(st.text(max_size=400))
def test_any_text_at_all_is_judged_without_an_error(wild: str) -> None:
    find_defects(wild, prompt=wild[:10], prose=True)


def test_one_foreign_clause_in_a_long_text_is_a_switch_and_a_name_is_none() -> None:
    assert any(d.startswith("stray") for d in find_defects(f"{STORY} 然后他就去了海边看到了很多的船只 {STORY}"))
    assert not any(d.startswith("stray") for d in find_defects(f"{STORY} He came from Beijing (北京市) at last."))


def test_foreign_letters_are_a_switch_by_the_longest_run_of_their_own() -> None:
    """Nine letters, six of them in a row: neither the long runs of Latin around them nor a run counted twice."""
    text = f"{STORY} 北京市海淀区 {STORY} 然 {STORY} 后 {STORY} 他 {STORY}" + STORY * 10
    assert find_stray_script(text, "") == ""
    assert find_stray_script(text.replace("北京市海淀区", "北京市海淀区" * 2), "").endswith(" letters are CJK")
