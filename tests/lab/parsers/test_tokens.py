"""The tokenizer holds markers whole, and its ids give the text back."""

from __future__ import annotations

from lab.parsers.tokens import MarkerTokenizer

TEXT = "a<tool_call>f</tool_call>\n<tool"


def test_a_marker_is_one_token_and_any_other_character_is_one() -> None:
    tokenizer = MarkerTokenizer(("<tool_call>", "</tool_call>"), [TEXT])
    assert tokenizer.split(TEXT) == ["a", "<tool_call>", "f", "</tool_call>", "\n", *"<tool"]


def test_ids_give_the_text_back() -> None:
    tokenizer = MarkerTokenizer(("<tool_call>", "</tool_call>"), [TEXT])
    ids = tokenizer.encode(TEXT)
    assert tokenizer.decode(ids) == TEXT
    assert tokenizer.convert_ids_to_tokens(ids) == tokenizer.split(TEXT)
    assert tokenizer.convert_tokens_to_ids("<tool_call>") == tokenizer.get_added_vocab()["<tool_call>"] == ids[1]
    assert tokenizer.convert_tokens_to_ids(["f", "never"]) == [ids[2], None]
