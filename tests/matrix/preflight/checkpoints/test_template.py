"""Thinking can be switched, or the linter says how not: found by rendering, not by looking for a word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from matrix.checkout import CHECKOUT
from matrix.preflight.checkpoint import CheckpointFiles
from matrix.yaml.yamltext import require_document
from tests.matrix.preflight.checkpoints.builders import TEMPLATE, TURNS, said, says, sound

OFF = "enable_thinking is defined and not enable_thinking"
GENERATE = "{% if add_generation_prompt %}<|assistant|>{% endif %}"


def with_template(text: str | None, **config: Any) -> CheckpointFiles:
    return replace(sound(**config), chat_template=text)


SWITCHED = [
    TEMPLATE,
    f"{TURNS}<|assistant|>{{{{ '<think></think>' if {OFF} else '<think>' }}}}",
    f"{TURNS}<|assistant|>{{% if {OFF} %}}<think>\n\n</think>\n\n{{% endif %}}",
    f"{TURNS}<|assistant|>{{% if {OFF} %}}/nothink{{% else %}}<think>{{% endif %}}",
    f"{{% generation %}}{TURNS}{{% endgeneration %}}<|assistant|>{{{{ '</think>' if {OFF} else '<think>' }}}}",
]


@pytest.mark.parametrize("text", SWITCHED, ids=range(len(SWITCHED)))
def test_a_switch_is_quiet(text: str) -> None:
    assert said(with_template(text)) == []


EFFORT = "{{ reasoning_effort if reasoning_effort in ['low', 'high'] else 'max' }}"
ALWAYS = [
    f"{TURNS}<|assistant|><think>",
    f"[gMASK]<sop><|system|>Reasoning Effort: {EFFORT}{TURNS}<|assistant|><think>",  # a line an effort, as GLM-5.3
    f"{TURNS}<|assistant|><think>\n",
    f"{{# enable_thinking #}}{TURNS}<|assistant|><think>",
    f"{{% set enable_thinking = true %}}{TURNS}<|assistant|>{{{{ '</think>' if {OFF} else '<think>' }}}}",
    f"{{% if enable_thinking is defined %}}{{% set x = 1 %}}{{% endif %}}{TURNS}<|assistant|><think>",
]


@pytest.mark.parametrize("text", ALWAYS, ids=range(len(ALWAYS)))
def test_a_template_that_always_thinks_is_a_warning_even_if_it_mentions_the_switch(text: str) -> None:
    assert says(with_template(text), "warning", "thinking", "always opens", "no switch|enable_thinking", "max_tokens")


NONE = [
    (f"{TURNS}{GENERATE}", "opens no block"),
    (f"{TURNS}<|assistant|>", "no switch"),
    (f"{TURNS}<|assistant|></think>", "always closes"),
    (f"{TURNS}<|assistant|><think></think>", "always closes"),
]


@pytest.mark.parametrize(("text", "words"), NONE, ids=[w for _, w in NONE])
def test_a_template_without_a_block_has_no_switch_either(text: str, words: str) -> None:
    assert says(with_template(text), "warning", "thinking", words)


def test_a_switch_of_another_name_is_told_by_its_name() -> None:
    deepseek = f"{TURNS}<|assistant|>{{{{ '<think>' if thinking else '</think>' }}}}"
    assert says(with_template(deepseek), "warning", "thinking", "with thinking and not with enable_thinking")
    config = {
        "architectures": ["DeepseekV32ForCausalLM"],
        "model_type": "deepseek_v32",
        "indexer_rope_interleave": None,
    }
    assert said(with_template(deepseek, **config)) == []


def test_a_switch_the_wrong_way_round_is_a_warning() -> None:
    inverted = f"{TURNS}<|assistant|>{{{{ '<think>' if {OFF} else '</think>' }}}}"
    assert says(with_template(inverted), "warning", "thinking", "where the switch says false, and none where")


def test_a_model_that_does_not_think_needs_no_switch() -> None:
    config = {"architectures": ["DeepseekV2ForCausalLM"], "indexer_rope_interleave": None}
    assert not says(with_template(f"{TURNS}{GENERATE}", **config), "warning", "thinking")


def test_the_template_inside_the_tokenizers_config_counts() -> None:
    files = with_template(None)
    for inside in (ALWAYS[0], [{"name": "default", "template": ALWAYS[0]}, {"name": "tool_use", "template": "x"}]):
        named = {**(files.tokenizer_config or {}), "chat_template": inside}
        assert says(replace(files, tokenizer_config=named), "warning", "thinking", "always")


def test_two_templates_that_differ_are_a_warning() -> None:
    named = {**(sound().tokenizer_config or {}), "chat_template": ALWAYS[0]}
    assert says(replace(sound(), tokenizer_config=named), "warning", "chat_template", "different templates")
    same = {**named, "chat_template": f"{TEMPLATE}\n"}
    assert said(replace(sound(), tokenizer_config=same)) == []


UNUSABLE = [
    ("{% if %}", "line 1: TemplateSyntaxError"),
    ("{{ messages[0].content.nothing.at_all }}", "UndefinedError"),
    ("{{ raise_exception('no chat') }}", "no chat"),
    ("{{ ''.__class__.__mro__ }}", "SecurityError|unsafe"),
    ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "too much time or memory"),
    (
        "{% set n = namespace(s='aaaaaaaa') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
        "Memory|memory",
    ),
    ("{{ 'a' * 10 ** 12 }}", "MemoryError|OverflowError|memory"),
    ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "Recursion|SyntaxError|memory"),
]


@pytest.mark.parametrize(("text", "words"), UNUSABLE, ids=[w for _, w in UNUSABLE])
def test_a_template_that_fails_or_never_ends_is_one_error(text: str, words: str) -> None:
    found = said(with_template(text))
    assert len(found) == 1, found
    assert says(with_template(text), "error", "chat_template", "cannot be rendered", words), found


def test_no_template_is_an_error() -> None:
    assert says(with_template(None), "error", "chat_template", "no chat template")


def test_what_does_not_render_a_first_message_alone_is_tried_with_a_longer_talk() -> None:
    strict = "{% if messages | length < 3 %}{{ raise_exception('too short') }}{% endif %}" + SWITCHED[1]
    assert said(with_template(strict)) == []


def test_a_host_without_time_is_no_fault_of_the_template(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matrix.preflight.checkpoints.template.PATIENCE_S", 0.0)
    found = said(with_template(TEMPLATE + "{# never rendered before #}"))
    assert len(found) == 1
    assert found[0].startswith("unknown chat_template: this host had no time")


BARE = "<|{{ m.role }}|>{{ m.reasoning_content }}{{ m.content or '' }}"
LOSSES = [
    (TURNS.replace("tools | tojson", "''"), "out the tools;"),
    (TURNS.replace("c.function", "''"), "out the assistant's calls;"),
    (TURNS.replace("in messages", "in messages if m.role != 'system'"), "out the system message;"),
    (TURNS.replace("in messages", "in messages if m.role != 'tool'"), "out the tool's result, the second of two"),
    (TURNS.replace("in messages", "in messages[-1:]"), "out the system message, the user's first message, the assist"),
    (f"{{% for m in messages %}}{BARE}{{% endfor %}}", "out the tools, the assistant's calls;"),
]


@pytest.mark.parametrize(("turns", "words"), LOSSES, ids=range(len(LOSSES)))
def test_a_template_that_leaves_out_what_was_said_is_a_warning(turns: str, words: str) -> None:
    text = TEMPLATE.replace(TURNS, turns)
    assert says(with_template(text), "warning", "template_loss", words)
    assert len(said(with_template(text))) == 1


@pytest.mark.parametrize(
    "text",
    [
        TEMPLATE.replace("c.function", "c.function.arguments.items()"),
        TEMPLATE.replace("c.function", "c.function.arguments | tojson"),
        "{% if tools %}{{ raise_exception('no tools') }}{% endif %}" + TEMPLATE.replace("tools | tojson", "''"),
        # As GLM-5.3's: the tool without its wrapper
        TEMPLATE.replace("tools | tojson", "tools | map(attribute='function') | list | tojson"),
    ],
)
def test_arguments_in_either_form_and_a_refusal_are_quiet(text: str) -> None:
    assert said(with_template(text)) == []


def test_a_template_that_takes_tools_and_refuses_their_results_is_a_warning() -> None:
    guard = "{% if m.role == 'tool' %}{{ raise_exception('no results') }}{% endif %}"
    text = TEMPLATE.replace("<|{{ m.role }}|>", guard + "<|{{ m.role }}|>")
    assert text != TEMPLATE
    assert says(
        with_template(text), "warning", "template_loss", "takes tools and raises an error at.*the tool's result"
    )


OURS = (CHECKOUT / "fixtures" / "canary" / "hf" / "chat_template.jinja").read_text(encoding="utf-8")
PUBLISHED = require_document(Path(__file__).with_name("published_templates.yaml"), "published_templates.yaml").data
MECHANISMS = [row for row in PUBLISHED["templates"] if "ours" in row]


def test_our_own_template_loses_nothing() -> None:
    assert said(with_template(OURS)) == []


@pytest.mark.parametrize("row", MECHANISMS, ids=[row["what"].partition(";")[0] for row in MECHANISMS])
def test_what_a_published_template_does_is_found_in_ours(row: dict[str, Any]) -> None:
    old, new = row["ours"]
    assert old in OURS
    found = said(with_template(OURS.replace(old, new)))
    assert any(row["says"][-1] in line for line in found), found
    assert len(found) == 1, found


KEPT = [
    ("<think>{{ m.reasoning_content | trim }}", "<think>", "the thinking before a call"),
    (
        "{%- elif m.role == 'tool' -%}",
        "{%- elif m.role == 'tool' and messages[loop.index0 - 1].role != 'tool' -%}",
        "second",
    ),
    (
        "<|system|>{{ text(m.content) }}",
        "<|system|>{{ m.content if m.content is string }}",
        "the system message in parts",
    ),
]


@pytest.mark.parametrize(("old", "new", "words"), KEPT, ids=[words for _, _, words in KEPT])
def test_each_turn_of_a_talk_with_tools_is_looked_for(old: str, new: str, words: str) -> None:
    assert old in OURS
    found = said(with_template(OURS.replace(old, new)))
    assert len(found) == 1 and words in found[0], found


def test_parts_are_asked_of_templates_that_take_them_only() -> None:
    """A template that prints content as it is gets strings from every engine."""
    assert not any("in parts" in line for line in said(with_template(TEMPLATE)))


def test_a_template_that_asks_for_no_answer_is_told() -> None:
    assert says(with_template(TURNS), "warning", "template_turn", "leaves add_generation_prompt out")
    always = f"{TURNS}<|assistant|>{{{{ '</think>' if {OFF} else '<think>' }}}}"
    assert not says(with_template(always), "warning", "template_turn", "add_generation_prompt")
